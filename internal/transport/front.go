//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/nonblock"
	"github.com/chorale-rt/chorale/protocol"
)

// Front returns a listener for an http.Server that is to serve the routes of Register.
// Those who ask there for a WebSocket are served before they come to it: net/http would
// take a goroutine, its stack and 8 KB of buffers for the one request of each. All others,
// and those who are refused, are given away by Accept. What l listens on is the front's
// from now on. Close it before Shutdown, and shut the http.Server down behind that: then
// everybody who is in is answered.
//
// It is l itself where sockets are not polled, and when l is not TCP's own.
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
	return s.newFront(file, tcp.Addr())
}

func (s *Server) newFront(file *os.File, addr net.Addr) *front {
	f := &front{
		server: s, file: file, addr: addr,
		others: make(chan net.Conn), closed: make(chan struct{}), empty: make(chan struct{}),
	}
	f.running.Go(func() {
		if err := f.run(); err != nil {
			f.end(err)
		}
	})
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
	err    error // why it was closed; set before closed is

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
		return nil, f.err
	}
}

// Addr implements net.Listener.
func (f *front) Addr() net.Addr { return f.addr }

// Close implements net.Listener: nobody is let in any more. Who is in and has not asked
// for anything yet has lingerFor to do it, for which http.Server's own Close waits too.
// Idempotent.
func (f *front) Close() error {
	f.end(net.ErrClosed)
	return nil
}

func (f *front) end(why error) {
	f.once.Do(func() {
		f.err = why
		close(f.closed)
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
		_ = f.file.Close() // waits for who is just accepting; nothing is lost by it
	})
}

func (f *front) isClosed() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// run takes in who comes, until the front is closed, or for ever impossible.
func (f *front) run() error {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return err
	}
	for pause := time.Duration(0); ; {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			var n int
			if n, failed = f.takeAll(int(fd)); n > 0 {
				pause = 0
			}
			return failed != nil
		})
		switch {
		case f.isClosed():
			return nil
		case err != nil:
			return fmt.Errorf("wait for connections: %w", err)
		case isFinal(failed):
			return fmt.Errorf("accept connections: %w", failed)
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

// isFinal says of which errors of accept(2) there will be no end.
func isFinal(err error) bool {
	return errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSOCK) || errors.Is(err, unix.EOPNOTSUPP)
}

// maxAtOnce is how many are taken in before others have their turn: half a millisecond.
const maxAtOnce = 64

// takeAll takes in everybody who waits, and says how many these were.
func (f *front) takeAll(listener int) (n int, err error) {
	for !f.isClosed() {
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
				f.server.poller.giveTurn()
			}
		}
	}
	return n, net.ErrClosed
}

// take waits for what a client has to say.
func (f *front) take(fd int, from netip.AddrPort) {
	f.arrivals.Add(1)
	a := &arrival{front: f, from: from}
	c := &polled{server: f.server, user: a, fd: fd, arriving: true}
	a.conn = c
	c.working.Store(busy)
	c.init(c, f.server.terms)
	if !f.server.add(c, a) { // net/http is still there for it
		go f.give(a)
		return
	}
	if err := f.server.poller.add(c); err != nil {
		f.server.opts.Logger.Warn("a socket cannot be polled", "cause", err)
		c.sever()
	}
	c.begin()
}

// give gives a connection away, with what was read of it.
func (f *front) give(a *arrival) {
	defer f.arrivals.Done()
	conn, err := a.handOver()
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
	size  int    // of the request with which it waits for its turn; otherwise 0
}

// handOver is the connection for net/http, under another descriptor; the old one is
// closed. Where there is none left it tries again for a moment.
func (a *arrival) handOver() (net.Conn, error) {
	file := os.NewFile(uintptr(a.conn.fd), "connection")
	defer func() { _ = file.Close() }() // the other one is open
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		conn, err := net.FileConn(file)
		if tcp, ok := conn.(*net.TCPConn); ok {
			return &given{TCPConn: tcp, head: a.head, from: net.TCPAddrFromAddrPort(a.from)}, nil
		}
		if pause > time.Second || a.front.isClosed() {
			return nil, fmt.Errorf("another descriptor for it: %w", err)
		}
		time.Sleep(pause)
	}
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

// SyscallConn is not to be had while the descriptor would not give all there is.
func (g *given) SyscallConn() (syscall.RawConn, error) {
	if len(g.head) > 0 {
		return nil, errors.ErrUnsupported
	}
	return g.TCPConn.SyscallConn()
}

// RemoteAddr implements net.Conn.
func (g *given) RemoteAddr() net.Addr { return g.from }

// arrive reads what a client asks for, and begins to serve it or gives it away.
func (c *polled) arrive(a *arrival) step {
	if a.size > 0 {
		return c.called(a)
	}
	c.inLine.Store(false)
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
	keep := func() {
		if a.head = head; !isOwn {
			a.head = bytes.Clone(head)
		}
	}
	switch size := headSize(head); {
	case size == 0:
		keep()
		return c.behind(head)
	case size < 0, !isForSocket(head):
		keep()
		return c.giveAway(a)
	case !c.server.poller.pass():
		keep()
		c.wait(a, size)
		return stepWaits
	default:
		return c.enter(a, head, size)
	}
}

// behind is the step that follows one in which so much was read. When that was all, what
// comes from now on is another event.
func (c *polled) behind(read []byte) step {
	if len(read) < readSize && !c.hangup.Load() {
		return stepDone
	}
	return stepMore
}

// wait has a client wait for its turn, however long that takes.
func (c *polled) wait(a *arrival, size int) {
	a.size = size
	c.mu.Lock()
	c.hasAsked = true
	c.mu.Unlock()
	c.server.poller.wait(c)
}

// called is the turn of who has waited.
func (c *polled) called(a *arrival) step {
	if c.hangup.Load() && hasEnded(c.fd) {
		return stepOver // it has not waited
	}
	return c.enter(a, a.head, a.size)
}

// enter begins to serve who asks for a socket, or gives it away. head is what was read,
// of which the first size bytes are its request.
func (c *polled) enter(a *arrival, head []byte, size int) step {
	if !c.greet(a, head[:size]) {
		if a.size == 0 { // head is borrowed
			a.head = bytes.Clone(head)
		}
		return c.giveAway(a)
	}
	if size < len(head) && !c.draining && c.handle(head[size:]) != nil {
		return stepOver
	}
	return c.behind(head)
}

// greet answers a request for a WebSocket, and begins to serve it. It is false, and
// nothing was done, when it is no such request, or one to be refused.
func (c *polled) greet(a *arrival, head []byte) bool {
	s := c.server
	h, reply, ticket, ok := s.consider(head, a.from)
	if !ok {
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
	c.queueLocked(0, []protocol.Message{protocol.Framed(reply)})
	c.flushLocked()
	c.meet(h, ticket)
	a.front.arrivals.Done()
	if !s.assign(c, c.user) {
		c.draining = true
		c.Close(protocol.CloseRestart, s.farewell())
	}
	return true
}

// consider reads a request, and lets who it is from in.
func (s *Server) consider(head []byte, from netip.AddrPort) (h *handshake, reply []byte, ticket limit.Ticket, ok bool) {
	defer func() {
		// What a stranger sends must not end the process. net/http, which is asked next,
		// meets the same, says so, and ends the connection alone.
		if recover() != nil {
			ok = false
		}
	}()
	if h, reply, ok = s.readHandshake(head, from); !ok {
		return nil, nil, limit.Ticket{}, false
	}
	ticket, refused := s.letIn(h.token, h.address)
	return h, reply, ticket, refused == nil
}

// hurry gives who has not asked for anything yet lingerFor to do it.
func (c *polled) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arriving && !c.hasAsked {
		c.hurryLocked()
	}
}

func (c *polled) hurryLocked() {
	if c.lingering == nil {
		c.lingering = time.AfterFunc(lingerFor, c.giveUp)
	}
}

// giveUp cuts who has not asked for anything yet. What nobody has listened to yet may be
// a request.
func (c *polled) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.arriving, c.hasAsked:
	case !c.inLine.Load():
		c.failLocked()
	case c.lingering != nil:
		c.lingering.Reset(lingerFor)
	}
}

// giveAway ends the poller's part in a connection.
func (c *polled) giveAway(a *arrival) step {
	c.server.poller.release(c)
	c.mu.Lock()
	c.arriving, c.closing, c.ended = false, true, true
	if c.lingering != nil {
		c.lingering.Stop()
	}
	c.mu.Unlock()
	c.server.forget(c)
	c.server.wg.Done()
	go a.front.give(a)
	return stepGone
}
