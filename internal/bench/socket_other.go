//go:build !linux

package bench

// write sends a frame that was made by a clientFrame.
func (s *socket) write(frame []byte) error {
	_, err := s.conn.Write(frame)
	return err
}

// drain calls each for every text or binary frame until the socket ends, and
// returns why it did.
func (s *socket) drain(each func(payload []byte)) error { return s.readAll(each) }
