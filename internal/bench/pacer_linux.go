package bench

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer sleeps with the precision of the kernel's timers. The runtime's own
// timers wake an idle process through epoll, in whole milliseconds: ten times the
// latencies that are measured here. Its loop rings: when it sees that the time is,
// and when the timer's event comes, which is set only while the loop rests. One that
// always has something to read would hear of it late, and on a virtual machine each
// setting asks the host. For one goroutine that sleeps.
type pacer struct {
	now   func() int64
	timer int // its descriptor

	due     atomic.Int64 // when the one who sleeps is to be woken, or never
	resting atomic.Bool  // the loop waits for events, and looks at no clock
	rung    chan error   // holds at most one: of the sleep whose due was taken
}

const never = math.MaxInt64

// open lets a loop ring.
func (p *pacer) open(lp *loop) (err error) {
	p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create timer: %w", err)
	}
	p.now, p.rung = lp.now, make(chan error, 1)
	p.due.Store(never)
	if err := lp.watch(p.timer); err != nil {
		p.close()
		return fmt.Errorf("watch timer: %w", err)
	}
	return nil
}

// sleep waits for d, or not at all when d is not positive. It fails when ctx ends.
func (p *pacer) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	due := p.now() + int64(d)
	p.due.Store(due) // before the look at the loop, which rests before it looks here
	var err error
	if p.resting.Load() {
		err = p.set(due)
	}
	if err == nil {
		select {
		case err := <-p.rung:
			return err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if !p.due.CompareAndSwap(due, never) {
		<-p.rung // not for the next sleep
	}
	return fmt.Errorf("sleep: %w", err)
}

// set lets the timer tell its loop at an instant. What it tells does not have to be
// read: it tells anew when it is set anew.
func (p *pacer) set(due int64) error {
	in := max(due-p.now(), 1) // 0 would unset it
	return setTimer(p.timer, unix.ItimerSpec{Value: unix.NsecToTimespec(in)})
}

// rest is called by the loop before it waits for events.
func (p *pacer) rest() {
	p.resting.Store(true)
	for due := p.due.Load(); due != never; {
		if err := p.set(due); err != nil && p.due.CompareAndSwap(due, never) {
			p.rung <- fmt.Errorf("sleep: %w", err)
		}
		set := due
		if due = p.due.Load(); due == set { // otherwise the timer may have been set for the next sleep before
			return
		}
	}
}

// work is called by the loop when it has events again.
func (p *pacer) work() { p.resting.Store(false) }

// ring wakes the one who sleeps if it is time, and says whether it was. For the loop.
func (p *pacer) ring(now int64) bool {
	due := p.due.Load()
	if now < due || !p.due.CompareAndSwap(due, never) {
		return false
	}
	p.rung <- nil // each due is taken once, so there is room
	return true
}

// close gives the timer back; nobody may sleep any more. Idempotent.
func (p *pacer) close() {
	if p.timer != 0 {
		_ = unix.Close(p.timer) // nothing is lost by it
		p.timer = 0
	}
}
