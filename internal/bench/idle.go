package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Idle is people who are there and say nothing: what they cost a server in
// memory and in CPU time, and what they hold once they have talked.
type Idle struct {
	Mode     Mode
	Conns    int           // connections, each in one channel
	Members  int           // per channel; Conns is rounded down to whole channels
	Quiet    time.Duration // how long nothing is said, before the traffic and after it
	Rate     float64       // pushes per second in between, all members together
	Traffic  time.Duration // how long they talk
	TextSize int           // bytes of text in a push
}

func (i Idle) name() string { return "idle" }

func (i Idle) unit() string { return "connections" }

func (i Idle) describe() string {
	return fmt.Sprintf("%d connections in channels of %d, %s: %s of silence, then %g pushes/s for %s, then silence again",
		i.Conns, i.Members, i.Mode, i.Quiet, i.Rate, i.Traffic)
}

func (i Idle) crowd() crowd {
	return crowd{mode: i.Mode, channels: i.Conns / max(i.Members, 1), members: i.Members, writers: i.Members, textSize: i.TextSize}
}

func (i Idle) validate() error {
	return errors.Join(i.crowd().validate(), hold(
		condition{i.Quiet > 0, "some silence is needed"},
		condition{i.Rate > 0 && i.Traffic > 0, "some traffic is needed"},
	))
}

func (i Idle) run(ctx context.Context, s site) ([]Figures, error) {
	c := i.crowd()
	m, err := newMeter(s.pid, c.channels*c.members)
	if err != nil {
		return nil, err
	}
	l, err := openLoad(ctx, s.subject, c, s.run)
	defer l.close()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, l.hangUp) // wakes whoever reads or writes
	defer stop()
	before, err := i.silence(ctx, m, l, "silent")
	if err != nil {
		return nil, err
	}
	if err := l.drive(ctx, Poisson(1, i.Rate, c.channels*c.writers), 0, i.Traffic, m); err != nil {
		return nil, err
	}
	l.settle(ctx, s.patience)
	after, err := i.silence(ctx, m, l, "silent again")
	if err != nil {
		return nil, err
	}
	l.close()
	after.Errors, after.FirstError = l.faults.get()
	after.Lost, after.OutOfOrder = l.lost(), l.disordered.Load()
	return []Figures{before, after}, nil
}

// silence measures what the server uses while nothing is said, and holds at the
// end of that.
func (i Idle) silence(ctx context.Context, m *meter, l *load, phase string) (Figures, error) {
	if err := m.begin(); err != nil {
		return Figures{}, err
	}
	select {
	case <-time.After(i.Quiet):
	case <-ctx.Done():
		return Figures{}, ctx.Err()
	}
	if err := errors.Join(m.end(), m.memory(&m.after)); err != nil {
		return Figures{}, err
	}
	m.idle = m.after
	f := Figures{Phase: phase}
	m.report(&f, int64(len(l.members)))
	return f, nil
}
