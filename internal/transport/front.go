//go:build linux || darwin

package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
	"github.com/chorale-rt/chorale/protocol"
)

// Front returns a listener for an http.Server that is to serve the routes of Register.
// Those who ask there for a WebSocket are served before they come to it: net/http would
// take a goroutine, its stack and 8 KB of buffers for the one request of each. All others,
// and those who are refused, are given away by Accept. What l listens on is the front's
// from now on.
//
// Where sockets are not polled it is l itself.
func (s *Server) Front(l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok || s.poller == nil {
		return l
	}
	file, err := nonblock.DetachListener(tcp)
	if err != nil {
		s.opts.Logger.Warn("connections are taken in by net/http", "cause", err)
		return l
	}
	f := &front{
		server: s, file: file, addr: tcp.Addr(),
		others: make(chan net.Conn), closed: make(chan struct{}), empty: make(chan struct{}),
	}
	f.running.Go(f.run)
	return f
}

// front takes connections in. It implements net.Listener.
type front struct {
	server *Server
	file   *os.File // what is listened on; Go waits for it as for any descriptor
	addr   net.Addr

	others chan net.Conn // to Accept
	closed chan struct{} // nobody is let in any more
	empty  chan struct{} // and all who were have been served or given away
	once   sync.Once

	running  sync.WaitGroup // run
	arrivals sync.WaitGroup // connections that are not served or given away yet
}

// Accept implements net.Listener: the next connection that is not a WebSocket. Behind
// Close it goes on until nobody is left.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.others:
		return conn, nil
	case <-f.empty:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (f *front) Addr() net.Addr { return f.addr }

// Close implements net.Listener: nobody is let in any more. Who is in and has not asked
// for anything yet has lingerFor to do it. Idempotent.
func (f *front) Close() error {
	f.once.Do(func() {
		close(f.closed)
		_ = f.file.Close() // nothing is lost by it
		go func() {
			defer close(f.empty)
			f.running.Wait()
			for _, c := range f.server.snapshot(nil) {
				if a, ok := c.user.(*arrival); ok && a.front == f {
					a.conn.hurry()
				}
			}
			f.arrivals.Wait()
		}()
	})
	return nil
}

// run takes in who comes, until the front is stopped.
func (f *front) run() {
	raw, err := f.file.SyscallConn()
	pause := time.Duration(0)
	for err == nil {
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			var n int
			if n, failed = f.takeAll(int(fd)); n > 0 {
				pause = 0
			}
			return failed != nil
		})
		if err != nil {
			return
		}
		// Most likely there are no descriptors left. Who waits is not lost.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		f.server.opts.Logger.Warn("connections are not taken in", "cause", failed, "again", pause)
		select {
		case <-time.After(pause):
		case <-f.closed:
		}
	}
}

// maxAtOnce is how many are taken in before others have their turn.
const maxAtOnce = 64

// takeAll takes in everybody who waits, and says how many these were.
func (f *front) takeAll(listener int) (n int, err error) {
	for {
		fd, from, err := nonblock.Accept(listener)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case err != nil:
			return n, err
		default:
			n++
			f.take(fd, from)
			if n%maxAtOnce == 0 {
				runtime.Gosched() // nobody would interrupt it, see package nonblock
			}
		}
	}
}

// take waits for what a client has to say.
func (f *front) take(fd int, from netip.AddrPort) {
	f.arrivals.Add(1)
	a := &arrival{front: f, from: from}
	c := &polled{server: f.server, user: a, fd: fd, arriving: true}
	a.conn = c
	c.init(c, f.server.terms)
	if !f.server.add(c, a) { // net/http is still there for it
		f.give(a)
		return
	}
	if err := f.server.poller.add(c); err != nil {
		f.server.opts.Logger.Warn("a socket cannot be polled", "cause", err)
		c.sever()
	}
}

// give gives a connection away, with what was read of it.
func (f *front) give(a *arrival) {
	defer f.arrivals.Done()
	conn, err := a.giveable()
	if err != nil {
		f.server.opts.Logger.Warn("a connection was dropped", "cause", err)
		return
	}
	select {
	case f.others <- conn:
		return
	case <-f.closed:
	}
	select {
	case f.others <- conn:
	case <-time.After(lingerFor): // nobody takes them any more
		_ = conn.Close() // nor is there anybody to tell
	}
}

// arrival is a client that has not asked for anything yet. It is the user of its
// connection, to whom nobody talks.
type arrival struct {
	nobody
	front *front
	conn  *polled
	from  netip.AddrPort
	head  []byte // of its request, as far as it was read
}

// giveable is the connection for net/http, under a descriptor of its own: the old one
// is closed.
func (a *arrival) giveable() (net.Conn, error) {
	file := os.NewFile(uintptr(a.conn.fd), "connection")
	defer func() { _ = file.Close() }() // the other one is open
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil // which cannot be, as it came from a TCP listener
	}
	return &given{TCPConn: tcp, head: bytes.Clone(a.head), from: net.TCPAddrFromAddrPort(a.from)}, nil
}

// given is a connection of which something was read before it was given away.
type given struct {
	*net.TCPConn
	head []byte
	from net.Addr // known even when the client has gone
}

// Read implements net.Conn.
func (g *given) Read(b []byte) (int, error) {
	if len(g.head) == 0 {
		return g.TCPConn.Read(b)
	}
	n := copy(b, g.head)
	if g.head = g.head[n:]; len(g.head) == 0 {
		g.head = nil
	}
	return n, nil
}

// WriteTo hides that of the conn, which does not know what was read.
func (g *given) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{g}) }

// RemoteAddr implements net.Conn.
func (g *given) RemoteAddr() net.Addr { return g.from }

// headPatience is how long a request may take to arrive.
const headPatience = 10 * time.Second

// arrive reads what a client asks for, and begins to serve it or gives it away.
func (c *polled) arrive(a *arrival) step {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err := readNow(c.fd, (*buf)[:readSize])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return stepDone
	case err != nil, n == 0:
		return stepOver
	}
	head, isOwn := (*buf)[:n], len(a.head) > 0
	if isOwn {
		head = append(a.head, head...)
	}
	switch size := headSize(head); {
	case size == 0 && isOwn:
		a.head = head
	case size == 0:
		a.head = bytes.Clone(head)
	case size < 0 || !c.greet(a, head[:size]):
		a.head = head
		c.giveAway(a)
		return stepGone
	case size < len(head) && !c.draining:
		if c.handle(head[size:]) != nil {
			return stepOver
		}
	}
	if n < readSize && !c.hangup.Load() {
		return stepDone
	}
	return stepMore
}

// greet answers a request for a WebSocket, and begins to serve it. It is false, and
// nothing was done, when it is no such request, or one to be refused.
func (c *polled) greet(a *arrival, head []byte) bool {
	s := c.server
	h, reply, ok := s.readHandshake(head, a.from)
	if !ok {
		return false
	}
	ticket, refused := s.letIn(h.token, h.address)
	if refused != nil {
		return false
	}
	s.enter()
	c.mu.Lock()
	c.arriving, c.terms = false, s.termsOf(h)
	c.lastRead.Store(s.nowMs())
	if c.lingering != nil { // it had been hurried, and has asked
		c.lingering.Stop()
		c.lingering = nil
	}
	c.writeLocked(reply)
	c.mu.Unlock()
	c.meet(h, ticket)
	a.front.arrivals.Done()
	if !s.meet(c, c.user) {
		c.draining = true
		c.Close(protocol.CloseRestart, "the server is shutting down")
	}
	return true
}

// hurry gives who has not asked for anything yet lingerFor to do it.
func (c *polled) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving {
		c.linger()
	}
}

// giveAway ends the poller's part in a connection.
func (c *polled) giveAway(a *arrival) {
	defer c.server.wg.Done()
	c.server.poller.release(c)
	c.mu.Lock()
	c.closing, c.ended = true, true
	if c.lingering != nil {
		c.lingering.Stop()
	}
	c.mu.Unlock()
	c.server.forget(c)
	a.front.give(a)
}
