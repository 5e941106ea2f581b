package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Subscribers is whether a delivery costs the same however many get it: Fanout with
// ever more subscribers, and as many deliveries a second each time. Pushes are as
// far apart as it takes, so that one has long been delivered when the next comes and
// nothing is to be gained by joining their frames.
type Subscribers struct {
	Mode       Mode
	Counts     []int         // of subscribers, one phase each
	Deliveries float64       // per second
	Warmup     time.Duration // of each phase
	Duration   time.Duration // of each phase, of what counts
	TextSize   int
}

func (g Subscribers) name() string { return "subscribers" }

func (g Subscribers) unit() string { return "deliveries" }

func (g Subscribers) describe() string {
	return fmt.Sprintf("one writer, ever more subscribers, %s, %s deliveries/s each time, pushes so evenly spaced that one is delivered before the next is made and frames are not joined, text of %d bytes, %s after a warm-up of %s",
		g.Mode, whole(g.Deliveries), g.TextSize, g.Duration, g.Warmup)
}

func (g Subscribers) at(n int) paced {
	return Fanout{Mode: g.Mode, Subscribers: n, Rate: g.Deliveries / float64(n), Warmup: g.Warmup, Duration: g.Duration, TextSize: g.TextSize}
}

func (g Subscribers) validate() error { return validateGrowth(g.Counts, g.at) }

func (g Subscribers) run(ctx context.Context, s site) ([]Figures, error) {
	return grow(ctx, s, g.Counts, "subscribers", g.at)
}

// Channels is whether a delivery costs the same however many channels there are.
// The pushes are the same each time, in channels at random, evenly spaced and so
// far apart that none waits for another, in one channel as in many.
type Channels struct {
	Mode     Mode
	Counts   []int   // of channels, one phase each
	Members  int     // per channel, of whom one pushes
	Shared   int     // channels that one connection is in, where there are so many
	Rate     float64 // pushes per second
	Warmup   time.Duration
	Duration time.Duration
	TextSize int
	Seed     uint64
}

func (g Channels) name() string { return "channels" }

func (g Channels) unit() string { return "deliveries" }

func (g Channels) describe() string {
	return fmt.Sprintf("ever more channels × %d members, a connection in up to %d of them, %s, %g pushes/s, in channels at random and so evenly spaced that frames are not joined, text of %d bytes, %s after a warm-up of %s; the floor has as many connections, each in one channel",
		g.Members, g.Shared, g.Mode, g.Rate, g.TextSize, g.Duration, g.Warmup)
}

func (g Channels) at(n int) paced { return scattered{g, n} }

// apart is at for subjects whose connections have one channel each: as many
// connections, in fewer channels.
func (g Channels) apart(n int) paced {
	conns := g.at(n).crowd().conns()
	g.Shared = 1
	return g.at(conns / g.Members)
}

func (g Channels) validate() error {
	return errors.Join(validateGrowth(g.Counts, g.at), hold(condition{g.Shared >= 1, "a connection is in one channel at least"}))
}

func (g Channels) run(ctx context.Context, s site) ([]Figures, error) {
	at := g.at
	if _, ok := s.subject.(sharer); !ok {
		at = g.apart
	}
	return grow(ctx, s, g.Counts, "channels", at)
}

// scattered is one phase of Channels.
type scattered struct {
	Channels
	n int // channels
}

func (p scattered) crowd() crowd {
	return crowd{mode: p.Mode, channels: p.n, members: p.Members, writers: 1, shared: p.Shared, textSize: p.TextSize}
}

func (p scattered) schedule() *Schedule { return Scattered(p.Seed, p.Rate, p.n) }

func (p scattered) window() (warmup, duration time.Duration) { return p.Warmup, p.Duration }

func (p scattered) validate() error { return validatePaced(p.crowd(), p.Rate, p.Warmup, p.Duration) }

func validateGrowth(counts []int, at func(n int) paced) error {
	if len(counts) < 2 {
		return errors.New("growth is between two counts at least")
	}
	for _, n := range counts {
		if n < 1 {
			return fmt.Errorf("a count of %d", n)
		}
		if err := at(n).validate(); err != nil {
			return err
		}
	}
	return nil
}

// grow measures one count after the other.
func grow(ctx context.Context, s site, counts []int, what string, at func(n int) paced) ([]Figures, error) {
	var out []Figures
	for _, n := range counts {
		p, here := at(n), s
		here.run = fmt.Sprintf("%s-%d", s.run, n)
		figures, err := crowded(ctx, here, p.crowd(), func(l *load, m *meter) error {
			warmup, duration := p.window()
			return l.drive(ctx, p.schedule(), warmup, duration, m)
		})
		phase := whole(float64(n)) + " " + what
		if n == 1 {
			phase = "1 " + what[:len(what)-1]
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", phase, err)
		}
		figures[0].Phase = phase
		out = append(out, figures[0])
	}
	return out, nil
}
