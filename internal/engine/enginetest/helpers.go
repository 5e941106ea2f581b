package enginetest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

const (
	room = "room-7"
	// patience is how long a test waits for what must happen. It only runs out
	// when the test fails.
	patience = 20 * time.Second
)

// message is a write that sets no key.
func message(d engine.Durability, data string) engine.Write {
	return engine.Write{Kind: engine.KindMessage, Data: []byte(data), Durability: d}
}

// keyed is a write that sets keys; puts alternate between keys and values.
func keyed(d engine.Durability, puts ...string) engine.Write {
	w := engine.Write{Kind: engine.KindChange, Data: []byte("change"), Durability: d}
	for kv := range slices.Chunk(puts, 2) {
		w.Puts = append(w.Puts, engine.Put{Key: kv[0], Data: []byte(kv[1])})
	}
	return w
}

// identified is a write with an id.
func identified(w engine.Write, id string) engine.Write {
	w.ID = id
	return w
}

// provided is a write that demands a key to be at a version.
func provided(w engine.Write, key string, version uint64) engine.Write {
	w.If = append(w.If, engine.Condition{Key: key, Version: version})
	return w
}

func deletion(d engine.Durability, key string) engine.Write {
	w := keyed(d, key, "")
	w.Puts[0].Data, w.Puts[0].Tombstone = nil, true
	return w
}

func mustAppend(t *testing.T, e engine.Engine, channel string, w engine.Write) engine.Receipt {
	t.Helper()
	r, err := e.Append(t.Context(), channel, w)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return r
}

func mustRead(t *testing.T, e engine.Engine, channel string, after engine.Position) []engine.Entry {
	t.Helper()
	entries, err := e.Read(t.Context(), channel, after, 0)
	if err != nil {
		t.Fatalf("read after %v: %v", after, err)
	}
	return entries
}

func mustHead(t *testing.T, e engine.Engine, channel string) engine.Position {
	t.Helper()
	p, err := e.Head(t.Context(), channel)
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return p
}

func mustState(t *testing.T, e engine.Engine, prefix string, after uint64) (engine.Position, []engine.Value) {
	t.Helper()
	p, values, err := e.State(t.Context(), room, prefix, after)
	if err != nil {
		t.Fatalf("state of %q after %d: %v", prefix, after, err)
	}
	return p, values
}

func mustGet(t *testing.T, e engine.Engine, key string) engine.Value {
	t.Helper()
	v, err := e.Get(t.Context(), room, key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return v
}

// recorder keeps what a watcher is handed, and checks what a sink may expect.
type recorder struct {
	at   engine.Position
	stop func()

	mu     sync.Mutex
	inside bool
	faults []string
	events []engine.Event
	grown  chan struct{} // replaced and closed with each call of the sink
}

func watch(t *testing.T, e engine.Engine, channel string) *recorder {
	t.Helper()
	r := &recorder{grown: make(chan struct{})}
	at, stop, err := e.Watch(t.Context(), channel, engine.SinkFunc(r.sink))
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	r.at, r.stop = at, stop
	t.Cleanup(stop)
	return r
}

func (r *recorder) sink(events []engine.Event) {
	r.mu.Lock()
	if r.inside {
		r.faults = append(r.faults, "sink was called while a call was under way")
	}
	r.inside = true
	r.mu.Unlock()

	runtime.Gosched() // give a second call the chance to be seen

	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside = false
	for _, ev := range events {
		if (ev.Entry == nil) == (ev.Lease == nil) {
			r.faults = append(r.faults, "an event must have exactly one field set")
		}
	}
	r.events = append(r.events, events...)
	close(r.grown)
	r.grown = make(chan struct{})
}

// entries returns the logged entries seen so far.
func (r *recorder) entries() []engine.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []engine.Entry
	for _, ev := range r.events {
		if ev.Entry != nil && ev.Entry.Offset > 0 {
			out = append(out, *ev.Entry)
		}
	}
	return out
}

// wait returns the first n events once there are as many.
func (r *recorder) wait(t *testing.T, n int) []engine.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		events, grown := r.events, r.grown
		r.mu.Unlock()
		if len(events) >= n {
			return events[:n]
		}
		select {
		case <-grown:
		case <-deadline:
			t.Fatalf("watcher was handed %d events, want %d", len(events), n)
		}
	}
}

// check demands that the sink was treated as it may expect, and that it got
// every entry after its position up to the given offset, once and in order.
func (r *recorder) check(t *testing.T, upTo uint64) {
	t.Helper()
	r.mu.Lock()
	faults := r.faults
	r.mu.Unlock()
	for _, f := range faults {
		t.Error(f)
	}
	checkChain(t, r.at.Offset, upTo, r.entries())
}

// checkChain demands that entries lead from one offset to another by their Prev.
func checkChain(t *testing.T, from, to uint64, entries []engine.Entry) {
	t.Helper()
	at := from
	for i, en := range entries {
		if en.Prev != at || en.Offset <= en.Prev {
			t.Fatalf("entry %d has prev %d and offset %d, want prev %d", i, en.Prev, en.Offset, at)
		}
		at = en.Offset
	}
	if at != to {
		t.Fatalf("entries lead from %d to %d, want to %d", from, at, to)
	}
}

// together runs n calls at once and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func data(entries []engine.Entry) []string {
	out := make([]string, len(entries))
	for i, en := range entries {
		out[i] = string(en.Data)
	}
	return out
}

func keys(values []engine.Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.Key
	}
	return out
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
