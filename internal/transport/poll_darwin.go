package transport

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A queue is a kqueue. macOS lets none be non-blocking (its fcntl says ENOTTY), nor
// one be watched as Go watches descriptors, for writing too; so a thread waits in it.
type queue struct{ fd int }

// eventList is what is fetched from the queue at once. Each event is told once
// (EV_CLEAR, see kqueue(2)).
type eventList [128]unix.Kevent_t

// closing is the one event that is not of a socket.
const closing = 1

func openQueue() (*queue, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	q := &queue{fd}
	if err := q.watch(closing, unix.EVFILT_USER, 0); err != nil {
		_ = unix.Close(fd) // the first error is the one that counts
		return nil, err
	}
	return q, nil
}

// each hands over events, n at a time, until the queue is closed.
func (q *queue) each(handle func(events *eventList, n int)) error {
	defer unix.Close(q.fd)
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
			if events[i].Filter == unix.EVFILT_USER {
				return nil // there are no sockets any more
			}
		}
		handle(&events, n)
	}
}

// look has nothing to do: a thread waits.
func (q *queue) look(func(events *eventList, n int)) {}

// close ends each, which closes the queue: who waits in it would not notice.
func (q *queue) close() { _ = q.watch(closing, unix.EVFILT_USER, unix.NOTE_TRIGGER) } // it is there

// watchReads lets the queue tell when there is something to read, and of the end.
func (q *queue) watchReads(fd int) error { return q.watch(fd, unix.EVFILT_READ, 0) }

// watchWrites lets it tell as well when there is room again.
func (q *queue) watchWrites(fd int) error { return q.watch(fd, unix.EVFILT_WRITE, 0) }

// forget takes a descriptor out of the queue that stays open.
func (q *queue) forget(fd int) {
	for _, filter := range []int{unix.EVFILT_READ, unix.EVFILT_WRITE} {
		change := make([]unix.Kevent_t, 1)
		unix.SetKevent(&change[0], fd, filter, unix.EV_DELETE)
		_, _ = unix.Kevent(q.fd, change, nil, nil) // if it is in it
	}
}

func (q *queue) watch(ident, filter int, notes uint32) error {
	change := make([]unix.Kevent_t, 1)
	unix.SetKevent(&change[0], ident, filter, unix.EV_ADD|unix.EV_CLEAR)
	change[0].Fflags = notes
	_, err := unix.Kevent(q.fd, change, nil, nil)
	return err
}

// at is the descriptor of an event, and whether it says that the end is near.
func (e *eventList) at(i int) (fd int, hangup bool) {
	return int(e[i].Ident), e[i].Flags&unix.EV_EOF != 0
}
