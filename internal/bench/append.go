package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Append is an engine alone, without a socket before it: how fast are entries
// acknowledged, by how many who append at a time? It bounds what a server can do.
type Append struct {
	// Engine names the engine in the report, and says how durable it is.
	Engine string
	// Open opens an engine with an empty log that may keep its files in dir.
	Open       func(dir string) (engine.Engine, error)
	Durability engine.Durability
	Writers    []int // one phase each
	Channels   int   // that they write to in turn
	Bytes      int   // of data in an entry
	Duration   time.Duration
}

func (a Append) name() string { return "append" }

func (a Append) unit() string { return "appends" }

func (a Append) describe() string {
	return fmt.Sprintf("%s: entries of %d bytes to %d channels, %s", a.Engine, a.Bytes, a.Channels, a.Duration)
}

func (a Append) validate() error {
	for _, n := range a.Writers {
		if n < 1 {
			return errors.New("at least one writer is needed")
		}
	}
	return hold(
		condition{a.Open != nil, "an engine is needed"},
		condition{len(a.Writers) >= 1, "at least one writer is needed"},
		condition{a.Channels >= 1, "at least one channel is needed"},
		condition{a.Bytes >= 1, "an entry has one byte at least"},
		condition{a.Duration > 0, "the duration must be above 0"},
	)
}

// run needs no server: runHere is what Run calls.
func (a Append) run(context.Context, site) ([]Figures, error) {
	return nil, errors.New("it measures an engine, and no server")
}

// runHere measures an engine of its own for each phase.
func (a Append) runHere(ctx context.Context, dir string) ([]Figures, error) {
	var out []Figures
	for _, writers := range a.Writers {
		f, err := a.phase(ctx, dir, writers)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (a Append) phase(ctx context.Context, parent string, writers int) (f Figures, err error) {
	dir, err := os.MkdirTemp(parent, "chorale-bench-")
	if err != nil {
		return f, fmt.Errorf("make a directory for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	eng, err := a.Open(dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	m, err := newMeter(0, writers)
	if err != nil {
		return f, err
	}
	names := make([]string, a.Channels)
	for i := range names {
		names[i] = fmt.Sprintf("room-%d", i)
		if _, err := a.one(ctx, eng, names[i]); err != nil { // the first of a channel has more to do
			return f, err
		}
	}
	if err := m.begin(); err != nil {
		return f, err
	}
	measured, done := context.WithTimeout(ctx, a.Duration)
	defer done()
	var took Histogram
	var next atomic.Int64
	var faults faults
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for measured.Err() == nil {
				d, err := a.one(ctx, eng, names[int(next.Add(1))%len(names)])
				if err != nil {
					faults.add(err.Error())
					return
				}
				took.Record(d)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(ctx.Err(), m.end()); err != nil {
		return f, err
	}
	f.Phase = fmt.Sprintf("%d at a time", writers)
	m.report(&f, int64(took.Count()))
	f.setLatency(&took)
	f.Errors, f.FirstError = faults.get()
	return f, nil
}

// one appends one entry and says how long that took.
func (a Append) one(ctx context.Context, eng engine.Engine, channel string) (time.Duration, error) {
	began := time.Now()
	_, err := eng.Append(ctx, channel, engine.Write{Kind: engine.KindMessage, Data: make([]byte, a.Bytes), Durability: a.Durability})
	return time.Since(began), err
}
