package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Connect is people who come: each connects, authenticates and joins a channel.
// First one after the other, which is what a person waits for, then many at a
// time, which is what a server bears.
type Connect struct {
	Mode     Mode
	Single   int // connections opened one after the other
	Conns    int // connections opened many at a time
	Parallel int // how many at a time
	Members  int // per channel
}

func (c Connect) name() string { return "connect" }

func (c Connect) unit() string { return "connects" }

func (c Connect) describe() string {
	return fmt.Sprintf("connect, authenticate and join, %s: %d one by one, then %d more, %d at a time, channels of %d",
		c.Mode, c.Single, c.Conns, c.Parallel, c.Members)
}

func (c Connect) validate() error {
	if err := c.Mode.validate(); err != nil {
		return err
	}
	return hold(
		condition{c.Single >= 1 && c.Conns >= 1, "at least one connection is needed"},
		condition{c.Parallel >= 1, "at least one connection at a time is needed"},
		condition{c.Members >= 1, "at least one member per channel is needed"},
	)
}

func (c Connect) run(ctx context.Context, s site) ([]Figures, error) {
	// The first use of anything is slower: of the code, of a core that slept.
	const warm = 20
	socks := make([]*socket, warm+c.Single+c.Conns)
	defer func() {
		for _, sock := range socks {
			if sock != nil {
				sock.close()
			}
		}
	}()
	if _, err := c.open(ctx, s, socks[:warm], 0, 1, ""); err != nil {
		return nil, err
	}
	one, err := c.open(ctx, s, socks[warm:warm+c.Single], warm, 1, "one by one")
	if err != nil {
		return nil, err
	}
	many, err := c.open(ctx, s, socks[warm+c.Single:], warm+c.Single, c.Parallel, fmt.Sprintf("%d at a time", c.Parallel))
	return []Figures{one, many}, err
}

// open opens a socket for each place, the first of whom is number first.
func (c Connect) open(ctx context.Context, s site, socks []*socket, first, parallel int, phase string) (Figures, error) {
	m, err := newMeter(s.pid, len(socks))
	if err != nil {
		return Figures{}, err
	}
	seats, addresses := make([]seat, len(socks)), make([]string, len(socks))
	for i := range socks {
		seats[i] = seat{mode: c.Mode, run: s.run, channel: (first + i) / c.Members, index: (first + i) % c.Members, textSize: stampLen}
		// Tokens are somebody else's work, and made beforehand.
		if addresses[i], err = s.subject.address(seats[i]); err != nil {
			return Figures{}, err
		}
	}
	var took Histogram
	var opened atomic.Int64
	var lost faults
	if err := m.begin(); err != nil {
		return Figures{}, err
	}
	err = inParallel(ctx, len(socks), parallel, func(i int) error {
		began := time.Now()
		sock, _, err := s.subject.join(ctx, addresses[i], seats[i])
		if err != nil {
			lost.add(err.Error())
			return ctx.Err() // one that is refused is counted, and the others go on
		}
		took.Record(time.Since(began))
		opened.Add(1)
		socks[i] = sock
		return nil
	})
	if err != nil {
		return Figures{}, err
	}
	if err := m.end(); err != nil {
		return Figures{}, err
	}
	if err := m.memory(&m.after); err != nil {
		return Figures{}, err
	}
	m.idle = m.after
	f := Figures{Phase: phase}
	m.report(&f, opened.Load())
	f.setLatency(&took)
	f.Errors, f.FirstError = lost.get()
	return f, nil
}
