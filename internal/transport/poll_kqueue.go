//go:build darwin || freebsd || netbsd

package transport

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A queue is a kqueue. macOS lets none be non-blocking (its fcntl says ENOTTY), nor
// one be watched as Go watches descriptors, for writing too; so a thread waits in it.
type queue struct {
	fd   int
	ends [2]int // of a pipe: while there is something to read from the first, each ends

	mu       sync.RWMutex // held while somebody looks
	released bool
}

// eventList is what is fetched from the queue at once. Each event is told once
// (EV_CLEAR, see kqueue(2)).
type eventList [128]unix.Kevent_t

func openQueue() (*queue, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	q := &queue{fd: fd}
	if err := unix.Pipe(q.ends[:]); err != nil {
		_ = unix.Close(fd) // the first error is the one that counts
		return nil, err
	}
	for _, end := range q.ends {
		unix.CloseOnExec(end)
	}
	if err := q.change(q.ends[0], unix.EVFILT_READ, unix.EV_ADD); err != nil { // told again and again, whoever is
		q.release()
		return nil, err
	}
	return q, nil
}

// each hands over events, n at a time, until the queue is closed.
func (q *queue) each(handle func(events *eventList, n int)) error {
	var events eventList
	for {
		n, err := unix.Kevent(q.fd, nil, events[:], nil)
		if err == unix.EINTR { //nolint:errorlint // a system call's error is one number
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
		for i := range n {
			if fd, _ := events.at(i); fd == q.ends[0] {
				q.release() // there are no sockets any more
				return nil
			}
		}
		handle(&events, n)
	}
}

// look hands over what is there now, n events at a time: whose come last may be whom
// others wait for.
func (q *queue) look(handle func(events *eventList, n int)) {
	events := lists.Get().(*eventList)
	defer lists.Put(events)
	for n := len(events); n == len(events); {
		n = q.fetch(events)
		handle(events, n)
	}
}

func (q *queue) fetch(events *eventList) int {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.released {
		return 0
	}
	n, err := unix.Kevent(q.fd, nil, events[:], new(unix.Timespec))
	if err != nil {
		return 0 // what an interruption keeps from it is there the next time
	}
	return n
}

var lists = sync.Pool{New: func() any { return new(eventList) }}

// close ends each, which gives the descriptors back: who waits in a kqueue would not
// notice that it is closed. When each has failed they stay, for none may be used that
// could be somebody else's by now.
func (q *queue) close() { _, _ = unix.Write(q.ends[1], []byte{0}) } // a pipe has room for one byte

func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.released = true
	for _, fd := range []int{q.fd, q.ends[0], q.ends[1]} {
		_ = unix.Close(fd) // nothing is lost by it
	}
}

// watchReads lets the queue tell when there is something to read, and of the end.
func (q *queue) watchReads(fd int) error {
	return q.change(fd, unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR)
}

// watchWrites lets it tell as well when there is room again.
func (q *queue) watchWrites(fd int) error {
	return q.change(fd, unix.EVFILT_WRITE, unix.EV_ADD|unix.EV_CLEAR)
}

// forget takes a descriptor out of the queue that stays open.
func (q *queue) forget(fd int) {
	for _, filter := range []int{unix.EVFILT_READ, unix.EVFILT_WRITE} {
		_ = q.change(fd, filter, unix.EV_DELETE) // if it is in it
	}
}

func (q *queue) change(fd, filter, flags int) error {
	change := make([]unix.Kevent_t, 1)
	unix.SetKevent(&change[0], fd, filter, flags)
	_, err := unix.Kevent(q.fd, change, nil, nil)
	return err
}

// at is the descriptor of an event, and whether it says that the end is near.
func (e *eventList) at(i int) (fd int, hangup bool) {
	return int(e[i].Ident), e[i].Flags&unix.EV_EOF != 0
}
