//go:build !linux

package bench

import (
	"context"
	"net"
)

// dialTCP connects.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, network, address)
}

// A writer is the outlet of a connection.
type writer struct{ conn net.Conn }

func newWriter(conn net.Conn) (*writer, error) { return &writer{conn}, nil }

// write implements outlet.
func (w *writer) write(frame []byte) error {
	_, err := w.conn.Write(frame)
	return err
}

// close implements outlet.
func (w *writer) close(words []byte) {
	if len(words) > 0 {
		_ = w.write(words) // the server may be gone already: then there is nobody to say it to
	}
	w.conn.Close()
}
