package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows never waits. Package unix tells the scheduler nonetheless that a
// system call begins, and the first that does so after an idle moment wakes the
// runtime's monitor, which sleeps for 20 µs again and again on a thread of its own
// until everything is idle once more. raw leaves that out.

func (o ownLoop) epollWait(queue int, events []unix.EpollEvent, msec int) (int, error) {
	if !o.raw || msec != 0 {
		return unix.EpollWait(queue, events, msec)
	}
	return result(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(queue), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

func (o ownLoop) read(fd int, b []byte) (int, error) {
	if !o.raw {
		return unix.Read(fd, b)
	}
	return result(unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func (o ownLoop) write(fd int, b []byte) (int, error) {
	if !o.raw {
		return unix.Write(fd, b)
	}
	return result(unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
