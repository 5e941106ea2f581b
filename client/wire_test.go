package client_test

import (
	"context"
	"net"
	"sync"

	"github.com/chorale-rt/chorale/client"
)

// A wire is what a test cuts: it remembers the connections of one client.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
	gate  sync.RWMutex // held: nothing is written
}

// gated is a connection of a wire.
type gated struct {
	net.Conn
	gate *sync.RWMutex
}

func (g gated) Write(p []byte) (int, error) {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Conn.Write(p)
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		w.mu.Lock()
		w.conns = append(w.conns, conn)
		w.mu.Unlock()
		return gated{conn, &w.gate}, nil
	}
	return nil, err
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

func (w *world) dialOver(sub string, over *wire) *client.Client {
	w.t.Helper()
	c, err := client.Dial(within(w.t), w.url, &client.Options{Token: tokensOf(sub), DialContext: over.dial})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}
