package natsengine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/chorale-rt/chorale/internal/engine"
)

// patience is how long a test waits for what must happen. It only runs out when
// the test fails.
const patience = 30 * time.Second

const room = "room:7"

// eventually waits until what was said holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pair opens two nodes of one installation, which are closed when the test ends.
func pair(t *testing.T, s *server.Server, o Options) (a, b *Engine) {
	t.Helper()
	o.Prefix = unusedPrefix()
	a, b = open(t, s, o), open(t, s, o)
	t.Cleanup(func() { mustClose(t, a); mustClose(t, b) })
	return a, b
}

func mustClose(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func mustAppend(t testing.TB, e *Engine, w engine.Write) engine.Position {
	t.Helper()
	r, err := e.Append(t.Context(), room, w)
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

func text(format string, args ...any) engine.Write {
	return engine.Write{Kind: engine.KindMessage, Data: fmt.Appendf(nil, format, args...), Retention: engine.Retention{Messages: 100_000}}
}

// observer keeps what a watcher is handed.
type observer struct {
	at     engine.Position
	mu     sync.Mutex
	got    []string // data of entries, and what happened to leases
	resets []engine.Position
}

func observe(t *testing.T, e *Engine) *observer {
	t.Helper()
	o := &observer{}
	at, stop, err := e.Watch(t.Context(), room, engine.SinkFunc(o.sink))
	if err != nil {
		t.Fatal(err)
	}
	o.at = at
	t.Cleanup(stop)
	return o
}

func (o *observer) sink(events []engine.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ev := range events {
		switch {
		case ev.Entry != nil:
			o.got = append(o.got, string(ev.Entry.Data))
		case ev.Lease != nil && ev.Lease.Value == nil:
			o.got = append(o.got, "-"+ev.Lease.Holder)
		case ev.Lease != nil:
			o.got = append(o.got, "+"+ev.Lease.Holder+"="+string(ev.Lease.Value))
		case ev.Reset != nil:
			o.resets = append(o.resets, *ev.Reset)
		}
	}
}

func (o *observer) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.got...)
}

func (o *observer) reset() []engine.Position {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]engine.Position(nil), o.resets...)
}

// deafen makes a node miss everything that is published live for the room.
func deafen(t *testing.T, e *Engine) {
	t.Helper()
	s := e.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.channels[room].sub.Load().Unsubscribe(); err != nil {
		t.Fatal(err)
	}
}

// inStream counts the messages that a stream holds of the room's log.
func inStream(t *testing.T, e *Engine) int {
	t.Helper()
	p := partition(room, e.store.partitions)
	end, err := e.store.end(t.Context(), p, escape(room))
	if err != nil {
		return 0
	}
	list, err := e.store.between(t.Context(), p, escape(room), 0, end)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// fillUp appends so much that the log is compacted, and returns what it says.
func fillUp(t *testing.T, e *Engine) []string {
	t.Helper()
	var said []string
	for i := range 300 {
		said = append(said, fmt.Sprintf("%03d %s", i, strings.Repeat("x", 1000)))
		mustAppend(t, e, text("%s", said[i]))
	}
	if n := inStream(t, e); n >= 300 {
		t.Fatalf("%d messages are in the stream: nothing was compacted", n)
	}
	return said
}
