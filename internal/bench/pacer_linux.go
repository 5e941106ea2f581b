package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer sleeps with the precision of the kernel's timers. The runtime's own
// timers wake an idle process through epoll, in whole milliseconds: ten times the
// latencies that are measured here. For one goroutine.
type pacer struct {
	timer *os.File
	raw   syscall.RawConn // of timer
	done  func() bool     // stops waiting for the context

	// What one sleep is about; here, so that none makes garbage.
	spec   unix.ItimerSpec // what the timer is set to; 0: it is set
	until  time.Time
	failed error
	look   func(fd uintptr) bool
}

// newPacer returns a pacer whose sleep fails when ctx ends.
func newPacer(ctx context.Context) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	p := &pacer{timer: os.NewFile(uintptr(fd), "timerfd")}
	if p.raw, err = p.timer.SyscallConn(); err != nil {
		p.timer.Close()
		return nil, fmt.Errorf("create timer: %w", err)
	}
	p.look = p.over
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
	p.until, p.failed = time.Now().Add(d), nil
	p.spec.Value = unix.NsecToTimespec(int64(d))
	if err := errors.Join(p.raw.Read(p.look), p.failed); err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	return nil
}

// over says whether the time is. At first it sets the timer, and lets the runtime
// wait for the descriptor. What a timer tells does not have to be read: it tells
// anew when it is set anew.
func (p *pacer) over(fd uintptr) bool {
	if p.spec.Value == (unix.Timespec{}) {
		return !time.Now().Before(p.until)
	}
	p.failed = setTimer(int(fd), &p.spec)
	p.spec.Value = unix.Timespec{}
	return p.failed != nil
}

func (p *pacer) close() {
	p.done()
	p.timer.Close()
}
