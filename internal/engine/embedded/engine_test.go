package embedded

import (
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	if crashChild() || manifestChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// open opens an engine with options that suit tests.
func open(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.BallastBytes == 0 {
		o.BallastBytes = -1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fakeClock is a time that only a test moves.
type fakeClock struct{ now atomic.Int64 }

func newFakeClock() *fakeClock {
	c := &fakeClock{}
	c.now.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *fakeClock) Now() time.Time          { return time.Unix(0, c.now.Load()) }
func (c *fakeClock) Advance(d time.Duration) { c.now.Add(int64(d)) }

// withClock opens engines in the given directories, for enginetest.Clock.
func withClock(dir func(t *testing.T) string) enginetest.Option {
	return enginetest.Clock(func(t *testing.T, age time.Duration) (engine.Engine, func(time.Duration)) {
		c := newFakeClock()
		e := open(t, Options{Dir: dir(t), Clock: c.Now, TombstoneAge: age})
		return e, func(d time.Duration) {
			c.Advance(d)
			e.sweepAll()
		}
	})
}

// sweepAll does at once what the sweeper does in a while.
func (e *Engine) sweepAll() {
	for i := range e.shards {
		e.shards[i].sweep()
	}
}

func TestMemory(t *testing.T) {
	enginetest.Run(t,
		func(t *testing.T) engine.Engine { return open(t, Options{}) },
		withClock(func(*testing.T) string { return "" }),
	)
}

func TestDisk(t *testing.T) {
	enginetest.Run(t,
		func(t *testing.T) engine.Engine { return open(t, Options{Dir: t.TempDir()}) },
		enginetest.Durabilities(engine.Memory, engine.OS, engine.Disk),
		withClock(func(t *testing.T) string { return t.TempDir() }),
		enginetest.Reopen(func(t *testing.T) (engine.Engine, func() engine.Engine) {
			dir := t.TempDir()
			e := open(t, Options{Dir: dir})
			return e, func() engine.Engine {
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				e = open(t, Options{Dir: dir})
				return e
			}
		}),
	)
}
