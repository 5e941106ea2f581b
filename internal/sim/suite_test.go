package sim

import (
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSharedLog(t *testing.T) {
	t.Run("a node alone passes the suite", func(t *testing.T) {
		enginetest.Run(t, func(*testing.T) engine.Engine {
			return newSharedLog(time.Now, tombstoneAge, Faults{}).join("a", false)
		}, ages(false), several(false))
	})
	t.Run("so does a node among others, whose news take time", func(t *testing.T) {
		enginetest.Run(t, func(*testing.T) engine.Engine {
			l := newSharedLog(time.Now, tombstoneAge, Faults{})
			l.join("b", true)
			return l.join("a", true)
		}, ages(true), several(true))
	})
}

// several opens the nodes of a cluster.
func several(relaxed bool) enginetest.Option {
	return enginetest.Nodes(func(*testing.T) (nodes []engine.Engine) {
		l := newSharedLog(time.Now, tombstoneAge, Faults{})
		for _, name := range []string{"a", "b", "c"} {
			nodes = append(nodes, l.join(name, relaxed))
		}
		return nodes
	})
}

// ages opens nodes whose time a test turns.
func ages(relaxed bool) enginetest.Option {
	return enginetest.Clock(func(_ *testing.T, age time.Duration) (engine.Engine, func(time.Duration)) {
		begun := time.Now()
		var ahead atomic.Int64
		now := func() time.Time { return begun.Add(time.Duration(ahead.Load())) }
		return newSharedLog(now, age, Faults{}).join("a", relaxed), func(d time.Duration) { ahead.Add(int64(d)) }
	})
}
