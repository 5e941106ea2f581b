package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Scenario is one kind of load: [Latency], [Rooms], [RoomsMax], [Fanout], [FanoutMax], [UsersMax], [Subscribers], [Channels],
// [Connect], [Idle], [Flood], [Hall], [Rush], [Order], [Reconnect], [CatchUp] or [Append].
type Scenario interface {
	// name is the subcommand that runs it.
	name() string
	// describe says its parameters in one line.
	describe() string
	// unit is what it counts, in the plural.
	unit() string
	// validate refuses parameters that make no load.
	validate() error
	// run measures one subject once: one Figures per phase.
	run(ctx context.Context, s site) ([]Figures, error)
}

// inProcess is a scenario that needs no server. Its files are in dir, or in the
// system's temporary directory.
type inProcess interface {
	runHere(ctx context.Context, dir string) ([]Figures, error)
}

// A site is where a scenario runs.
type site struct {
	subject subject
	pid     int        // of the server; 0 when it is elsewhere
	own     *ownServer // when it was started for this run, else nil
	hint    float64    // where a search of the last run ended; 0: there was none
	run     string     // no other run on this server has it

	// patience is how long after the last push deliveries may still come. What is
	// missing then is lost.
	patience time.Duration

	// What a process of the generator's own is started from, and where it complains;
	// "": there is none to start.
	executable string
	log        io.Writer
	pinned     bool // the generator has CPUs of its own
}

// inPhases measures one phase of a scenario after the other. No two have a channel in
// common.
func inPhases(ctx context.Context, s site, phases []string, measure func(ctx context.Context, s site, phase string) (Figures, error)) ([]Figures, error) {
	out := make([]Figures, 0, len(phases))
	for i, phase := range phases {
		at := s
		at.run = fmt.Sprintf("%s-%d", s.run, i)
		figures, err := measure(ctx, at, phase)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", phase, err)
		}
		out = append(out, figures)
	}
	return out, nil
}

// hold checks conditions in order and makes an error of the first that fails.
type condition struct {
	ok  bool
	why string
}

func hold(conditions ...condition) error {
	for _, c := range conditions {
		if !c.ok {
			return errors.New(c.why)
		}
	}
	return nil
}

// validate says whether there can be such a load.
func (c crowd) validate() error {
	if err := c.mode.validate(); err != nil {
		return err
	}
	return hold(
		condition{c.channels >= 1, "at least one channel is needed"},
		condition{c.members >= 2, "at least two members are needed: one pushes, another receives"},
		condition{c.writers <= writerMax, fmt.Sprintf("more than %d writers in a channel", writerMax)},
		condition{c.textSize >= stampLen, fmt.Sprintf("a text of %d bytes is too short: at least %d", c.textSize, stampLen)},
		condition{c.textSize <= textMax, fmt.Sprintf("a text of %d bytes is too long: at most %d", c.textSize, textMax)},
	)
}

// textMax keeps pushes within the limits of a note's content and of the floor.
const textMax = 20_000

// crowded runs do with a load of that shape, and adds up what was seen.
func crowded(ctx context.Context, s site, c crowd, do func(l *load, m *meter) error) ([]Figures, error) {
	m, err := newMeter(s.pid, c.conns())
	if err != nil {
		return nil, err
	}
	l, err := openLoad(ctx, s.subject, c, s.run)
	defer l.close()
	if err != nil {
		return nil, err
	}
	if err := m.memory(&m.idle); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, l.hangUp) // wakes whoever reads or writes
	defer stop()
	if err := do(l, m); err != nil {
		return nil, err
	}
	l.settle(ctx, s.patience)
	if err := errors.Join(ctx.Err(), m.memory(&m.after)); err != nil {
		return nil, err
	}
	l.close()

	var f Figures
	m.report(&f, l.arrivals.Load())
	f.Operations = int64(l.latency.Count())
	f.setLatency(&l.latency)
	f.LateP99Us = micros(l.late.Quantile(0.99))
	f.Errors, f.FirstError = l.faults.get()
	f.Lost, f.OutOfOrder = l.lost(), l.disordered.Load()
	return []Figures{f}, nil
}
