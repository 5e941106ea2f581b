//go:build !linux

package bench

import (
	"context"
	"time"
)

// A pacer sleeps as precisely as the runtime does.
type pacer struct{}

// sleep waits for d, or not at all when d is not positive. It fails when ctx ends.
func (pacer) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
