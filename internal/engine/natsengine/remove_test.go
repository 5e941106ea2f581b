package natsengine

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestRemove(t *testing.T) {
	s := startServer(t)

	t.Run("[E7] what begins after a removal is another log", func(t *testing.T) {
		o := Options{Prefix: unusedPrefix(), Servers: []string{s.ClientURL()}, Partitions: 3, Logger: slog.New(slog.DiscardHandler)}
		e := open(t, s, o)
		old := mustAppend(t, e, text("gone"))
		mustClose(t, e)
		o.Partitions = 1 // what was made counts
		if err := Remove(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		e = open(t, s, o)
		defer mustClose(t, e)
		at, err := e.Head(t.Context(), room)
		if err != nil || at.Offset != 0 || at.Epoch == old.Epoch {
			t.Errorf("head %v after %v (%v)", at, old, err)
		}
		if n, err := e.store.js.Stream(t.Context(), e.store.subjects.stream(2)); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("a stream was left: %v (%v)", n, err)
		}
	})

	t.Run("streams of somebody else stay", func(t *testing.T) {
		o := Options{Prefix: unusedPrefix(), Servers: []string{s.ClientURL()}}
		e := open(t, s, Options{}) // for its connection
		defer mustClose(t, e)
		name := subjects{o.Prefix}.stream(0)
		if _, err := e.store.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{"theirs.>"}}); err != nil {
			t.Fatal(err)
		}
		if err := Remove(t.Context(), o); !errors.Is(err, errLayout) {
			t.Errorf("got %v", err)
		}
		if _, err := e.store.js.Stream(t.Context(), name); err != nil {
			t.Errorf("it is gone: %v", err)
		}
	})
}
