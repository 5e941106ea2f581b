//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/nonblock"
	"github.com/chorale-rt/chorale/protocol"
)

// A poller waits for many sockets in one goroutine: an idle one has no goroutine
// of its own and no buffer.
type poller struct {
	queue   *queue // the kernel's, of events
	logger  *slog.Logger
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup // run, and those who work

	written atomic.Uint32 // writes of who writes to many, see rest

	admission admission
	jobs      chan *polled // to those who wait for work
	waiting   atomic.Int32 // how many these are
	staff     atomic.Int32 // how many there are, waiting or at work

	mu      sync.RWMutex // guards the following
	sockets []*polled    // by descriptor
}

func newPoller(logger *slog.Logger) (*poller, error) {
	queue, err := openQueue()
	if err != nil {
		return nil, fmt.Errorf("open a queue of events: %w", err)
	}
	p := &poller{queue: queue, logger: logger, closing: make(chan struct{}), jobs: make(chan *polled)}
	p.running.Go(p.run)
	return p, nil
}

// run wakes sockets until the poller is closed.
func (p *poller) run() {
	var ready []*polled
	err := p.queue.each(func(events *eventList, n int) {
		ready = p.find(events, n, ready[:0])
		p.wakeAll(ready)
		clear(ready)
	})
	select {
	case <-p.closing:
	default:
		p.logger.Error("sockets are not waited for any more; restart the server", "cause", err)
	}
}

// wakeAll has somebody work for each. When one had to be hired although there are
// many, most of these have only not had their turn yet: a thousand answer a
// broadcast. Given it they are soon done, and the next need no goroutines with stacks
// of their own. It is not given more than once for as many sockets, since others who
// compute have a turn then too.
func (p *poller) wakeAll(ready []*polled) {
	next := 0
	for i, c := range ready {
		staff := p.staff.Load()
		if !c.wake() {
			c.relieve()
		}
		if i >= next && staff >= maxSpare && p.staff.Load() > staff {
			runtime.Gosched()
			next = i + maxSpare
		}
	}
}

// turnEvery is how many sockets are written before others have their turn: half a
// millisecond.
const turnEvery = 64

// rest is called behind each write of who writes to many.
func (p *poller) rest() {
	if p.written.Add(1)%turnEvery == 0 {
		p.giveTurn()
	}
}

// giveTurn gives others their turn. Nobody would interrupt who writes to many (nonblock),
// and while he can go on the scheduler does not look for what has come from elsewhere. So
// he looks himself. Without a poller there is nothing to look for.
func (p *poller) giveTurn() {
	if p != nil {
		p.queue.look(func(events *eventList, n int) { p.wakeAll(p.find(events, n, nil)) })
	}
	runtime.Gosched()
}

// find returns the sockets of n events. One that has ended meanwhile, and whose
// descriptor is another's now, makes that one look in vain.
func (p *poller) find(events *eventList, n int, ready []*polled) []*polled {
	if n <= 0 {
		return ready
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for i := range n {
		fd, hangup := events.at(i)
		if fd >= len(p.sockets) || p.sockets[fd] == nil {
			continue
		}
		c := p.sockets[fd]
		if hangup {
			c.hangup.Store(true)
		}
		ready = append(ready, c)
	}
	return ready
}

// add begins to wait for a socket.
func (p *poller) add(c *polled) error {
	p.mu.Lock()
	for len(p.sockets) <= c.fd {
		p.sockets = append(p.sockets, nil)
	}
	p.sockets[c.fd] = c
	p.mu.Unlock()
	return p.queue.watchReads(c.fd)
}

// remove must come before the descriptor is closed.
func (p *poller) remove(c *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.fd < len(p.sockets) && p.sockets[c.fd] == c {
		p.sockets[c.fd] = nil
	}
}

// release is remove for a descriptor that stays open.
func (p *poller) release(c *polled) {
	p.remove(c)
	p.queue.forget(c.fd)
}

// close ends the poller, behind its sockets. Idempotent; nil has nothing to end.
func (p *poller) close() {
	if p == nil {
		return
	}
	p.once.Do(func() {
		close(p.closing)
		p.queue.close()
	})
	p.running.Wait()
}

// maxSpare is how many goroutines wait for work at most. They keep their
// stacks, which a new one would have to grow: serving a frame goes deep.
const maxSpare = 64

// engage has somebody work for a socket: now, or when it is its turn. It may be called
// with locks held.
func (p *poller) engage(c *polled) {
	if _, ok := c.user.(*arrival); ok {
		p.listen(c)
	} else {
		p.employ(c)
	}
}

// employ has somebody work for a socket, now. It may be called with locks held.
func (p *poller) employ(c *polled) {
	select {
	case p.jobs <- c:
	default: // all are busy, perhaps waiting for the engine
		p.staff.Add(1)
		p.running.Go(func() {
			defer p.staff.Add(-1)
			for c := c; c != nil; c = p.next() {
				c.work()
			}
		})
	}
}

// next waits for work; nil when there are enough who do.
func (p *poller) next() *polled {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > maxSpare {
		return nil
	}
	select {
	case c := <-p.jobs:
		return c
	case <-p.closing:
		return nil
	}
}

func (s *Server) openPoller() *poller {
	p, err := newPoller(s.opts.Logger)
	if err != nil {
		s.opts.Logger.Warn("sockets cannot be polled; each has a goroutine", "cause", err)
		return nil
	}
	return p
}

// detach takes the descriptor away from a conn, see nonblock.Detach.
func detach(conn net.Conn) (fd int, ok bool) {
	if g, ok := conn.(*given); ok && len(g.head) == 0 {
		conn = g.TCPConn
	}
	return nonblock.Detach(conn)
}

// polled is a socket that the poller waits for. When there is something to do
// for it one goroutine of the poller's does that.
type polled struct {
	socket
	server *Server
	user   user
	ticket limit.Ticket
	fd     int // closed by release, or given away, and nothing is done with it when ended

	working atomic.Uint32 // idle, busy or again
	hangup  atomic.Bool   // the end may be near: read until it is there

	// Of the goroutine that works.
	reader   reader
	draining bool // the client broke the protocol: what it sends is not looked at

	// Guarded by the socket's lock.
	arriving      bool // it is no WebSocket yet; user is an *arrival
	hasAsked      bool // to be one
	watchesWrites bool
	inLine        atomic.Bool // has said something, and waits to be listened to; not guarded
	lingering     *time.Timer
}

const (
	idle  uint32 = iota
	busy         // a goroutine works
	again        // and has to look once more
)

// servePolled serves a detached socket until it ends, and returns at once.
func (s *Server) servePolled(fd int, h *handshake, ticket limit.Ticket) {
	c := &polled{server: s, fd: fd}
	c.working.Store(busy)
	c.init(c, s.termsOf(h))
	c.meet(h, ticket)
	if !s.add(c, c.user) {
		c.Close(protocol.CloseRestart, s.farewell())
		c.finish()
		return
	}
	if err := s.poller.add(c); err != nil {
		s.opts.Logger.Warn("a socket cannot be polled", "cause", err)
		c.sever()
	}
	c.begin()
}

// begin lets the poller's goroutines work for a socket, which who makes it has kept
// from them.
func (c *polled) begin() {
	if !c.working.CompareAndSwap(busy, idle) { // there was something to do meanwhile
		c.working.Store(busy)
		c.server.poller.engage(c)
	}
}

// meet begins with the user whose frames the socket carries.
func (c *polled) meet(h *handshake, ticket limit.Ticket) {
	c.ticket = ticket
	c.user = c.server.user(&c.socket, h)
	c.reader = reader{socket: &c.socket, to: c.user}
}

// wake makes somebody look at the socket. It is false when somebody works for it already,
// who will look once more.
func (c *polled) wake() bool {
	for {
		switch {
		case c.working.CompareAndSwap(idle, busy):
			c.server.poller.engage(c)
			return true
		case c.working.CompareAndSwap(busy, again), c.working.Load() == again:
			return false
		}
	}
}

// relieve has written what waits for a socket's kernel, beside the goroutine that works for
// it: that may wait for the engine, and what is said meanwhile to a client that reads must
// not fill its queue. There may be nothing to write; the kernel says so. Nothing may be
// locked.
func (c *polled) relieve() {
	c.mu.Lock()
	waits := c.backlog != nil && (c.backlog.isStuck || c.writing) // who writes may be told just now that nothing more is taken
	c.mu.Unlock()
	if waits {
		c.server.poller.running.Go(c.drain)
	}
}

// work does what there is to do, and lets others have their turn in between.
func (c *polled) work() {
	for {
		switch c.step() {
		case stepOver:
			c.end()
			return // and is busy for ever
		case stepGone, stepWaits:
			return // likewise; or until it has its turn
		case stepMore:
			runtime.Gosched()
		case stepDone:
			if c.working.CompareAndSwap(busy, idle) {
				return
			}
			c.working.Store(busy)
		}
	}
}

// step is what came of one turn.
type step uint8

const (
	stepDone  step = iota // nothing is left to be done
	stepMore              // there may be
	stepOver              // the connection has ended
	stepGone              // it is somebody else's
	stepWaits             // for its turn, see admission
)

// step writes what waits, reads once, and handles that.
func (c *polled) step() step {
	if a, ok := c.user.(*arrival); ok {
		return c.arrive(a)
	}
	c.drain()
	buf := buffers.Get().(*[]byte)
	n, err := readNow(c.fd, (*buf)[:readSize])
	if n > 0 && !c.draining {
		err = c.handle((*buf)[:n])
	}
	buffers.Put(buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return stepDone
	case err != nil, n == 0:
		return stepOver
	case n < readSize && !c.hangup.Load():
		return stepDone // there was no more; what comes from now on is another event
	}
	return stepMore
}

// handle handles what was read; an error when the connection has ended.
func (c *polled) handle(read []byte) error {
	err := c.reader.handle(read)
	if fault, ok := errors.AsType[*closeError](err); ok {
		c.server.fault(&c.socket, fault)
		c.draining = true
		return nil
	}
	if err != nil {
		return err
	}
	if pause := c.reader.owed(); pause > 0 {
		time.Sleep(pause) // what the client sends meanwhile fills its buffers, not ours
	}
	return nil
}

// end ends the connection behind its last step.
func (c *polled) end() {
	defer c.server.wg.Done()
	c.server.poller.remove(c)
	c.finish()
}

// finish ends the session, or all of them, and gives the descriptor back.
func (c *polled) finish() {
	c.user.Close()
	c.mu.Lock()
	if c.lingering != nil {
		c.lingering.Stop()
	}
	c.endLocked()
	c.mu.Unlock()
	if a, ok := c.user.(*arrival); ok {
		c.server.forget(c) // it was never counted in
		a.front.arrivals.Done()
		return
	}
	c.server.leave(c, c.ticket)
}

// Close implements session.Conn, and conn. Who has not asked for anything yet has
// lingerFor to do it, and is answered.
func (c *polled) Close(code int, reason string) {
	c.mu.Lock()
	if c.arriving {
		if !c.hasAsked {
			c.hurryLocked()
		}
		c.mu.Unlock()
		return
	}
	c.closeLocked(code, reason)
	c.flushLocked()
}

// silence implements conn.
func (c *polled) silence() (since, patience int64) {
	if c.arrives() {
		return c.lastHeard(), headPatience.Milliseconds()
	}
	return c.socket.silence()
}

// keepAlive implements conn.
func (c *polled) keepAlive(now int64) {
	if c.arrives() {
		c.giveUp()
	} else {
		c.socket.keepAlive(now)
	}
}

func (c *polled) arrives() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arriving
}

// write implements link.
func (c *polled) write(b []byte) (n int, err error) {
	for n < len(b) {
		took, err := nonblock.Write(c.fd, b[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case err != nil:
			return n, err
		default:
			n += took
		}
	}
	return n, nil
}

// drainLater implements link: an event says when the kernel takes more.
func (c *polled) drainLater(*socket) {
	if c.watchesWrites {
		return
	}
	if err := c.server.poller.queue.watchWrites(c.fd); err != nil {
		c.failLocked()
		return
	}
	c.watchesWrites = true
}

// rest implements link.
func (c *polled) rest() { c.server.poller.rest() }

// release implements link.
func (c *polled) release() { _ = unix.Close(c.fd) } // there is nobody to tell

// linger implements link.
func (c *polled) linger() {
	if c.lingering == nil && !c.ended {
		c.lingering = time.AfterFunc(lingerFor, c.sever)
	}
}

// cut implements link.
func (c *polled) cut() {
	if c.ended {
		return
	}
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // it may have been cut by the client already
	c.hangup.Store(true)
	c.wake()
}

// hasEnded says whether nothing comes from a socket any more, without reading from it.
func hasEnded(fd int) bool {
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	}
	return n == 0
}

// readNow reads what is there; unix.EAGAIN when that is nothing.
func readNow(fd int, b []byte) (int, error) {
	for {
		n, err := nonblock.Read(fd, b)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
