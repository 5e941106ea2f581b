//go:build race || !cgo

package embedded

// storeOnHeap says whether Pebble may take its large blocks from Go's heap: it does
// without cgo, and under the race detector in every other process, by chance.
const storeOnHeap = true
