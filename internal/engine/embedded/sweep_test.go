package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// stored counts the store's keys that begin with prefix.
func stored(t *testing.T, e *Engine, prefix byte) (n int) {
	t.Helper()
	it, err := e.store.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// resident says whether a channel is in memory.
func resident(t *testing.T, e *Engine, name string) bool {
	t.Helper()
	s, err := e.shardOf(name)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[name] != nil
}

// quiet is an engine whose sweeper never comes, on a clock that stands still.
func quiet(t *testing.T, dir string) (*Engine, *fakeClock) {
	c := newFakeClock()
	return open(t, Options{Dir: dir, Clock: c.Now, SweepEvery: 24 * time.Hour, TombstoneAge: time.Hour}), c
}

func TestSweep(t *testing.T) {
	t.Run("[E6] entries that retention drops are deleted from the store, some at a time", func(t *testing.T) {
		e, _ := quiet(t, t.TempDir())
		defer mustClose(t, e)
		for i := range 500 {
			w := message(engine.OS, fmt.Sprint(i))
			w.Retention.Messages = 10
			mustAppend(t, e, room, w)
		}
		if n := stored(t, e, prefixEntry); n < 10 || n > 10+trimBatch {
			t.Errorf("%d entries are stored, want 10 and at most %d more", n, trimBatch)
		}
		e.sweepAll()
		if n := stored(t, e, prefixEntry); n != 10 {
			t.Errorf("%d entries are stored after the sweep, want 10", n)
		}
	})

	t.Run("[E6] a retention that becomes much smaller deletes as much from the store", func(t *testing.T) {
		e, _ := quiet(t, t.TempDir())
		defer mustClose(t, e)
		for i := range 400 {
			w := message(engine.OS, fmt.Sprint(i))
			w.Retention.Messages = 400
			if i == 399 {
				w.Retention.Messages = 5
			}
			mustAppend(t, e, room, w)
		}
		e.sweepAll()
		if n := stored(t, e, prefixEntry); n != 5 {
			t.Errorf("%d entries are stored, want 5", n)
		}
	})

	t.Run("[E6] what a stricter retention dropped does not come back under a looser one", func(t *testing.T) {
		dir := t.TempDir()
		e, _ := quiet(t, dir)
		for _, messages := range []int{10, 10, 10, 1, 10} {
			w := message(engine.OS, "x")
			w.Retention.Messages = messages
			mustAppend(t, e, room, w)
		}
		mustClose(t, e)
		e, _ = quiet(t, dir)
		defer mustClose(t, e)
		if entries, err := e.Since(t.Context(), room, 0, 10); err != nil || len(entries) != 2 {
			t.Errorf("%d entries are kept, want 2 (%v)", len(entries), err)
		}
	})

	t.Run("an idle channel leaves memory and comes back as it was", func(t *testing.T) {
		e, clock := quiet(t, t.TempDir())
		defer mustClose(t, e)
		at := mustAppend(t, e, room, engine.Write{ID: "id", Durability: engine.OS, Puts: []engine.Put{{Key: "k", Data: []byte("v")}}})
		e.sweepAll()
		if !resident(t, e, room) {
			t.Error("it left at once")
		}
		clock.Advance(time.Minute)
		e.sweepAll()
		if resident(t, e, room) {
			t.Fatal("it is still there")
		}
		if head, err := e.Head(t.Context(), room); err != nil || head != at {
			t.Errorf("head %v, want %v (%v)", head, at, err)
		}
		if r, err := e.Append(t.Context(), room, engine.Write{ID: "id"}); err != nil || !r.Duplicate {
			t.Errorf("repeat: %v %v", r, err)
		}
	})

	t.Run("a channel that is watched, leased or only in memory stays", func(t *testing.T) {
		e, clock := quiet(t, "")
		defer mustClose(t, e)
		_, stop, err := e.Watch(t.Context(), "watched", engine.SinkFunc(func([]engine.Event) {}))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.PutLease(t.Context(), "leased", "h", nil); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, e, "memory", message(engine.Memory, "x"))
		mustAppend(t, e, "value", engine.Write{Puts: []engine.Put{{Key: "k"}}})
		for _, name := range []string{"touched", "neither"} {
			if _, err := e.Head(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		clock.Advance(5 * time.Minute)
		e.sweepAll()
		for name, want := range map[string]bool{"watched": true, "leased": true, "memory": true, "value": true, "touched": false} {
			if got := resident(t, e, name); got != want {
				t.Errorf("%s is in memory: %v, want %v", name, got, want)
			}
		}
		stop()
		clock.Advance(10 * time.Minute)
		e.sweepAll()
		if resident(t, e, "watched") || resident(t, e, "memory") {
			t.Error("they stay when nothing holds them any more")
		}
	})

	t.Run("the sweeper comes round by itself", func(t *testing.T) {
		c := newFakeClock()
		e := open(t, Options{Dir: t.TempDir(), Clock: c.Now, SweepEvery: time.Millisecond})
		defer mustClose(t, e)
		mustAppend(t, e, room, message(engine.OS, "x"))
		c.Advance(time.Hour)
		await(t, "the channel to leave memory", func() bool { return !resident(t, e, room) })
		if n := stored(t, e, prefixEntry); n != 0 {
			t.Errorf("%d entries are stored", n)
		}
	})

	t.Run("[E7] a log in memory that was given up begins anew under another epoch", func(t *testing.T) {
		e, clock := quiet(t, "")
		defer mustClose(t, e)
		at := mustAppend(t, e, room, message(engine.Memory, "x"))
		clock.Advance(time.Hour)
		e.sweepAll()
		mustAppend(t, e, room, message(engine.Memory, "x"))
		if _, err := e.Read(t.Context(), room, at, 0); !errors.Is(err, engine.ErrEpoch) {
			t.Errorf("got %v, want ErrEpoch", err)
		}
	})

	t.Run("[E7] a stored channel that holds nothing keeps its position for the tombstone age, and is then forgotten", func(t *testing.T) {
		e, clock := quiet(t, t.TempDir())
		defer mustClose(t, e)
		at := mustAppend(t, e, room, message(engine.OS, "x"))
		mustAppend(t, e, "kept", engine.Write{Durability: engine.OS, Puts: []engine.Put{{Key: "k"}}})
		clock.Advance(30 * time.Minute)
		e.sweepAll()
		if n := stored(t, e, prefixEntry); n != 0 {
			t.Errorf("%d entries are stored", n)
		}
		if entries, err := e.Read(t.Context(), room, at, 0); err != nil || len(entries) != 0 {
			t.Errorf("who has seen all gets %v, %v", entries, err)
		}
		clock.Advance(31 * time.Minute)
		for range 2 { // load what is due, delete it
			e.scanFrom = nil
			e.sweepStore(100)
			e.sweepAll()
		}
		if n := stored(t, e, prefixHeader); n != 1 {
			t.Errorf("%d headers are stored, want the one of the channel with a value", n)
		}
		next := mustAppend(t, e, room, message(engine.OS, "y"))
		if next.Epoch == at.Epoch && next.Offset <= at.Offset {
			t.Errorf("position %v was given twice", next)
		}
		if n := stored(t, e, prefixHeader); n != 2 {
			t.Errorf("%d headers are stored, want 2", n)
		}
	})

	t.Run("[E6] old entries of channels that nobody opens are deleted, some at a time", func(t *testing.T) {
		dir := t.TempDir()
		e, clock := quiet(t, dir)
		for i := range 10 {
			mustAppend(t, e, fmt.Sprint("room-", i), message(engine.OS, "x"))
		}
		mustClose(t, e)
		e = open(t, Options{Dir: dir, Clock: clock.Now, SweepEvery: 24 * time.Hour})
		defer mustClose(t, e)
		e.sweepStore(100)
		if resident(t, e, "room-3") {
			t.Error("a channel was loaded that has nothing old")
		}
		clock.Advance(time.Hour)
		for range 4 {
			e.sweepStore(3)
			e.sweepAll()
		}
		if n := stored(t, e, prefixEntry); n != 0 {
			t.Errorf("%d entries are stored", n)
		}
		if e.scanFrom != nil {
			t.Error("the scan has not come round")
		}
	})

	t.Run("[E6] what stays beyond retention stays in the store, alone, and is deleted when its time has come", func(t *testing.T) {
		dir := t.TempDir()
		e, clock := quiet(t, dir)
		for i := range 500 {
			w := message(engine.OS, fmt.Sprint(i))
			w.Retention.Messages = 10
			if i%100 == 0 {
				w.Keep = time.Duration(i+60) * time.Minute
			}
			mustAppend(t, e, room, w)
		}
		e.sweepAll()
		if n := stored(t, e, prefixEntry); n != 15 {
			t.Errorf("%d entries are stored, want the newest 10 and 5 more", n)
		}
		mustClose(t, e)
		e = open(t, Options{Dir: dir, Clock: clock.Now, SweepEvery: 24 * time.Hour})
		defer mustClose(t, e)
		for _, want := range []int{15, 4, 4, 3} { // nobody opens the channel meanwhile
			e.scanFrom = nil
			e.sweepStore(100)
			e.sweepAll()
			if n := stored(t, e, prefixEntry); n != want {
				t.Errorf("%d entries are stored, want %d", n, want)
			}
			clock.Advance(61 * time.Minute)
		}
	})

	t.Run("[E6] dropped tombstones are deleted, and a key that is set meanwhile is not", func(t *testing.T) {
		dir := t.TempDir()
		e, clock := quiet(t, dir)
		for _, key := range []string{"a", "b"} {
			mustAppend(t, e, room, engine.Write{Durability: engine.OS, Puts: []engine.Put{{Key: key, Tombstone: true}}})
		}
		clock.Advance(2 * time.Hour)
		s, c, err := e.acquire(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		c.ForgetTombstones(e.tombstonesBefore())
		s.mu.Unlock()
		at := mustAppend(t, e, room, engine.Write{Durability: engine.OS, Puts: []engine.Put{{Key: "b", Data: []byte("new")}}})
		if n := stored(t, e, prefixValue); n != 1 {
			t.Errorf("%d values are stored, want 1", n)
		}
		mustClose(t, e)
		e = open(t, Options{Dir: dir, Clock: clock.Now, TombstoneAge: time.Hour})
		defer mustClose(t, e)
		if v, err := e.Get(t.Context(), room, "b"); err != nil || v.Version != at.Offset {
			t.Errorf("got %v, want version %d (%v)", v, at.Offset, err)
		}
		if _, _, err := e.State(t.Context(), room, "", 1); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", err)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Run("a store of a newer format is refused with what to do", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		if err := e.store.db.Set([]byte(metaFormat), binary.AppendUvarint(nil, storeFormat+1), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		mustClose(t, e)
		if _, err := Open(Options{Dir: dir, BallastBytes: -1}); err == nil || !strings.Contains(err.Error(), "newer Chorale") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a store that is open cannot be opened again", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		defer mustClose(t, e)
		if _, err := Open(Options{Dir: dir, BallastBytes: -1}); err == nil {
			t.Error("it was opened twice")
		}
	})

	t.Run("a damaged channel is unavailable, and the others are not", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		for name, damage := range map[string][]byte{
			"header": appendHeaderKey(nil, "header"),
			"entry":  appendEntryKey(nil, "entry", 2),
			"value":  appendValueKey(nil, "value", "k"),
			"hole":   appendEntryKey(nil, "hole", 9),
		} {
			for range 3 {
				mustAppend(t, e, name, engine.Write{Durability: engine.OS, Puts: []engine.Put{{Key: "k"}}})
			}
			bytes := []byte{9, 9}
			if name == "hole" {
				bytes = chanlog.AppendEntry(nil, &chanlog.Record{})
			}
			if err := e.store.db.Set(damage, bytes, pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		mustAppend(t, e, room, message(engine.OS, "x"))
		mustClose(t, e)
		e = open(t, Options{Dir: dir})
		defer mustClose(t, e)
		for _, name := range []string{"header", "entry", "value", "hole"} {
			for range 2 {
				_, err := e.Head(t.Context(), name)
				if !errors.Is(err, engine.ErrUnavailable) || !errors.Is(err, chanlog.ErrCorrupt) {
					t.Errorf("%s: got %v, want unavailable and corrupt", name, err)
				}
			}
		}
		if got := len(readAll(t, e, room)); got != 1 {
			t.Errorf("%d entries can be read, want 1", got)
		}
	})

	t.Run("a channel's name must be one that can be stored", func(t *testing.T) {
		e := open(t, Options{})
		defer mustClose(t, e)
		for _, name := range []string{"", "a\x00b"} {
			if _, err := e.Append(t.Context(), name, engine.Write{}); !errors.Is(err, errName) {
				t.Errorf("%q: got %v", name, err)
			}
		}
	})
}
