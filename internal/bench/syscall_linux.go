package bench

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait waits for events without limit, and does not tell the runtime: on one
// CPU that would give the processor to another thread at each wait, which costs
// more than the call. With an error it returns 0. unsafe is needed because package unix
// offers only the call that tells the runtime.
func epollWait(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// setTimer sets a timer, likewise: it takes no longer than asking for the time.
func setTimer(timer int, spec unix.ItimerSpec) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
