package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// An ownLoop is what internal/transport does with a socket, and nothing else of
// it: the upgrade by net/http, then one goroutine that waits for all sockets in an
// epoll queue with EPOLLET, frames by gobwas/ws, and writes by whoever delivers.
//
// The zero value is as there: the queue is itself polled by Go, so no thread is
// held, and what a socket has to say is worked on by one of some spare
// goroutines. The fields say what would be otherwise.
type ownLoop struct {
	blocks bool // the goroutine waits in the kernel, and holds a thread
	here   bool // it works on what it found by itself: a handler must not wait
	raw    bool // the scheduler is not told of system calls that never wait
}

func (o ownLoop) serve(ctx context.Context, h *hall, ready func(net.Addr)) error {
	l := &loop{ownLoop: o, jobs: make(chan *loopMember)}
	var err error
	if l.queue, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if o.blocks {
		go l.wait() // ends with the process
	} else if err := l.poll(); err != nil {
		return err
	}
	return serveHTTP(ctx, ready, func(w http.ResponseWriter, r *http.Request) {
		c, ok := h.admit(w, r)
		if !ok {
			return
		}
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // it has been answered
		}
		if err := l.take(conn, c); err != nil {
			conn.Close()
		}
	})
}

// loop is one queue and its sockets.
type loop struct {
	ownLoop
	queue int
	jobs  chan *loopMember // to those who wait for work

	mu      sync.RWMutex // guards the following
	members []*loopMember
}

// loopMember is one socket.
type loopMember struct {
	loop    *loop
	channel *channel
	fd      int

	working atomic.Uint32 // 0: nobody; 1: somebody; 2: and has to look again
	hangup  atomic.Bool   // the end is near: read until it is there

	rest []byte // of whoever works: a frame that has not arrived whole

	mu    sync.Mutex // guards the following
	out   []byte     // what the socket did not take yet
	ended bool
}

// take begins to wait for a socket, which goes on under another descriptor.
func (l *loop) take(conn net.Conn, c *channel) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	m := &loopMember{loop: l, channel: c}
	var dupErr error
	err = raw.Control(func(fd uintptr) { m.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, dupErr); err != nil {
		return err
	}
	conn.Close()
	c.enter(m)
	m.send(wire([]byte(joined)))
	l.mu.Lock()
	for len(l.members) <= m.fd {
		l.members = append(l.members, nil)
	}
	l.members[m.fd] = m
	l.mu.Unlock()
	return l.watch(unix.EPOLL_CTL_ADD, m.fd, 0)
}

func (l *loop) watch(op, fd int, more uint32) error {
	return unix.EpollCtl(l.queue, op, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET | more, Fd: int32(fd)})
}

// poll lets Go wait for the queue.
func (l *loop) poll() error {
	if err := unix.SetNonblock(l.queue, true); err != nil { // so that os.NewFile lets Go poll it
		return err
	}
	raw, err := os.NewFile(uintptr(l.queue), "events").SyscallConn()
	if err != nil {
		return err
	}
	go func() { // ends with the process
		events := make([]unix.EpollEvent, 128)
		_ = raw.Read(func(uintptr) bool {
			for l.round(events, 0) == len(events) {
			}
			return false
		})
	}()
	return nil
}

// wait waits for the queue in the kernel.
func (l *loop) wait() {
	events := make([]unix.EpollEvent, 128)
	for {
		l.round(events, -1)
	}
}

// round has somebody work for each socket that the queue names.
func (l *loop) round(events []unix.EpollEvent, msec int) int {
	n, err := l.epollWait(l.queue, events, msec)
	if err != nil {
		return 0 // EINTR
	}
	for _, e := range events[:n] {
		l.mu.RLock()
		m := l.members[e.Fd]
		l.mu.RUnlock()
		if m == nil {
			continue
		}
		if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			m.hangup.Store(true)
		}
		if !m.begin() {
			continue
		}
		if l.here {
			m.work()
			continue
		}
		select {
		case l.jobs <- m:
		default: // all are busy
			go func() {
				for m := m; ; m = <-l.jobs {
					m.work()
				}
			}()
		}
	}
	return n
}

// begin says whether nobody works for the socket yet.
func (m *loopMember) begin() bool {
	for {
		switch {
		case m.working.CompareAndSwap(0, 1):
			return true
		case m.working.CompareAndSwap(1, 2), m.working.Load() == 2:
			return false
		}
	}
}

// work does what there is to do.
func (m *loopMember) work() {
	for m.turn() {
		if m.working.CompareAndSwap(1, 0) {
			return
		}
		m.working.Store(1)
	}
	m.end() // and is busy for ever
}

// turn writes what waits and reads what is there; false at the end.
func (m *loopMember) turn() bool {
	m.mu.Lock()
	m.flushLocked()
	m.mu.Unlock()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := m.loop.read(m.fd, *buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return true
		case err != nil, n == 0:
			return false
		}
		data := (*buf)[:n]
		if len(m.rest) > 0 {
			data = append(m.rest, data...)
		}
		used, ok := eachText(data, func(text []byte) { m.channel.say(m, text) })
		if !ok {
			return false
		}
		m.rest = append([]byte(nil), data[used:]...)
		if n < len(*buf) && !m.hangup.Load() {
			return true // there was no more; what comes from now on is another event
		}
	}
}

// buffers are borrowed for reading.
var buffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

func (m *loopMember) end() {
	m.channel.leave(m)
	m.loop.mu.Lock()
	m.loop.members[m.fd] = nil
	m.loop.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	unix.Close(m.fd)
}

func (m *loopMember) deliver(msg *message) { m.send(msg.wire()) }

// send writes what the kernel takes and keeps the rest.
func (m *loopMember) send(frame []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return
	}
	if len(m.out) > 0 {
		m.out = append(m.out, frame...)
		return
	}
	n, err := m.loop.write(m.fd, frame)
	if n == len(frame) || err != nil && !errors.Is(err, unix.EAGAIN) {
		return // one that is gone is noticed when it is read
	}
	m.out = append(m.out, frame[max(n, 0):]...)
	_ = m.loop.watch(unix.EPOLL_CTL_MOD, m.fd, unix.EPOLLOUT)
}

func (m *loopMember) flushLocked() {
	if len(m.out) == 0 {
		return
	}
	if n, err := m.loop.write(m.fd, m.out); err == nil {
		m.out = append(m.out[:0], m.out[n:]...)
	}
}
