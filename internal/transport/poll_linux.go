package transport

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// A queue is an epoll queue. It is waited for the way Go waits for any descriptor,
// so no thread is held, and one that is never empty is emptied without waiting.
type queue struct {
	file *os.File
	raw  syscall.RawConn // of file
	fd   int             // likewise
}

// eventList is what is fetched from the queue at once. Each event is told once
// (EPOLLET, see epoll(7)).
type eventList [128]unix.EpollEvent

func openQueue() (*queue, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that os.NewFile lets Go poll it
		_ = unix.Close(fd) // the first error is the one that counts
		return nil, err
	}
	q := &queue{file: os.NewFile(uintptr(fd), "events"), fd: fd}
	if q.raw, err = q.file.SyscallConn(); err != nil {
		_ = q.file.Close() // likewise
		return nil, err
	}
	return q, nil
}

// each hands over events, n at a time, until the queue is closed. n may be 0.
func (q *queue) each(handle func(events *eventList, n int)) error {
	var events eventList
	return q.raw.Read(func(uintptr) bool {
		for {
			n := events.wait(q.fd)
			handle(&events, n)
			if n < len(events) {
				return false
			}
		}
	})
}

// look hands over what is there now, n events at a time: whose come last may be whom
// others wait for.
func (q *queue) look(handle func(events *eventList, n int)) {
	l := looked.Get().(*look)
	defer looked.Put(l)
	for l.n = len(l.events); l.n == len(l.events); {
		if q.raw.Control(l.fetch) != nil {
			return // the queue is closed
		}
		handle(&l.events, l.n)
	}
}

// A look is borrowed for fetching events.
type look struct {
	events eventList
	n      int
	fetch  func(queue uintptr)
}

var looked = sync.Pool{New: func() any {
	l := new(look)
	l.fetch = func(queue uintptr) { l.n = l.events.wait(int(queue)) }
	return l
}}

// close ends each.
func (q *queue) close() { _ = q.file.Close() } // nothing is lost by it

// watchReads lets the queue tell when there is something to read, and of the end.
func (q *queue) watchReads(fd int) error {
	return unix.EpollCtl(q.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd),
	})
}

// watchWrites lets it tell as well when there is room again.
func (q *queue) watchWrites(fd int) error {
	return unix.EpollCtl(q.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd),
	})
}

// forget takes a descriptor out of the queue that stays open.
func (q *queue) forget(fd int) { _ = unix.EpollCtl(q.fd, unix.EPOLL_CTL_DEL, fd, nil) } // if it is in it

// wait fetches events without waiting, and returns how many there were.
func (e *eventList) wait(queue int) int {
	for {
		n, err := nonblock.Events(queue, e[:])
		if err == nil {
			return n
		}
		if err != unix.EINTR { //nolint:errorlint // a system call's error is one number
			return 0
		}
	}
}

// at is the descriptor of an event, and whether it says that the end is near.
func (e *eventList) at(i int) (fd int, hangup bool) {
	return int(e[i].Fd), e[i].Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
}
