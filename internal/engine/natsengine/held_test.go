package natsengine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

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
		var want []string
		for i := range 300 {
			data := fmt.Sprintf("%03d %s", i, bytes.Repeat([]byte("x"), 1000))
			want = append(want, data)
			mustAppend(t, a, text("%s", data))
		}
		if n := inStream(t, a); n >= 300 {
			t.Fatalf("%d messages are in the stream: nothing was compacted", n)
		}
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
