package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// loopBuffer is what is read at once. All sockets share it, so that it stays in the
// caches; a socket that has more to say is asked again.
const loopBuffer = 64 << 10

// A loop reads for all sockets of a load in one goroutine, and wakes its driver
// when a push is due. It waits for the kernel's queue of events the way Go waits for
// any descriptor: no thread is held, and a queue that is never empty is emptied
// without the scheduler.
type loop struct {
	pacer   pacer
	base    time.Time // of its clock
	file    *os.File  // the kernel's queue
	queue   int       // its descriptor
	raw     syscall.RawConn
	closing atomic.Bool
	buf     []byte // what was read last; of run

	mu      sync.Mutex // guards the following
	inlets  []*inlet   // by descriptor; nil: nothing is read there
	outlets []*detached
}

// An inlet is where one socket's frames come in. Of the loop, once it is known there.
type inlet struct {
	fd     int
	in     stream
	now    int64 // when the last read returned
	handle func(op ws.OpCode, payload []byte) error
	ended  func(error)
}

// openLoop opens a loop whose clock begins at base. run reads, until stop; release
// must be called in the end.
func openLoop(base time.Time) (*loop, error) {
	queue, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a queue of events: %w", err)
	}
	if err := unix.SetNonblock(queue, true); err != nil { // so that os.NewFile lets Go poll it
		_ = unix.Close(queue) // the first error is the one that counts
		return nil, fmt.Errorf("open a queue of events: %w", err)
	}
	lp := &loop{base: base, file: os.NewFile(uintptr(queue), "events"), queue: queue, buf: make([]byte, loopBuffer)}
	if lp.raw, err = lp.file.SyscallConn(); err == nil {
		err = lp.pacer.open(lp)
	}
	if err != nil {
		_ = lp.file.Close() // likewise
		return nil, fmt.Errorf("open a queue of events: %w", err)
	}
	return lp, nil
}

// now is the instant of the loop's clock.
func (lp *loop) now() int64 { return int64(time.Since(lp.base)) }

// watch lets the queue tell, once each, of what comes and of the end.
func (lp *loop) watch(fd int) error {
	return unix.EpollCtl(lp.queue, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd),
	})
}

// take makes the loop read for a socket, which nobody else uses just now: each is
// called for every frame, with the instant at which it had been read, and ended
// with the reason when there will be none any more. It is false, and the socket as
// it was, when that has no descriptor of its own (TLS).
func (lp *loop) take(s *socket, each func(op ws.OpCode, payload []byte, at int64) error, ended func(error)) bool {
	early, err := s.in.Peek(s.in.Buffered()) // what joining read already
	if err != nil {
		return false
	}
	out, ok := detach(s.conn)
	if !ok {
		return false
	}
	s.out, s.in = out, nil
	c := &inlet{fd: out.fd, now: lp.now(), ended: ended}
	c.handle = func(op ws.OpCode, payload []byte) error { return each(op, payload, c.now) }
	lp.mu.Lock()
	lp.outlets = append(lp.outlets, out)
	lp.mu.Unlock()
	if err = c.in.cut(early, c.handle); err == nil {
		err = lp.add(c)
	}
	if err != nil {
		lp.end(c, err)
	}
	return true
}

// add begins to read for an inlet.
func (lp *loop) add(c *inlet) error {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	for len(lp.inlets) <= c.fd {
		lp.inlets = append(lp.inlets, nil)
	}
	lp.inlets[c.fd] = c
	return lp.watch(c.fd)
}

// run reads until stop.
func (lp *loop) run() {
	events := make([]unix.EpollEvent, 128)
	ready := make([]*inlet, len(events))
	_ = lp.raw.Read(func(uintptr) bool { // ends with the file
		lp.pacer.work()
		for !lp.closing.Load() {
			n, err := nonblock.Events(lp.queue, events)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			for _, c := range lp.find(events[:n], ready) {
				if c == nil {
					lp.tick(lp.now())
					continue
				}
				for lp.read(c) { // until that was all
				}
			}
			if n < len(events) {
				lp.pacer.rest()
				return false
			}
			runtime.Gosched()
		}
		return true
	})
}

// find puts the inlets of events into ready; nil stands for the pacer, and for what
// has ended.
func (lp *loop) find(events []unix.EpollEvent, ready []*inlet) []*inlet {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	for i, e := range events {
		ready[i] = nil
		if fd := int(e.Fd); fd < len(lp.inlets) {
			ready[i] = lp.inlets[fd]
		}
	}
	return ready[:len(events)]
}

// read reads once, and says whether there may be more. It looks at the time that it
// takes anyway: the scheduler, which always has somebody to run then, would see the
// pacer's timer late.
func (lp *loop) read(c *inlet) (more bool) {
	space := c.in.space(&lp.buf)
	n, err := nonblock.Read(c.fd, space)
	c.now = lp.now()
	lp.tick(c.now)
	switch {
	case err == nil && n > 0:
		err = c.in.cut(lp.buf[:len(lp.buf)-len(space)+n], c.handle)
	case err == nil:
		err = io.EOF
	case errors.Is(err, unix.EAGAIN):
		return false
	case errors.Is(err, unix.EINTR):
		return true
	}
	if err != nil {
		lp.end(c, err)
		return false
	}
	return n == len(space)
}

// tick wakes the driver if it is to be woken, and lets it go first.
func (lp *loop) tick(now int64) {
	if lp.pacer.ring(now) {
		runtime.Gosched()
	}
}

// end reads no more for a socket. Its descriptor stays: somebody may write to it.
func (lp *loop) end(c *inlet, err error) {
	lp.mu.Lock()
	if c.fd < len(lp.inlets) {
		lp.inlets[c.fd] = nil
	}
	lp.mu.Unlock()
	c.ended(err)
}

// stop lets run return. Idempotent; nil has nothing to stop.
func (lp *loop) stop() {
	if lp != nil && !lp.closing.Swap(true) {
		_ = lp.file.Close() // nothing is lost by it
	}
}

// release gives the descriptors back, when run has returned and all sockets are
// closed. Idempotent.
func (lp *loop) release() {
	if lp == nil {
		return
	}
	lp.pacer.close()
	for _, out := range lp.outlets {
		out.release()
	}
	lp.outlets = nil
}
