package session_test

import (
	"context"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// breakable is an engine whose logs can go on elsewhere, as in a cluster that
// has lost one.
type breakable struct {
	engine.Engine
	mu    sync.Mutex
	sinks []engine.Sink
}

func (b *breakable) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	b.mu.Lock()
	b.sinks = append(b.sinks, sink)
	b.mu.Unlock()
	return b.Engine.Watch(ctx, channel, sink)
}

// reset tells all watchers that their log goes on elsewhere.
func (b *breakable) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sink := range b.sinks {
		sink.Deliver([]engine.Event{{Reset: &engine.Position{Epoch: "another"}}})
		sink.Flush()
	}
}

func TestBroken(t *testing.T) {
	t.Run("[S4] members of a log that goes on elsewhere are told to join again, once", func(t *testing.T) {
		w := newWorld(t)
		b := &breakable{Engine: w.engine.Engine}
		w.engine.Engine = b
		a, ben := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", `{"presence":{"enabled":false}}`)
		ben.join("realtime:x", `{"presence":{"enabled":false}}`)
		b.reset()
		for _, c := range []*client{a, ben} {
			if f := c.next(); f.event != "phx_error" || f.joinRef == "" || f.payload["retryable"] != true {
				t.Errorf("got %s", f.raw)
			}
		}
		b.reset()
		a.quiet()
		a.join("realtime:x", `{"presence":{"enabled":false}}`)
		ben.join("realtime:x", `{"presence":{"enabled":false}}`)
		a.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1}`)
		ben.want("broadcast")
	})
}
