package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer sleeps with the precision of the kernel's timers. The runtime's own
// timers wake an idle process through epoll, in whole milliseconds: ten times the
// latencies that are measured here. For one goroutine.
type pacer struct {
	timer *os.File
	fd    int // of timer
	buf   [8]byte
	done  func() bool // stops waiting for the context
}

// newPacer returns a pacer whose sleep fails when ctx ends.
func newPacer(ctx context.Context) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	p := &pacer{timer: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
	p.done = context.AfterFunc(ctx, func() {
		_ = p.timer.SetReadDeadline(time.Unix(1, 0)) // fails only when closed: then nobody sleeps
	})
	return p, nil
}

// sleep waits for d, or not at all when d is not positive.
func (p *pacer) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	err := unix.TimerfdSettime(p.fd, 0, &spec, nil)
	if err == nil {
		_, err = p.timer.Read(p.buf[:])
	}
	if err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	return nil
}

func (p *pacer) close() {
	p.done()
	p.timer.Close()
}
