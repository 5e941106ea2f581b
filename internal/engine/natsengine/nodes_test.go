package natsengine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

func TestMissed(t *testing.T) {
	s := startServer(t)

	t.Run("[E2] the last message of a quiet channel, when it was missed, is found by a look at the leader", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: 20 * time.Millisecond, NodeTimeout: time.Hour})
		w := observe(t, b)
		deafen(t, b)
		mustAppend(t, a, text("lost"))
		eventually(t, "the watcher has it", func() bool { return slices.Equal(w.seen(), []string{"lost"}) })
	})

	t.Run("[E2] or told by who wrote it", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: 20 * time.Millisecond, NodeTimeout: 250 * time.Millisecond})
		b.options.QuietAfter = time.Hour // before it has a channel
		w := observe(t, b)
		deafen(t, b)
		mustAppend(t, a, text("lost"))
		eventually(t, "the watcher has it", func() bool { return slices.Equal(w.seen(), []string{"lost"}) })
	})

	t.Run("[E9] or when somebody asks for the head", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: time.Hour, NodeTimeout: time.Hour})
		w := observe(t, b)
		deafen(t, b)
		at := mustAppend(t, a, text("lost"))
		if head, err := b.Head(t.Context(), room); err != nil || head != at {
			t.Errorf("head %v, want %v (%v)", head, at, err)
		}
		eventually(t, "the watcher has it", func() bool { return slices.Equal(w.seen(), []string{"lost"}) })
	})

	t.Run("[E5] a conflict is judged by what the leader has", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: time.Hour, NodeTimeout: time.Hour})
		observe(t, b)
		deafen(t, b)
		set := engine.Write{Kind: engine.KindChange, Puts: []engine.Put{{Key: "k", Data: []byte("1")}}}
		at := mustAppend(t, a, set)
		set.If = []engine.Condition{{Key: "k", Version: at.Offset}} // which this node has not heard of
		mustAppend(t, b, set)
		set.If[0].Version = 0
		if _, err := b.Append(t.Context(), room, set); err == nil {
			t.Error("no conflict")
		}
	})

	t.Run("[E2] entries that were compacted meanwhile are delivered from the base", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: time.Hour, NodeTimeout: time.Hour})
		w := observe(t, b)
		deafen(t, b)
		want := fillUp(t, a)
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the watcher has them", func() bool { return len(w.seen()) >= len(want) })
		if !slices.Equal(w.seen(), want) {
			t.Error("not the same entries")
		}
		if len(w.reset()) > 0 {
			t.Error("the watcher was told of a loss")
		}
	})

	t.Run("[S4] [E6] when retention dropped what was missed, watchers are told", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: time.Hour, NodeTimeout: time.Hour})
		w := observe(t, b)
		deafen(t, b)
		for i := range 300 {
			m := text("%03d %s", i, bytes.Repeat([]byte("x"), 1000))
			m.Retention.Messages = 5
			mustAppend(t, a, m)
		}
		head, err := b.Head(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the watcher is told", func() bool { return slices.Equal(w.reset(), []engine.Position{head}) })
	})
}

func TestSizes(t *testing.T) {
	s := startServer(t)

	t.Run("an entry that is larger than a message may be is stored and delivered in pieces", func(t *testing.T) {
		a, b := pair(t, s, Options{})
		w := observe(t, b)
		large := strings.Repeat("0123456789abcdef", 200_000) // 3.2 MB
		mustAppend(t, a, text("before"))
		mustAppend(t, a, engine.Write{Kind: engine.KindMessage, Data: []byte(large)})
		mustAppend(t, a, text("behind"))
		eventually(t, "all are there", func() bool { return len(w.seen()) == 3 })
		if got := w.seen(); got[0] != "before" || got[1] != large || got[2] != "behind" {
			t.Error("not the same entries")
		}
	})

	t.Run("[E6] what a channel holds outlives its compaction, in pieces too", func(t *testing.T) {
		o := Options{Prefix: unusedPrefix()}
		a := open(t, s, o)
		value := bytes.Repeat([]byte("v"), 20_000)
		for round := range 3 {
			for i := range 100 { // 2 MB
				w := engine.Write{Kind: engine.KindChange, ID: fmt.Sprint(round, "/", i), Puts: []engine.Put{{Key: fmt.Sprint("k", i), Data: value}}}
				w.Retention.Messages = 10
				mustAppend(t, a, w)
			}
		}
		if n := inStream(t, a); n > 220 {
			t.Errorf("%d messages are in the stream after 300 appends", n)
		}
		at, err := a.Head(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, a)
		a = open(t, s, o)
		defer mustClose(t, a)
		again, values, err := a.State(t.Context(), room, "", 0)
		if err != nil || again != at || len(values) != 100 {
			t.Fatalf("%d values at %v, want 100 at %v (%v)", len(values), again, at, err)
		}
		for _, v := range values {
			if !bytes.Equal(v.Data, value) {
				t.Fatalf("value %s is another", v.Key)
			}
		}
		r, err := a.Append(t.Context(), room, engine.Write{ID: "2/99"})
		if err != nil || !r.Duplicate {
			t.Errorf("repeat: %+v (%v)", r, err)
		}
	})
}

func TestLoss(t *testing.T) {
	s := startServer(t)

	t.Run("[E7] a stream that was deleted begins anew under another epoch, and watchers are told", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: 20 * time.Millisecond})
		w, v := observe(t, a), observe(t, b)
		old := mustAppend(t, a, text("gone"))
		if err := a.store.js.DeleteStream(t.Context(), a.store.subjects.stream(partition(room, 2))); err != nil {
			t.Fatal(err)
		}
		for _, o := range []*observer{w, v} {
			eventually(t, "watchers are told", func() bool { return len(o.reset()) > 0 })
		}
		at := mustAppend(t, b, text("new"))
		if at.Epoch == old.Epoch || at.Offset != 1 {
			t.Errorf("goes on at %v after %v", at, old)
		}
		if _, err := a.Read(t.Context(), room, old, 0); !errors.Is(err, engine.ErrEpoch) {
			t.Errorf("got %v, want ErrEpoch", err)
		}
		eventually(t, "the other node has the new entry", func() bool { return slices.Contains(w.seen(), "new") })
	})

	t.Run("[E7] a log that lost its end goes on under another epoch", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: 20 * time.Millisecond})
		w, v := observe(t, a), observe(t, b)
		mustAppend(t, a, text("kept"))
		old := mustAppend(t, a, text("lost"))
		eventually(t, "both have it", func() bool { return len(w.seen()) == 2 && len(v.seen()) == 2 })
		p := partition(room, 2)
		end, err := a.store.end(t.Context(), p, escape(room))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := a.store.js.Stream(t.Context(), a.store.subjects.stream(p))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), end.seq); err != nil {
			t.Fatal(err)
		}
		for _, o := range []*observer{w, v} {
			eventually(t, "watchers are told", func() bool { return len(o.reset()) > 0 })
		}
		at := mustAppend(t, b, text("new"))
		if at.Epoch == old.Epoch || at.Offset != 2 {
			t.Errorf("goes on at %v after %v", at, old)
		}
		head, err := a.Head(t.Context(), room)
		if err != nil || head != at {
			t.Errorf("the other node is at %v, want %v (%v)", head, at, err)
		}
	})
}

func TestLeases(t *testing.T) {
	s := startServer(t)

	t.Run("a node that loads a channel later knows the leases of the others at once", func(t *testing.T) {
		a, b := pair(t, s, Options{})
		if err := a.PutLease(t.Context(), room, "h", []byte("1")); err != nil {
			t.Fatal(err)
		}
		leases, err := b.Leases(t.Context(), room)
		if err != nil || len(leases) != 1 || leases[0].Holder != "h" {
			t.Errorf("%v (%v)", leases, err)
		}
	})

	t.Run("the leases of a node that dies without a word end", func(t *testing.T) {
		a, b := pair(t, s, Options{NodeTimeout: 250 * time.Millisecond})
		w := observe(t, b)
		if err := a.PutLease(t.Context(), room, "h", []byte("1")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is seen", func() bool { return slices.Equal(w.seen(), []string{"+h=1"}) })
		a.store.nc.Close()
		eventually(t, "it ends", func() bool { return slices.Equal(w.seen(), []string{"+h=1", "-h"}) })
	})

	t.Run("a change that was missed is found with the next sign of life", func(t *testing.T) {
		a, b := pair(t, s, Options{NodeTimeout: 250 * time.Millisecond})
		w := observe(t, b)
		for _, holder := range []string{"stays", "goes"} {
			if err := a.PutLease(t.Context(), room, holder, []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "both are seen", func() bool { return len(w.seen()) == 2 })
		deafen(t, b)
		if err := a.DropLease(t.Context(), room, "goes"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it ends", func() bool { return slices.Equal(w.seen(), []string{"+stays=1", "+goes=1", "-goes"}) })
	})

	t.Run("leases that are too many for one notice are known to all", func(t *testing.T) {
		a, b := pair(t, s, still)
		value := bytes.Repeat([]byte("v"), 16<<10)
		const holders = 200 // 3 MB
		for i := range holders {
			if err := a.PutLease(t.Context(), room, fmt.Sprint("h", i), value); err != nil {
				t.Fatal(err)
			}
		}
		leases, err := b.Leases(t.Context(), room)
		if err != nil || len(leases) != holders {
			t.Fatalf("%d leases (%v)", len(leases), err)
		}
		w := observe(t, b)
		if err := a.DropLease(t.Context(), room, "h7"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what comes behind them is seen", func() bool { return slices.Equal(w.seen(), []string{"-h7"}) })
	})

	t.Run("also while there is traffic in other channels", func(t *testing.T) {
		e := open(t, s, still)
		defer mustClose(t, e)
		value := bytes.Repeat([]byte("v"), 16<<10)
		for i := range 200 {
			if err := e.PutLease(t.Context(), room, fmt.Sprint("h", i), value); err != nil {
				t.Fatal(err)
			}
		}
		stop := make(chan struct{})
		var traffic sync.WaitGroup
		defer traffic.Wait()
		defer close(stop)
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					e.number.Add(1)
				}
			}
		})
		c := inMemory(e)
		c.shard.mu.Lock()
		defer c.shard.mu.Unlock()
		for range 100 {
			told := c.ownLeases()
			if len(told) < 3 {
				t.Fatalf("%d parts", len(told))
			}
			for _, n := range told {
				if n.number != told[0].number {
					t.Fatalf("parts have the numbers %d and %d", told[0].number, n.number)
				}
			}
		}
	})

	t.Run("of leases in parts that were missed nothing is taken over", func(t *testing.T) {
		l := leases{parts: make(map[string]*notice)}
		part := func(number, part uint64) *notice {
			return l.join(&notice{kind: noticeSome, node: "n", number: number, part: part, of: 3, leases: []engine.Lease{{Holder: fmt.Sprint(number, part)}}})
		}
		for _, missed := range [][]uint64{{0, 2}, {1, 2}, {0, 1}} {
			for _, i := range missed {
				if n := part(7, i); n != nil {
					t.Errorf("of %v %v was taken over", missed, n.leases)
				}
			}
		}
		if part(8, 2) != nil {
			t.Error("parts of two answers were put together")
		}
		if part(9, 0) != nil || part(9, 1) != nil {
			t.Error("taken over before the last")
		}
		if n := part(9, 2); n == nil || n.kind != noticeLeases || n.number != 9 || len(n.leases) != 3 {
			t.Errorf("%+v", n)
		}
		if len(l.parts) > 0 {
			t.Error("parts are kept")
		}
	})

	for what, notices := range map[string]func(*Engine){
		"is connected again":               (*Engine).reconnected,
		"knows that it has missed notices": func(e *Engine) { e.deaf.Store(true) },
	} {
		t.Run("a node that "+what+" finds the end of a lease in a channel that its owner has let go of", func(t *testing.T) {
			o := still
			o.NodeTimeout = 10 * time.Second
			a, b := pair(t, s, o)
			w := observe(t, b)
			if err := a.PutLease(t.Context(), room, "h", []byte("1")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is seen", func() bool { return len(w.seen()) == 1 })
			deafen(t, b)
			if err := a.DropLease(t.Context(), room, "h"); err != nil {
				t.Fatal(err)
			}
			a.nodes.saying() // which gets lost
			c := inMemory(a)
			c.shard.mu.Lock()
			a.letGoLocked(c)
			c.shard.mu.Unlock()
			notices(b)
			eventually(t, "it ends", func() bool { return slices.Equal(w.seen(), []string{"+h=1", "-h"}) })
		})
	}

	t.Run("the first lease of a channel whose owner has answered that it has none is seen without asking", func(t *testing.T) {
		a, b := pair(t, s, still)
		if err := a.PutLease(t.Context(), "room:8", "h", nil); err != nil { // so that there are numbers
			t.Fatal(err)
		}
		w := observe(t, b)
		before := b.store.nc.Stats().OutMsgs
		if err := a.PutLease(t.Context(), room, "h", []byte("1")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is seen", func() bool { return slices.Equal(w.seen(), []string{"+h=1"}) })
		if n := b.store.nc.Stats().OutMsgs - before; n > 0 {
			t.Errorf("%d messages were sent for it", n)
		}
	})

	t.Run("what is sent is delivered behind what its sender had appended", func(t *testing.T) {
		a, b := pair(t, s, Options{})
		w := observe(t, b)
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint("logged ", i), fmt.Sprint("sent ", i))
			mustAppend(t, a, text("logged %d", i))
			if err := a.Send(t.Context(), room, engine.Entry{Kind: engine.KindMessage, Data: fmt.Append(nil, "sent ", i)}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all are there", func() bool { return len(w.seen()) == len(want) })
		// What was sent may come later than the next logged one, never before its own.
		got := w.seen()
		for i := range 100 {
			if slices.Index(got, fmt.Sprint("sent ", i)) < slices.Index(got, fmt.Sprint("logged ", i)) {
				t.Errorf("%d: sent before logged", i)
			}
		}
	})
}

// What many members of one channel cost the servers.
func TestStorm(t *testing.T) {
	s := startServer(t)

	t.Run("[E9] a thousand who ask at once share a look at the leader", func(t *testing.T) {
		a, b := pair(t, s, Options{QuietAfter: time.Hour, NodeTimeout: time.Hour})
		at := mustAppend(t, a, text("x"))
		observe(t, b)
		before := b.store.nc.Stats().OutMsgs
		begin := make(chan struct{})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				<-begin
				if head, err := b.Head(t.Context(), room); err != nil || head != at {
					t.Errorf("head %v, want %v (%v)", head, at, err)
				}
			})
		}
		close(begin)
		all.Wait()
		if asked := b.store.nc.Stats().OutMsgs - before; asked > 100 {
			t.Errorf("%d messages to NATS for 1,000 heads", asked)
		} else {
			t.Logf("%d messages to NATS for 1,000 heads", asked)
		}
	})

	t.Run("watchers of a channel share its subscription", func(t *testing.T) {
		e := open(t, s, Options{})
		defer mustClose(t, e)
		observe(t, e)
		one := e.store.nc.NumSubscriptions()
		for range 100 {
			observe(t, e)
		}
		if n := e.store.nc.NumSubscriptions(); n != one {
			t.Errorf("%d subscriptions with 101 watchers, %d with one", n, one)
		}
	})

	t.Run("a lease is dropped while nobody can be reached", func(t *testing.T) {
		apart := startServer(t)
		e := open(t, apart, Options{})
		t.Cleanup(func() { _ = e.Close() }) // it cannot say goodbye
		w := observe(t, e)
		if err := e.PutLease(t.Context(), room, "h", []byte("1")); err != nil {
			t.Fatal(err)
		}
		apart.Shutdown()
		apart.WaitForShutdown()
		if err := e.DropLease(t.Context(), room, "h"); err != nil {
			t.Error(err)
		}
		eventually(t, "it ends here", func() bool { return slices.Equal(w.seen(), []string{"+h=1", "-h"}) })
	})
}

func TestMemory(t *testing.T) {
	s := startServer(t)

	t.Run("a channel that nobody uses leaves memory, and its subscription ends", func(t *testing.T) {
		c := newFakeClock()
		e := open(t, s, Options{Clock: c.Now})
		defer mustClose(t, e)
		at := mustAppend(t, e, text("x"))
		eventually(t, "nothing works on it", func() bool {
			sh := e.shardOf(room)
			sh.mu.Lock()
			defer sh.mu.Unlock()
			return sh.channels[room].unused()
		})
		before := e.store.nc.NumSubscriptions()
		c.Advance(2 * time.Minute)
		e.sweepAll()
		if n := e.store.nc.NumSubscriptions(); n != before-1 {
			t.Errorf("%d subscriptions, want %d", n, before-1)
		}
		if used := e.memory.used.Load(); used != 0 {
			t.Errorf("%d bytes are used", used)
		}
		head, err := e.Head(t.Context(), room)
		if err != nil || head != at {
			t.Errorf("head %v, want %v (%v)", head, at, err)
		}
	})

	t.Run("[E8] channels that nobody watches make room, and what is watched is refused more", func(t *testing.T) {
		e := open(t, s, Options{MaxMemory: 1 << 20})
		defer mustClose(t, e)
		data := bytes.Repeat([]byte("x"), 10_000)
		for i := range 300 {
			if _, err := e.Append(t.Context(), fmt.Sprint("room-", i), engine.Write{Data: data}); err != nil {
				t.Fatalf("append %d: %v", i, err)
			}
		}
		observe(t, e)
		var err error
		for i := 0; err == nil && i < 300; i++ {
			_, err = e.Append(t.Context(), room, engine.Write{Data: data, Retention: engine.Retention{Messages: 1000}})
		}
		if !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		if used := e.memory.used.Load(); used > 1<<20 {
			t.Errorf("%d bytes are used", used)
		}
	})
}
