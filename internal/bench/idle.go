package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Idle is people who are there and say nothing: what they cost a server in memory
// and in CPU time. Once they have talked, their clients say that they are still there.
type Idle struct {
	Mode      Mode
	Conns     int           // connections, each in one channel
	Members   int           // per channel; Conns is rounded down to whole channels
	Heartbeat time.Duration // between two heartbeats of one of them, after the traffic, to servers that want them; 0: none
	Quiet     time.Duration // how long nothing is said, before the traffic and after it
	Rate      float64       // pushes per second in between, all members together
	Traffic   time.Duration // how long they talk
	TextSize  int           // bytes of text in a push
}

// The phases of Idle.
const (
	silent      = "silent"
	silentAgain = "silent again"
	beating     = "heartbeats"
)

func (i Idle) name() string { return "idle" }

func (i Idle) unit() string { return "connections" }

func (i Idle) describe() string {
	text := fmt.Sprintf("%d connections in channels of %d, %s: %s of silence, then %g pushes/s for %s, then %s of ",
		i.Conns, i.Members, i.Mode, i.Quiet, i.Rate, i.Traffic, i.Quiet)
	if i.Heartbeat == 0 {
		return text + "silence again"
	}
	return text + fmt.Sprintf("nothing but a heartbeat of each every %s", i.Heartbeat)
}

func (i Idle) crowd() crowd {
	return crowd{mode: i.Mode, channels: i.Conns / max(i.Members, 1), members: i.Members, writers: i.Members, textSize: i.TextSize}
}

func (i Idle) validate() error {
	return errors.Join(i.crowd().validate(), hold(
		condition{i.Quiet > 0, "some silence is needed"},
		condition{i.Heartbeat >= 0, "the time between two heartbeats must not be below 0"},
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
	before, err := i.silence(ctx, s.patience, m, l, 0)
	if err != nil {
		return nil, err
	}
	if err := l.drive(ctx, Poisson(1, i.Rate, c.channels*c.writers), 0, i.Traffic, m); err != nil {
		return nil, err
	}
	l.settle(ctx, s.patience)
	after, err := i.silence(ctx, s.patience, m, l, i.Heartbeat)
	if err != nil {
		return nil, err
	}
	l.close()
	before.Phase, after.Phase = silent, silentAgain
	if _, ok := l.subject.(beater); ok && i.Heartbeat > 0 {
		after.Phase = beating
	}
	after.Errors, after.FirstError = l.faults.get()
	after.Lost, after.OutOfOrder = l.lost(), l.disordered.Load()
	return []Figures{before, after}, nil
}

// silence measures what the server uses while nothing but heartbeats is said, and
// holds at the end of that.
func (i Idle) silence(ctx context.Context, patience time.Duration, m *meter, l *load, heartbeat time.Duration) (Figures, error) {
	if err := m.begin(); err != nil {
		return Figures{}, err
	}
	sent, err := i.beat(ctx, l, heartbeat)
	if err != nil {
		return Figures{}, err
	}
	if err := errors.Join(m.end(), m.memory(&m.after)); err != nil {
		return Figures{}, err
	}
	if err := until(ctx, patience, "answers to heartbeats", func() bool { return l.beats.Load() >= sent }); err != nil {
		return Figures{}, err
	}
	l.beats.Store(0)
	m.idle = m.after
	var f Figures
	m.report(&f, int64(len(l.members)))
	return f, nil
}

// beat sends heartbeats for as long as nothing else is said, those of all members
// evenly spread, and says how many.
func (i Idle) beat(ctx context.Context, l *load, every time.Duration) (sent int64, err error) {
	p := &l.loop.pacer
	end := time.Now().Add(i.Quiet)
	s, ok := l.subject.(beater)
	if !ok || every == 0 {
		return 0, p.sleep(ctx, time.Until(end))
	}
	beat := s.heartbeat()
	begin := time.Now()
	for schedule := Steady(float64(len(l.members))/every.Seconds(), len(l.members)); ; sent++ {
		a := schedule.Next()
		due := begin.Add(a.At)
		if !due.Before(end) {
			return sent, p.sleep(ctx, time.Until(end))
		}
		if err := p.sleep(ctx, time.Until(due)); err != nil {
			return sent, err
		}
		if err := l.members[a.Writer].sock.send(beat); err != nil {
			return sent, fmt.Errorf("heartbeat: %w", err)
		}
	}
}
