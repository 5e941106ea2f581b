package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
)

// Latency is two members of one channel who answer each other: one push is in
// flight at a time, so nothing waits for anything but itself.
type Latency struct {
	Mode     Mode
	Count    int // pushes that count
	Warmup   int // pushes before that
	TextSize int // bytes of text in a push
}

func (p Latency) name() string { return "latency" }

func (p Latency) unit() string { return "deliveries" }

func (p Latency) describe() string {
	return fmt.Sprintf("ping-pong of two members, %s, %d pushes of %d bytes of text after %d to warm up", p.Mode, p.Count, p.TextSize, p.Warmup)
}

func (p Latency) crowd() crowd {
	return crowd{mode: p.Mode, channels: 1, members: 2, writers: 2, textSize: p.TextSize}
}

func (p Latency) validate() error {
	if err := p.crowd().validate(); err != nil {
		return err
	}
	return hold(
		condition{p.Count >= 1 && p.Warmup >= 0, "the count must be above 0"},
		condition{p.Count+p.Warmup <= seqMax, "too many pushes for one run"},
	)
}

func (p Latency) run(ctx context.Context, s site) ([]Figures, error) {
	return crowded(ctx, s, p.crowd(), func(l *load, m *meter) error {
		runtime.GC()
		l.from.Store(math.MaxInt64)
		l.until.Store(math.MaxInt64)
		for i := range p.Warmup + p.Count {
			if i == p.Warmup {
				l.from.Store(l.now())
				if err := m.begin(); err != nil {
					return err
				}
			}
			if err := l.rally(ctx, l.writer(i%2), s.patience); err != nil {
				return err
			}
		}
		return m.end()
	})
}

// rally makes one push and waits until the other member has it.
func (l *load) rally(ctx context.Context, m *member, patience time.Duration) error {
	if err := l.pushNow(m, l.now(), unixMillis()); err != nil {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-l.arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		_, first := l.faults.get()
		return fmt.Errorf("push %d of writer %d did not arrive within %s (first error: %q)", m.push.seq, m.push.writer, patience, first)
	}
}
