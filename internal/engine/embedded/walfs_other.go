//go:build !linux

package embedded

// writeUnannounced writes nothing: only Linux lets a program call it directly.
func writeUnannounced(uintptr, []byte) int { return 0 }
