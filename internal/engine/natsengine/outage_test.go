package natsengine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/chorale-rt/chorale/internal/engine"
)

// restartable runs a NATS server that can be stopped and started again where it
// was, with what it had stored.
func restartable(t *testing.T) (s *server.Server, stop func(), again func()) {
	t.Helper()
	o := &server.Options{ServerName: "alone", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	run := func() {
		var err error
		if s, err = server.NewServer(o); err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("NATS server does not start")
		}
	}
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	run() // takes a port, which o has from then on
	t.Cleanup(func() { stop() })
	return s, stop, run
}

func TestOutage(t *testing.T) {
	t.Run("[E2] [E4] while no server is there callers are told, and what they send again is stored once when one is back", func(t *testing.T) {
		s, stop, again := restartable(t)
		e := open(t, s, Options{Patience: 300 * time.Millisecond})
		t.Cleanup(func() { mustClose(t, e) })
		w := observe(t, e)
		first := mustAppend(t, e, text("before"))
		if err := e.Healthy(); err != nil {
			t.Fatalf("before: %v", err)
		}
		stop()
		told := text("told")
		told.ID = "the same each time" // whether it is stored after all, nobody can know who was told that it cannot be
		if _, err := e.Append(t.Context(), room, told); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
		if _, err := e.Head(t.Context(), room); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("head: %v", err)
		}
		if err := e.Healthy(); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("health: %v", err)
		}
		if got, err := e.Read(t.Context(), room, engine.Position{Epoch: first.Epoch}, 0); err != nil || len(got) != 1 {
			t.Errorf("what is in memory is not read: %v (%v)", got, err)
		}
		again()
		eventually(t, "writes are taken", func() bool {
			_, err := e.Append(t.Context(), room, told)
			return err == nil
		})
		eventually(t, "it says so", func() bool { return e.Healthy() == nil })
		mustAppend(t, e, text("behind"))
		if got := w.seen(); !slices.Equal(got, []string{"before", "told", "behind"}) {
			t.Errorf("the watcher saw %q", got)
		}
		if r := w.reset(); len(r) > 0 {
			t.Errorf("the watcher was told of a loss: %v", r)
		}
	})

	t.Run("an append that waits outlives a restart of the server", func(t *testing.T) {
		s, stop, again := restartable(t)
		e := open(t, s, Options{Patience: patience})
		t.Cleanup(func() { mustClose(t, e) })
		w := observe(t, e)
		mustAppend(t, e, text("before"))
		stop()
		ended := make(chan error, 1)
		go func() {
			_, err := e.Append(t.Context(), room, text("waited"))
			ended <- err
		}()
		eventually(t, "it is tried in vain", func() bool { return e.store.parts[partition(room, 2)].trouble.Load() != 0 })
		again()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := w.seen(); !slices.Equal(got, []string{"before", "waited"}) {
			t.Errorf("the watcher saw %q", got)
		}
	})
}
