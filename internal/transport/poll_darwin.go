package transport

import "golang.org/x/sys/unix"

// eventList is what is fetched from the kernel's queue at once. Each event is
// told once (EV_CLEAR, see kqueue(2)).
type eventList [128]unix.Kevent_t

func openQueue() (int, error) {
	queue, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(queue)
	}
	return queue, err
}

// watchReads lets the queue tell when there is something to read, and of the end.
func watchReads(queue, fd int) error { return watch(queue, fd, unix.EVFILT_READ) }

// watchWrites lets it tell as well when there is room again.
func watchWrites(queue, fd int) error { return watch(queue, fd, unix.EVFILT_WRITE) }

func watch(queue, fd, filter int) error {
	change := make([]unix.Kevent_t, 1)
	unix.SetKevent(&change[0], fd, filter, unix.EV_ADD|unix.EV_CLEAR)
	_, err := unix.Kevent(queue, change, nil, nil)
	return err
}

// wait fetches events without waiting, and returns how many there were.
func (e *eventList) wait(queue int) int {
	for {
		n, err := unix.Kevent(queue, nil, e[:], &unix.Timespec{})
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
	return int(e[i].Ident), e[i].Flags&unix.EV_EOF != 0
}
