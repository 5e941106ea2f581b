package transport

import (
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// eventList is what is fetched from the kernel's queue at once. Each event is
// told once (EPOLLET, see epoll(7)).
type eventList [128]unix.EpollEvent

func openQueue() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) }

// watchReads lets the queue tell when there is something to read, and of the end.
func watchReads(queue, fd int) error {
	return unix.EpollCtl(queue, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd),
	})
}

// watchWrites lets it tell as well when there is room again.
func watchWrites(queue, fd int) error {
	return unix.EpollCtl(queue, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd),
	})
}

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
