package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

const (
	modelTombstoneAge = time.Hour
	modelIdleAfter    = time.Minute
)

// model is what one channel should be, said as simply as possible.
type model struct {
	entries       []engine.Entry
	aside         []engine.Entry   // dropped by retention, to stay for a while longer
	until         map[uint64]int64 // Unix ms up to which an entry stays
	keyed         map[uint64]bool
	values        map[string]engine.Value
	set           map[string]int64 // Unix ms at which the value was set
	head          engine.Position
	lostUnkeyed   uint64
	lostTombstone uint64
	durable       bool
	retention     engine.Retention
	used          int64
}

func newModel() *model {
	return &model{keyed: map[uint64]bool{}, until: map[uint64]int64{}, values: map[string]engine.Value{}, set: map[string]int64{}, retention: chanlog.WithDefaults(engine.Retention{})}
}

// at lets time pass.
func (m *model) at(now int64) {
	size := 0
	for _, en := range m.entries {
		size += len(en.Data)
	}
	for len(m.entries) > 0 {
		en := m.entries[0]
		if len(m.entries) <= m.retention.Messages && (size <= m.retention.Bytes || len(m.entries) == 1) &&
			en.Time > now-m.retention.Age.Milliseconds() {
			break
		}
		if m.until[en.Offset] > now {
			m.aside = append(m.aside, en)
		} else {
			m.lose(en)
		}
		size -= len(en.Data)
		m.entries = m.entries[1:]
	}
	m.aside = slices.DeleteFunc(m.aside, func(en engine.Entry) bool {
		if m.until[en.Offset] > now {
			return false
		}
		m.lose(en)
		return true
	})
	for k, v := range m.values {
		if v.Tombstone && m.set[k] <= now-modelTombstoneAge.Milliseconds() {
			m.lostTombstone = max(m.lostTombstone, v.Version)
			delete(m.values, k)
		}
	}
}

func (m *model) lose(en engine.Entry) {
	if !m.keyed[en.Offset] {
		m.lostUnkeyed = max(m.lostUnkeyed, en.Offset)
	}
}

// kept is everything that can be read, oldest first.
func (m *model) kept() []engine.Entry { return slices.Concat(m.aside, m.entries) }

// append says what an append should answer.
func (m *model) append(w engine.Write, now int64) (r engine.Receipt, conflict bool) {
	m.at(now)
	for _, en := range m.kept() {
		if w.ID != "" && en.ID == w.ID {
			return engine.Receipt{Position: engine.Position{Epoch: m.head.Epoch, Offset: en.Offset}, Duplicate: true}, false
		}
	}
	for _, c := range w.If {
		if m.values[c.Key].Version != c.Version {
			return engine.Receipt{}, true
		}
	}
	prev := m.head.Offset
	m.head.Offset++
	m.entries = append(m.entries, engine.Entry{Offset: m.head.Offset, Prev: prev, Time: now, Kind: w.Kind, ID: w.ID, Data: w.Data})
	m.keyed[m.head.Offset] = len(w.Puts) > 0
	m.until[m.head.Offset] = now + w.Keep.Milliseconds()
	for _, p := range w.Puts {
		m.values[p.Key] = engine.Value{Key: p.Key, Version: m.head.Offset, Tombstone: p.Tombstone, Data: p.Data}
		m.set[p.Key] = now
	}
	m.durable = m.durable || w.Durability > engine.Memory
	m.retention = chanlog.WithDefaults(w.Retention)
	m.at(now)
	return engine.Receipt{Position: m.head}, false
}

// world is an engine, its clock, and what its channels should be.
type world struct {
	t        *rapid.T
	fs       vfs.FS
	clock    *fakeClock
	engine   *Engine
	channels map[string]*model
}

func (w *world) open(t *testing.T) {
	w.engine = open(t, Options{
		Dir: "store", FS: w.fs, Clock: w.clock.Now, SweepEvery: 24 * time.Hour,
		TombstoneAge: modelTombstoneAge, IdleAfter: modelIdleAfter,
	})
}

func (w *world) now() int64 { return w.clock.Now().UnixMilli() }

// use draws a channel and learns its epoch when its log begins.
func (w *world) use(t *testing.T) (string, *model) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "channel")
	m := w.channels[name]
	head, err := w.engine.Head(t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	if m.head.Epoch == "" || m.head.Offset == 0 {
		m.head.Epoch = head.Epoch
	}
	m.used = w.now()
	m.at(m.used)
	return name, m
}

func (w *world) append(t *testing.T) {
	name, m := w.use(t)
	wr := engine.Write{Kind: engine.KindMessage, Data: make([]byte, rapid.IntRange(1, 40).Draw(w.t, "bytes"))}
	wr.Retention = engine.Retention{
		Messages: rapid.SampledFrom([]int{0, 3, 100}).Draw(w.t, "messages"),
		Bytes:    rapid.SampledFrom([]int{0, 50}).Draw(w.t, "retained bytes"),
		Age:      rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(w.t, "age"),
	}
	wr.Keep = rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Minute, 2 * time.Hour}).Draw(w.t, "keep")
	if id := rapid.IntRange(0, 12).Draw(w.t, "id"); id > 0 {
		wr.ID = fmt.Sprint(id)
	}
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"k", "l", "m"}), 0, 2, rapid.ID).Draw(w.t, "keys") {
		wr.Puts = append(wr.Puts, engine.Put{Key: k, Data: []byte{byte(m.head.Offset)}, Tombstone: rapid.Bool().Draw(w.t, "delete")})
		if rapid.Bool().Draw(w.t, "conditional") {
			version := m.values[k].Version
			if rapid.IntRange(0, 3).Draw(w.t, "stale") == 0 {
				version++
			}
			wr.If = append(wr.If, engine.Condition{Key: k, Version: version})
		}
	}
	if rapid.IntRange(0, 3).Draw(w.t, "durability") == 0 {
		wr.Durability = engine.OS
		// A stored channel that holds nothing is forgotten one day; this model
		// does not know when.
		wr.Puts = append(wr.Puts, engine.Put{Key: "anchor", Data: []byte("x")})
	}
	want, conflict := m.append(wr, w.now())
	got, err := w.engine.Append(t.Context(), name, wr)
	if _, is := errors.AsType[*engine.ConflictError](err); is != conflict || (err != nil && !is) || got != want {
		w.t.Fatalf("append to %s: %+v, %v; want %+v, conflict %v", name, got, err, want, conflict)
	}
}

func (w *world) read(t *testing.T) {
	name, m := w.use(t)
	after := rapid.Uint64Range(0, m.head.Offset+1).Draw(w.t, "after")
	got, err := w.engine.Read(t.Context(), name, engine.Position{Epoch: m.head.Epoch, Offset: after}, 5)
	switch {
	case after > m.head.Offset:
		w.wantError(err, engine.ErrFuture)
		return
	case after < m.lostUnkeyed:
		w.wantError(err, engine.ErrTruncated)
		return
	}
	var want []engine.Entry
	for _, en := range m.kept() {
		if en.Offset > after && len(want) < 5 {
			want = append(want, en)
		}
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("read %s after %d: %v, %v; want %v", name, after, got, err, want)
	}
}

// since reads the newest of what is kept; the clock only goes forward here.
func (w *world) since(t *testing.T) {
	name, m := w.use(t)
	got, err := w.engine.Since(t.Context(), name, 0, 4)
	want := m.kept()
	want = want[max(0, len(want)-4):]
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("since in %s: %v, %v; want %v", name, got, err, want)
	}
}

func (w *world) state(t *testing.T) {
	name, m := w.use(t)
	after := rapid.Uint64Range(0, m.head.Offset).Draw(w.t, "after")
	at, got, err := w.engine.State(t.Context(), name, "", after)
	if after > 0 && after < m.lostTombstone {
		w.wantError(err, engine.ErrTruncated)
		return
	}
	var want []engine.Value
	for _, v := range m.values {
		if v.Version > after && (after > 0 || !v.Tombstone) {
			want = append(want, v)
		}
	}
	slices.SortFunc(want, func(a, b engine.Value) int { return strings.Compare(a.Key, b.Key) })
	if err != nil || at != m.head || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("state of %s after %d: %v at %v, %v; want %v at %v", name, after, got, at, err, want, m.head)
	}
}

func (w *world) wantError(got, want error) {
	if !errors.Is(got, want) {
		w.t.Fatalf("got %v, want %v", got, want)
	}
}

func (w *world) pass(*testing.T) {
	w.clock.Advance(time.Duration(rapid.IntRange(1, 1500).Draw(w.t, "seconds")) * time.Second)
}

// sweep lets go of idle channels; logs that were in memory only begin anew.
func (w *world) sweep(*testing.T) {
	w.engine.sweepAll()
	for name, m := range w.channels {
		m.at(w.now())
		if !m.durable && len(m.kept()) == 0 && len(m.values) == 0 && w.now()-m.used >= modelIdleAfter.Milliseconds() {
			w.channels[name] = newModel()
		}
	}
}

func (w *world) reopen(t *testing.T) {
	if err := w.engine.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open(t)
	for name, m := range w.channels {
		if !m.durable {
			w.channels[name] = newModel()
		}
	}
}

func TestModel(t *testing.T) {
	t.Run("[E1] [E4] [E5] [E6] [E7] whatever is done, the engine answers like a plain list and a map", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			w := &world{t: rt, fs: vfs.NewMem(), clock: newFakeClock(), channels: map[string]*model{}}
			for _, name := range []string{"a", "b", "c"} {
				w.channels[name] = newModel()
			}
			w.open(t)
			defer func() { _ = w.engine.Close() }()
			steps := []func(*testing.T){w.append, w.append, w.append, w.append, w.read, w.since, w.state, w.pass, w.sweep, w.reopen}
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				steps[rapid.IntRange(0, len(steps)-1).Draw(rt, "step")](t)
			}
		})
	})
}
