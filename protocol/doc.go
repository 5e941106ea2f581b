// Package protocol is the wire of Chorale: frames, codes, limits, and the shapes
// of collections with the rules by which they merge, as docs/protocol.md
// describes them.
//
// It is pure: no I/O, no goroutine, no clock. Everything in it may be used
// concurrently; values that share bytes with their input say so.
package protocol
