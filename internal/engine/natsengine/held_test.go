package natsengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// sentBehind makes a node hear what another sent when that had applied the message at
// after.
func sentBehind(e *Engine, from *Engine, after uint64, data string) {
	c := inMemory(e)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	r := &chanlog.Record{Entry: engine.Entry{Kind: engine.KindMessage, Data: []byte(data)}}
	e.takeLocked(c, &notice{kind: noticeSend, node: from.id, channel: c.escaped, after: after, entry: r})
}

// hint makes a node hear that the room's log may have grown.
func hint(e *Engine) {
	c := inMemory(e)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.obey(&notice{kind: noticeHint})
}

// place is how far a node has applied the room's log.
func place(e *Engine) uint64 {
	c := inMemory(e)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	return c.seq
}

// What others send is delivered behind what they had applied, also when this node has to
// read that, or it will never be there.
func TestHeld(t *testing.T) {
	s := startServer(t)

	t.Run("what is sent behind messages that were compacted is delivered behind the base", func(t *testing.T) {
		a, b := pair(t, s, still)
		w := observe(t, b)
		deafen(t, b)
		want := fillUp(t, a)
		sentBehind(b, a, place(a), "sent")
		want = append(want, "sent")
		eventually(t, "all are there", func() bool { return len(w.seen()) >= len(want) })
		if !slices.Equal(w.seen(), want) {
			t.Error("not the same entries")
		}
	})

	t.Run("[E7] what is sent behind messages that are lost is delivered in the log's new epoch", func(t *testing.T) {
		a, b := pair(t, s, still)
		w := observe(t, b)
		mustAppend(t, a, text("lost"))
		eventually(t, "it is there", func() bool { return len(w.seen()) == 1 })
		if err := a.store.js.DeleteStream(t.Context(), a.store.subjects.stream(inMemory(a).part)); err != nil {
			t.Fatal(err)
		}
		sentBehind(b, a, place(a)+1000, "sent")
		eventually(t, "it is delivered", func() bool { return slices.Contains(w.seen(), "sent") })
		if len(w.reset()) != 1 {
			t.Errorf("watchers were told %v", w.reset())
		}
	})

	t.Run("what is sent behind a message that nobody has is delivered, and keeps nothing else waiting", func(t *testing.T) {
		a, b := pair(t, s, still)
		w := observe(t, b)
		mustAppend(t, a, text("logged"))
		eventually(t, "it is there", func() bool { return len(w.seen()) == 1 })
		sentBehind(b, a, place(a)+1000, "sent")
		if err := a.Send(t.Context(), room, engine.Entry{Kind: engine.KindMessage, Data: []byte("sent later")}); err != nil {
			t.Fatal(err)
		}
		want := []string{"logged", "sent", "sent later"}
		eventually(t, "all are there", func() bool { return slices.Equal(w.seen(), want) })
	})

	t.Run("[E2] a hint that comes while a node reads makes it look again", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		want := fill(t, a, someSteps)
		hint(b)
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		want = append(want, fill(t, a, 1)...) // behind the end that the node knows
		hint(b)
		w.release()
		eventually(t, "all are there", func() bool { return len(w.seen()) >= len(want) })
		if !slices.Equal(w.seen(), want) {
			t.Error("not the same entries")
		}
	})
}

// draftOf is a base of the room as a node has it.
func draftOf(e *Engine) *draft {
	c := inMemory(e)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	return c.prepareBase()
}

func TestBases(t *testing.T) {
	s := startServer(t)

	t.Run("[E3] of two nodes that write large bases at once one gives up, and the log can be read", func(t *testing.T) {
		o := still
		o.Prefix = unusedPrefix()
		a, b := open(t, s, o), open(t, s, o)
		defer mustClose(t, a)
		defer mustClose(t, b)
		for range 4 {
			mustAppend(t, a, text("%s", strings.Repeat("x", 500_000)))
		}
		head, err := b.Head(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []*Engine{a, b} {
			eventually(t, "its own compaction is done", func() bool {
				c := inMemory(e)
				c.shard.mu.Lock()
				defer c.shard.mu.Unlock()
				return !c.pumping
			})
		}
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		first, second := draftOf(a), draftOf(b)
		if err := a.sendAhead(t.Context(), inMemory(a), first); err != nil || len(first.pieces) < 2 {
			t.Fatalf("%d pieces, %v", len(first.pieces), err)
		}
		if err := b.sendAhead(t.Context(), inMemory(b), second); err != nil {
			t.Fatal(err)
		}
		if err := b.storeBase(t.Context(), inMemory(b), second); err != nil {
			t.Fatal(err)
		}
		if err := a.storeBase(t.Context(), inMemory(a), first); !errors.Is(err, errMoved) {
			t.Errorf("got %v", err)
		}
		c := open(t, s, o)
		defer mustClose(t, c)
		if at, err := c.Head(t.Context(), room); err != nil || at != head {
			t.Errorf("who comes later finds %v, want %v (%v)", at, head, err)
		}
	})

	t.Run("what happened behind a base is delivered when the base is there", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observe(t, b)
		deafen(t, b)
		d := draftOf(a)
		if err := a.storeBase(t.Context(), inMemory(a), d); err != nil {
			t.Fatal(err)
		}
		sentBehind(b, a, place(a), "sent")
		eventually(t, "it is delivered", func() bool { return slices.Equal(w.seen(), []string{"sent"}) })
	})

	t.Run("what a channel drops while it is read is deleted from the stream", func(t *testing.T) {
		var ahead atomic.Int64
		o := still
		o.Prefix, o.SweepEvery = unusedPrefix(), 64*time.Millisecond
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		a := open(t, s, o)
		fill(t, a, 100)
		mustClose(t, a)
		ahead.Store(int64(time.Hour))
		b := open(t, s, o)
		defer mustClose(t, b)
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		eventually(t, "only a base is left", func() bool { return inStream(t, b) == 1 })
	})

	t.Run("so is what retention drops of a channel that nobody uses any more", func(t *testing.T) {
		var ahead atomic.Int64
		o := still
		o.SweepEvery, o.IdleAfter = 64*time.Millisecond, 50*time.Millisecond
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		e := open(t, s, o)
		defer mustClose(t, e)
		for range 100 {
			mustAppend(t, e, text("%s", strings.Repeat("x", 100)))
		}
		head, err := e.Head(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has left memory", func() bool { return inMemory(e) == nil })
		if n := inStream(t, e); n < 100 {
			t.Fatalf("%d messages are left", n)
		}
		ahead.Store(int64(time.Hour))
		eventually(t, "only a base is left", func() bool { return inStream(t, e) == 1 })
		eventually(t, "it leaves memory for good", func() bool {
			e.revisits.mu.Lock()
			defer e.revisits.mu.Unlock()
			return inMemory(e) == nil && len(e.revisits.heap) == 0
		})
		if at, err := e.Head(t.Context(), room); err != nil || at != head {
			t.Errorf("it is at %v, want %v (%v)", at, head, err)
		}
	})

	t.Run("a channel is looked at once, when the last of what it holds is dropped", func(t *testing.T) {
		var r revisits
		r.init()
		r.add(10, "a")
		r.add(30, "a") // it was used again
		r.add(20, "b")
		var got []string
		for now := int64(0); now < 50; now += 5 {
			for name, ok := r.due(now); ok; name, ok = r.due(now) {
				got = append(got, fmt.Sprint(name, now))
			}
		}
		if !slices.Equal(got, []string{"b20", "a30"}) || len(r.at) > 0 {
			t.Errorf("%v, %v left", got, r.at)
		}
	})
}

// A repair that waits for this node's own watchers does not keep others from reading.
func TestPlaces(t *testing.T) {
	s := startServer(t)
	o := still
	o.Patience = time.Hour // its place is not given back for having waited too long
	a, b := pair(t, s, o)
	outweigh(t, a)
	const other = "room:8"
	seen := make(chan []engine.Event, 1)
	_, stop, err := b.Watch(t.Context(), other, engine.SinkFunc(func(events []engine.Event) { seen <- events }))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	sh := b.shardOf(other)
	sh.mu.Lock()
	err = sh.channels[other].sub.Load().Unsubscribe()
	sh.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	w := observeSlowly(t, b)
	deafen(t, b)
	for range checksAtOnce - 1 {
		b.checks.enter()
		defer b.checks.leave()
	}
	fill(t, a, someSteps)
	hint(b)
	eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
	if _, err := a.Append(t.Context(), other, text("there")); err != nil {
		t.Fatal(err)
	}
	sh.mu.Lock()
	b.lookAgainLocked(sh.channels[other])
	sh.mu.Unlock()
	select {
	case events := <-seen:
		if len(events) != 1 || string(events[0].Entry.Data) != "there" {
			t.Errorf("%+v", events)
		}
	case <-time.After(patience):
		t.Error("another channel waits for it")
	}
	w.release()
}
