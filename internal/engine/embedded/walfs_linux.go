package embedded

import "github.com/chorale-rt/chorale/internal/nonblock"

// writeUnannounced returns how much was written; 0 with an error.
func writeUnannounced(fd uintptr, p []byte) int {
	n, _ := nonblock.Write(int(fd), p) // the ordinary write that follows has the error
	return n
}
