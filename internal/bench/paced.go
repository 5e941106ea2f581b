package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Rooms is the load of people who take notes together: many small channels, every
// member of which pushes at random.
type Rooms struct {
	Mode     Mode
	Rooms    int
	Members  int           // per room
	Rate     float64       // pushes per second, all members together
	Warmup   time.Duration // before anything counts
	Duration time.Duration // of what counts
	TextSize int           // bytes of text in a push
	Seed     uint64        // of the schedule
}

func (r Rooms) name() string { return "rooms" }

func (r Rooms) unit() string { return "deliveries" }

func (r Rooms) describe() string {
	return fmt.Sprintf("%d rooms × %d members, %s, %g pushes/s at random, text of %d bytes, %s after a warm-up of %s",
		r.Rooms, r.Members, r.Mode, r.Rate, r.TextSize, r.Duration, r.Warmup)
}

func (r Rooms) crowd() crowd {
	return crowd{mode: r.Mode, channels: r.Rooms, members: r.Members, writers: r.Members, textSize: r.TextSize}
}

func (r Rooms) validate() error { return validatePaced(r.crowd(), r.Rate, r.Warmup, r.Duration) }

func (r Rooms) schedule() *Schedule { return Poisson(r.Seed, r.Rate, r.Rooms*r.Members) }

func (r Rooms) window() (warmup, duration time.Duration) { return r.Warmup, r.Duration }

func (r Rooms) run(ctx context.Context, s site) ([]Figures, error) {
	return crowded(ctx, s, r.crowd(), func(l *load, m *meter) error {
		return l.drive(ctx, r.schedule(), r.Warmup, r.Duration, m)
	})
}

// Fanout is one member who talks to many, or a few of the many who do.
type Fanout struct {
	Mode        Mode
	Subscribers int     // who receive each push
	Writers     int     // who push in turn, each over a connection of its own; 0 means 1
	Rate        float64 // pushes per second, evenly spaced, all writers together
	Warmup      time.Duration
	Duration    time.Duration
	TextSize    int
}

func (f Fanout) name() string { return "fanout" }

func (f Fanout) unit() string { return "deliveries" }

func (f Fanout) describe() string {
	return fmt.Sprintf("%s, %d subscribers, %s, %g pushes/s, text of %d bytes, %s after a warm-up of %s",
		writers(f.Writers), f.Subscribers, f.Mode, f.Rate, f.TextSize, f.Duration, f.Warmup)
}

func (f Fanout) crowd() crowd {
	return crowd{mode: f.Mode, channels: 1, members: f.Subscribers + 1, writers: max(1, f.Writers), textSize: f.TextSize}
}

// writers says how many write; 0 are one.
func writers(n int) string {
	if n <= 1 {
		return "one writer"
	}
	return fmt.Sprintf("%d writers in turn", n)
}

func (f Fanout) validate() error { return validatePaced(f.crowd(), f.Rate, f.Warmup, f.Duration) }

func (f Fanout) schedule() *Schedule { return Steady(f.Rate, max(1, f.Writers)) }

func (f Fanout) window() (warmup, duration time.Duration) { return f.Warmup, f.Duration }

func (f Fanout) run(ctx context.Context, s site) ([]Figures, error) {
	return crowded(ctx, s, f.crowd(), func(l *load, m *meter) error {
		return l.drive(ctx, f.schedule(), f.Warmup, f.Duration, m)
	})
}

func validatePaced(c crowd, rate float64, warmup, duration time.Duration) error {
	if err := c.validate(); err != nil {
		return err
	}
	return hold(
		condition{rate > 0, "the rate must be above 0"},
		condition{warmup >= 0 && duration > 0, "the duration must be above 0"},
		condition{rate*(warmup+duration).Seconds() <= seqMax, "too many pushes for one run"},
	)
}

// respite is how much longer a window lasts before it is looked again whether it may
// end.
const respite = 50 * time.Millisecond

// drive makes the pushes of a schedule when they are due, whatever becomes of
// those before them. A push that cannot be written is a fault and does not stop
// the others. The window lasts for duration, and until what is beside the load is over.
func (l *load) drive(ctx context.Context, s *Schedule, warmup, duration time.Duration, m *meter) error {
	p := &l.loop.pacer
	runtime.GC() // the garbage of connecting is not to be collected in between
	begin := l.now()
	l.from.Store(begin + int64(warmup))
	l.until.Store(begin + int64(warmup+duration))
	for measured := false; ctx.Err() == nil; {
		a := s.Next()
		if a.At >= warmup && !measured {
			measured = true
			if err := p.sleep(ctx, time.Duration(l.from.Load()-l.now())); err != nil {
				return err
			}
			if err := l.beginWindow(m); err != nil {
				return err
			}
		}
		due := begin + int64(a.At)
		for end := l.until.Load(); due >= end; end = l.until.Add(int64(respite)) {
			if err := p.sleep(ctx, time.Duration(end-l.now())); err != nil {
				return err
			}
			if l.beside == nil || l.beside.over() {
				return m.end()
			}
		}
		if err := p.sleep(ctx, time.Duration(due-l.now())); err != nil {
			return err
		}
		now := time.Now()
		late := now.Sub(l.base) - time.Duration(due)
		if l.giveUp > 0 && late > l.giveUp {
			return errTooLate
		}
		if measured {
			l.late.Record(late)
		}
		if err := l.pushNow(l.writer(a.Writer), due, now.UnixMilli()); err != nil {
			l.faults.add(err.Error())
		}
	}
	return m.end()
}

// beginWindow begins the measured window, and what is beside the load.
func (l *load) beginWindow(m *meter) error {
	if err := m.begin(); err != nil || l.beside == nil {
		return err
	}
	return l.beside.begin()
}
