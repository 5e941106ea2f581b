package natsengine

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer runs a NATS server in this process until the test ends.
func startServer(t testing.TB) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "alone", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// prefixes keeps the engines of one server apart.
var prefixes atomic.Int64

func unusedPrefix() string { return fmt.Sprint("test-", prefixes.Add(1)) }

// open opens an engine with options that suit tests.
func open(t testing.TB, s *server.Server, o Options) *Engine {
	t.Helper()
	if o.Servers == nil {
		o.Servers = []string{s.ClientURL()}
	}
	if o.Prefix == "" {
		o.Prefix = unusedPrefix()
	}
	if o.Partitions == 0 {
		o.Partitions = 2
	}
	if o.Logger == nil {
		var w io.Writer = io.Discard
		if os.Getenv("CHORALE_TEST_LOG") != "" {
			w = os.Stderr
		}
		o.Logger = slog.New(slog.NewTextHandler(w, nil))
	}
	e, err := Open(t.Context(), o)
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

// sweepAll does at once what the sweeper does in a while.
func (e *Engine) sweepAll() {
	for i := range e.shards {
		e.shards[i].sweep()
	}
}

func TestOneServer(t *testing.T) {
	s := startServer(t)
	enginetest.Run(t,
		func(t *testing.T) engine.Engine { return open(t, s, Options{}) },
		enginetest.Durabilities(engine.Memory, engine.Disk),
		enginetest.Clock(func(t *testing.T, age time.Duration) (engine.Engine, func(time.Duration)) {
			c := newFakeClock()
			e := open(t, s, Options{Clock: c.Now, TombstoneAge: age})
			return e, func(d time.Duration) {
				c.Advance(d)
				e.sweepAll()
			}
		}),
		enginetest.Nodes(func(t *testing.T) []engine.Engine {
			prefix := unusedPrefix()
			return []engine.Engine{open(t, s, Options{Prefix: prefix}), open(t, s, Options{Prefix: prefix}), open(t, s, Options{Prefix: prefix})}
		}),
		enginetest.Reopen(func(t *testing.T) (engine.Engine, func() engine.Engine) {
			prefix := unusedPrefix()
			e := open(t, s, Options{Prefix: prefix})
			return e, func() engine.Engine {
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				e = open(t, s, Options{Prefix: prefix})
				return e
			}
		}),
	)
}
