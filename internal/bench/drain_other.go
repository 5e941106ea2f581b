//go:build !linux

package bench

// drain calls each for every text or binary frame until the socket ends, and
// returns why it did.
func (s *socket) drain(each func(payload []byte)) error { return s.readAll(each) }
