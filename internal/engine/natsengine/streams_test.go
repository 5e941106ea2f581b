package natsengine

import (
	"errors"
	"log/slog"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestStreams(t *testing.T) {
	s := startServer(t)
	// changed opens and closes an engine, and changes the stream that it has made.
	changed := func(t *testing.T, change func(*jetstream.StreamConfig)) Options {
		t.Helper()
		o := Options{Prefix: unusedPrefix(), Servers: []string{s.ClientURL()}, Partitions: 1, Logger: slog.New(slog.DiscardHandler)}
		e := open(t, s, o)
		mustAppend(t, e, text("kept"))
		stream, err := e.store.js.Stream(t.Context(), e.store.subjects.stream(0))
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		change(&cfg)
		if _, err := e.store.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		mustClose(t, e)
		return o
	}

	t.Run("[E7] a stream of an older layout is brought up to date, and its logs go on", func(t *testing.T) {
		o := changed(t, func(cfg *jetstream.StreamConfig) {
			cfg.Subjects = cfg.Subjects[:1]
			cfg.RePublish, cfg.AllowDirect = nil, false
			cfg.Metadata[metaFormat] = "0"
		})
		e := open(t, s, o)
		defer mustClose(t, e)
		stream, err := e.store.js.Stream(t.Context(), e.store.subjects.stream(0))
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		if want := e.store.config(0, cfg.Metadata[metaEpoch], 1); !sameLayout(&cfg, &want) {
			t.Errorf("it is %+v", cfg)
		}
		if at := mustAppend(t, e, text("behind")); at.Offset != 2 {
			t.Errorf("goes on at %v", at)
		}
	})

	t.Run("a stream of a newer program is refused", func(t *testing.T) {
		o := changed(t, func(cfg *jetstream.StreamConfig) { cfg.Metadata[metaFormat] = strconv.Itoa(streamFormat + 1) })
		if e, err := Open(t.Context(), o); !errors.Is(err, errLayout) {
			if err == nil {
				mustClose(t, e)
			}
			t.Errorf("got %v", err)
		}
	})

	t.Run("another number of partitions than was made does not move channels", func(t *testing.T) {
		o := changed(t, func(*jetstream.StreamConfig) {})
		o.Partitions = 7
		e := open(t, s, o)
		defer mustClose(t, e)
		if at := mustAppend(t, e, text("behind")); at.Offset != 2 || e.store.partitions != 1 {
			t.Errorf("%d partitions, goes on at %v", e.store.partitions, at)
		}
	})
}
