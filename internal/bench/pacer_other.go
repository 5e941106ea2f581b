//go:build !linux

package bench

import (
	"context"
	"time"
)

// A pacer sleeps as precisely as the runtime does. For one goroutine.
type pacer struct {
	ctx context.Context // whose end ends every sleep
}

// newPacer returns a pacer whose sleep fails when ctx ends.
func newPacer(ctx context.Context) (*pacer, error) { return &pacer{ctx: ctx}, nil }

// sleep waits for d, or not at all when d is not positive.
func (p *pacer) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

func (p *pacer) close() {}
