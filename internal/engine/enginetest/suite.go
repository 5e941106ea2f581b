package enginetest

import (
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Option adds tests for what not every engine can do.
type Option func(*suite)

// Reopen adds tests of what a new process finds. open returns an engine, and a
// function that closes it and opens another one on the same data.
func Reopen(open func(t *testing.T) (e engine.Engine, reopen func() engine.Engine)) Option {
	return func(s *suite) { s.reopen = open }
}

// Clock adds tests of age. open returns an engine whose time stands still but
// for advance, and whose tombstones live for the given time.
func Clock(open func(t *testing.T, tombstoneAge time.Duration) (e engine.Engine, advance func(time.Duration))) Option {
	return func(s *suite) { s.clock = open }
}

// Durabilities says which classes the tests append with; without it Memory and OS.
func Durabilities(ds ...engine.Durability) Option {
	return func(s *suite) { s.durabilities = ds }
}

type suite struct {
	open         func(t *testing.T) engine.Engine
	reopen       func(t *testing.T) (engine.Engine, func() engine.Engine)
	clock        func(t *testing.T, tombstoneAge time.Duration) (engine.Engine, func(time.Duration))
	nodes        func(t *testing.T) []engine.Engine
	durabilities []engine.Durability
}

// Run tests the engines that open returns, each of them empty.
func Run(t *testing.T, open func(t *testing.T) engine.Engine, opts ...Option) {
	s := &suite{open: open, durabilities: []engine.Durability{engine.Memory, engine.OS}}
	for _, o := range opts {
		o(s)
	}
	for _, d := range s.durabilities {
		t.Run(d.String(), func(t *testing.T) {
			t.Run("Order", func(t *testing.T) { s.testOrder(t, d) })
			t.Run("Watch", func(t *testing.T) { s.testWatch(t, d) })
			t.Run("Idempotency", func(t *testing.T) { s.testIdempotency(t, d) })
			t.Run("Conditions", func(t *testing.T) { s.testConditions(t, d) })
			t.Run("Values", func(t *testing.T) { s.testValues(t, d) })
			t.Run("History", func(t *testing.T) { s.testHistory(t, d) })
			t.Run("Retention", func(t *testing.T) { s.testRetention(t, d) })
			if s.clock != nil {
				t.Run("Age", func(t *testing.T) { s.testAge(t, d) })
			}
			if s.nodes != nil {
				t.Run("Nodes", func(t *testing.T) { s.testNodes(t, d) })
			}
		})
	}
	t.Run("Classes", s.testClasses)
	t.Run("Send", s.testSend)
	t.Run("Leases", s.testLeases)
	t.Run("Cancel", s.testCancel)
	t.Run("Close", s.testClose)
	if s.reopen != nil {
		t.Run("Reopen", s.testReopen)
	}
	if s.nodes != nil {
		t.Run("LeasesOfNodes", s.testLeasesOfNodes)
	}
}

// start opens an engine that is closed when the test ends.
func (s *suite) start(t *testing.T) engine.Engine {
	t.Helper()
	e := s.open(t)
	closeAtEnd(t, func() engine.Engine { return e })
	return e
}

// startClock is start for a test of age.
func (s *suite) startClock(t *testing.T, tombstoneAge time.Duration) (engine.Engine, func(time.Duration)) {
	t.Helper()
	e, advance := s.clock(t, tombstoneAge)
	closeAtEnd(t, func() engine.Engine { return e })
	return e, advance
}

// startAgain is start for a test that opens the engine again.
func (s *suite) startAgain(t *testing.T) (e engine.Engine, reopen func() engine.Engine) {
	t.Helper()
	e, again := s.reopen(t)
	closeAtEnd(t, func() engine.Engine { return e })
	return e, func() engine.Engine {
		e = again()
		return e
	}
}

func closeAtEnd(t *testing.T, current func() engine.Engine) {
	t.Cleanup(func() {
		if err := current().Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}
