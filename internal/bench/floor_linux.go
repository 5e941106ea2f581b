package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// floorBacklog is how many connections may wait to be accepted.
const floorBacklog = 4096

// ServeFloor is the least that a server of channels can do: it writes each frame
// that arrives, with a ready-made header, to the other sockets of the same path,
// one write per delivery, and knows neither tokens nor protocol nor log.
//
// It serves until ctx ends, in one event loop that keeps its thread and waits in
// the kernel without telling the runtime, so that there is no cheaper way to
// write it in Go. GOMAXPROCS must be at least 2 for the rest of the process to
// run. ready is called once with the address that it listens on.
func ServeFloor(ctx context.Context, addr string, ready func(addr string)) error {
	f := &floor{rooms: make(map[string]*floorRoom), buf: make([]byte, floorFrameMax+64<<10)}
	defer f.close()
	if err := f.open(addr); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { f.wake(); close(woken) })
	defer func() {
		if !stop() {
			<-woken // before the descriptor is closed, and perhaps another's
		}
	}()
	ready(f.addr)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := f.serve(ctx); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	return nil
}

// floor is one event loop and its sockets. Everything belongs to the loop.
type floor struct {
	addr   string
	epoll  int
	listen int
	bell   int // an eventfd that ends the wait
	fds    []int
	conns  []*floorConn // by descriptor
	rooms  map[string]*floorRoom
	buf    []byte // what was read last
}

type floorRoom struct{ conns []*floorConn }

// floorConn is one socket.
type floorConn struct {
	fd   int
	room *floorRoom // nil before the upgrade
	rest []byte     // the beginning of a frame whose end did not come yet
	out  []byte     // what the socket did not take yet
}

func (f *floor) open(addr string) error {
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return err
	}
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	f.fds = append(f.fds, f.epoll)
	if f.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	f.fds = append(f.fds, f.bell)
	if f.listen, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	f.fds = append(f.fds, f.listen)
	sa := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	if err := errors.Join(unix.Bind(f.listen, sa), unix.Listen(f.listen, floorBacklog)); err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	bound, err := unix.Getsockname(f.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	f.addr = fmt.Sprintf("%s:%d", tcp.IP, bound.(*unix.SockaddrInet4).Port)
	return errors.Join(f.register(f.bell), f.register(f.listen))
}

func (f *floor) register(fd int) error {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// wake ends the wait of serve; it may be called from another goroutine.
func (f *floor) wake() {
	_, _ = unix.Write(f.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail while the counter is small
}

func (f *floor) close() {
	for _, c := range f.conns {
		if c != nil {
			unix.Close(c.fd)
		}
	}
	for _, fd := range f.fds {
		unix.Close(fd)
	}
}

func (f *floor) serve(ctx context.Context) error {
	events := make([]unix.EpollEvent, 256)
	for ctx.Err() == nil {
		n, err := epollWait(f.epoll, events)
		if errors.Is(err, unix.EINTR) {
			// The runtime wants this thread, for a collection: let it have it. The
			// raw wait has no point at which it could be stopped otherwise.
			runtime.Gosched()
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		for _, e := range events[:n] {
			switch fd := int(e.Fd); fd {
			case f.bell:
			case f.listen:
				f.accept()
			default:
				f.turn(f.conns[fd], e.Events)
			}
		}
	}
	return nil
}

func (f *floor) accept() {
	for {
		fd, _, err := unix.Accept4(f.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // nobody waits any more, or the client went away
		}
		if errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), f.register(fd)) != nil {
			unix.Close(fd)
			continue
		}
		if fd >= len(f.conns) {
			f.conns = append(f.conns, make([]*floorConn, fd+1-len(f.conns))...)
		}
		f.conns[fd] = &floorConn{fd: fd}
	}
}

// turn handles what happened at a socket. c is nil when it was closed in the same
// round.
func (f *floor) turn(c *floorConn, events uint32) {
	if c == nil {
		return
	}
	if events&unix.EPOLLOUT != 0 && !f.flush(c) {
		f.drop(c)
		return
	}
	if events&^uint32(unix.EPOLLOUT) == 0 {
		return
	}
	had := copy(f.buf, c.rest)
	n, err := nonblock.Read(c.fd, f.buf[had:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n == 0 {
		f.drop(c)
		return
	}
	used, ok := f.take(c, f.buf[:had+n])
	if !ok {
		f.drop(c)
		return
	}
	c.rest = append(c.rest[:0], f.buf[used:had+n]...)
}

// take handles what is complete in data and returns how much that was. ok is
// false when the socket is to be closed.
func (f *floor) take(c *floorConn, data []byte) (used int, ok bool) {
	if c.room == nil {
		path, answer, n, err := parseUpgrade(data)
		if n == 0 || err != nil {
			return 0, err == nil
		}
		f.enter(c, path)
		if !f.send(c, answer) {
			return n, false
		}
		used = n
	}
	for {
		op, out, n, err := turnFrame(data[used:])
		if err != nil || op == ws.OpClose {
			return used, false
		}
		if n == 0 {
			return used, true
		}
		used += n
		if op == ws.OpText {
			f.fanOut(c, out)
		}
	}
}

func (f *floor) enter(c *floorConn, path string) {
	r := f.rooms[path]
	if r == nil {
		r = &floorRoom{}
		f.rooms[path] = r
	}
	r.conns = append(r.conns, c)
	c.room = r
}

func (f *floor) fanOut(from *floorConn, frame []byte) {
	for _, c := range from.room.conns {
		if c != from {
			_ = f.send(c, frame) // a socket that is gone says so when it is read
		}
	}
}

// send writes a frame, and keeps what the socket does not take. It says whether
// the socket still works.
func (f *floor) send(c *floorConn, frame []byte) bool {
	if len(c.out) > 0 {
		c.out = append(c.out, frame...)
		return true
	}
	n, err := nonblock.Write(c.fd, frame)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return false
	}
	if n < len(frame) {
		c.out = append(c.out, frame[n:]...)
		return f.interest(c, unix.EPOLLIN|unix.EPOLLOUT)
	}
	return true
}

func (f *floor) flush(c *floorConn) bool {
	n, err := nonblock.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return false
	}
	c.out = append(c.out[:0], c.out[n:]...)
	return len(c.out) > 0 || f.interest(c, unix.EPOLLIN)
}

func (f *floor) interest(c *floorConn, events uint32) bool {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)}) == nil
}

func (f *floor) drop(c *floorConn) {
	if c.room != nil {
		c.room.conns = slices.DeleteFunc(c.room.conns, func(o *floorConn) bool { return o == c })
	}
	f.conns[c.fd] = nil
	unix.Close(c.fd)
}
