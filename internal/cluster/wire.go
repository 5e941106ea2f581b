package cluster

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// A Wire hands on TCP connections until it is cut.
type Wire struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu    sync.Mutex // guards the following
	cut   bool
	conns map[net.Conn]bool
}

// newWire makes a wire to an address.
func newWire(target string) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	w := &Wire{listener: l, target: target, conns: make(map[net.Conn]bool)}
	w.work.Go(w.accept)
	return w, nil
}

// Addr is where the wire begins.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Cut breaks off what is open and lets nothing through.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.conns {
		c.Close()
	}
}

// Heal lets new connections through.
func (w *Wire) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

func (w *Wire) close() {
	w.listener.Close()
	w.Cut()
	w.work.Wait()
}

func (w *Wire) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.work.Go(func() { w.carry(from) })
	}
}

// carry copies both ways until either end closes.
func (w *Wire) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer to.Close()
	if !w.hold(from, to) {
		return
	}
	defer w.release(from, to)
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() {
		_, _ = io.Copy(from, to) // either end may end it
		from.Close()
		to.Close()
	})
	_, _ = io.Copy(to, from)
	from.Close()
	to.Close()
}

// hold counts connections in, so that they can be cut.
func (w *Wire) hold(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return false
	}
	for _, c := range conns {
		w.conns[c] = true
	}
	return true
}

func (w *Wire) release(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		delete(w.conns, c)
	}
}
