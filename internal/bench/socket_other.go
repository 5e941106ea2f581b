//go:build !linux

package bench

import "net"

// A writer writes to a connection. Safe for concurrent use.
type writer struct{ conn net.Conn }

func (w *writer) open(conn net.Conn) error {
	w.conn = conn
	return nil
}

func (w *writer) write(frame []byte) error {
	_, err := w.conn.Write(frame)
	return err
}

// drain calls each for every text or binary frame until the socket ends, and
// returns why it did.
func (s *socket) drain(each func(payload []byte)) error { return s.readAll(each) }
