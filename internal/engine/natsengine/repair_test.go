package natsengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// slow is an observer whose flushes take until it is let go. When it was handed a
// certain number of entries it calls back, from within Deliver.
type slow struct {
	observer
	entered, leave chan struct{}
	enter, release func()
	at             int
	call           func()
}

func observeSlowly(t *testing.T, e *Engine) *slow {
	t.Helper()
	o := &slow{entered: make(chan struct{}), leave: make(chan struct{})}
	o.enter = sync.OnceFunc(func() { close(o.entered) })
	o.release = sync.OnceFunc(func() { close(o.leave) })
	_, stop, err := e.Watch(t.Context(), room, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	t.Cleanup(o.release)
	mustAppend(t, e, text("which is flushed from now on, so that what comes behind it is not"))
	<-o.entered
	o.got = nil
	return o
}

func (o *slow) Deliver(events []engine.Event) {
	o.sink(events)
	if o.call != nil && len(o.seen()) == o.at {
		o.call()
	}
}

func (o *slow) Flush() {
	o.enter()
	<-o.leave
}

// inMemory returns the room as a node has it in memory.
func inMemory(e *Engine) *channel {
	s := e.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[room]
}

// isHeldUp says whether the room's watchers keep a node from going on in it.
func isHeldUp(e *Engine) bool {
	s := e.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[room].isBehind()
}

// pendingIn is how many appends wait in the room.
func pendingIn(e *Engine) int {
	s := e.shardOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.channels[room].pending)
}

// outweigh makes a base of the room so large that short messages cause no other.
func outweigh(t *testing.T, e *Engine) {
	t.Helper()
	mustAppend(t, e, text("%s", strings.Repeat("x", 500_000)))
	eventually(t, "there is a base", func() bool {
		c := inMemory(e)
		c.shard.mu.Lock()
		defer c.shard.mu.Unlock()
		return c.size.base > 0 && !c.pumping
	})
}

// fill appends messages, each by itself, and returns what they say.
func fill(t *testing.T, e *Engine, n int) []string {
	t.Helper()
	var said []string
	for i := range n {
		m := text("%d", i)
		said = append(said, string(m.Data))
		mustAppend(t, e, m)
	}
	return said
}

// still makes nodes read a log only when they are asked to.
var still = Options{QuietAfter: time.Hour, NodeTimeout: time.Hour}

// someSteps is more messages than three steps read. Watchers who are not flushed hold a
// node up in the second.
const someSteps = 3*readBatch + 100

func TestSteps(t *testing.T) {
	s := startServer(t)

	t.Run("[E2] what a node lacks is read and applied in steps, in order", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observe(t, b)
		deafen(t, b)
		want := fill(t, a, someSteps)
		if n := inStream(t, a); n < someSteps {
			t.Fatalf("only %d messages are in the stream", n)
		}
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.seen(), want) || len(w.reset()) > 0 {
			t.Errorf("%d entries of %d, resets %v", len(w.seen()), len(want), w.reset())
		}
	})

	t.Run("[E8] a step is one request's worth, of messages and of bytes", func(t *testing.T) {
		e := open(t, s, still)
		defer mustClose(t, e)
		outweigh(t, e)
		const large = 100_000
		for range 8 { // with the base more than one step, and too little for another base
			mustAppend(t, e, text("%s", strings.Repeat("x", large)))
		}
		fill(t, e, someSteps)
		p, total := partition(room, e.store.partitions), 0
		end, err := e.store.end(t.Context(), p, escape(room))
		if err != nil {
			t.Fatal(err)
		}
		for from := uint64(1); from <= end.seq; {
			step, err := e.store.step(t.Context(), p, escape(room), from, end)
			if err != nil {
				t.Fatal(err)
			}
			bytes := 0
			for _, m := range step {
				bytes += len(m.body)
			}
			if len(step) > readBatch || bytes > readBytes+2*large {
				t.Errorf("a step of %d messages, %d bytes", len(step), bytes)
			}
			total += len(step)
			from = step[len(step)-1].seq + 1
		}
		if n := inStream(t, e); total != n {
			t.Errorf("steps have %d messages of %d", total, n)
		}
	})

	t.Run("[E8] [E10] a node whose watchers are slow has read no more than the step it is at", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		want := fill(t, a, someSteps)
		before := b.store.nc.Stats().InMsgs
		asked := make(chan error, 1)
		go func() {
			_, err := b.Head(t.Context(), room)
			asked <- err
		}()
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		if read := b.store.nc.Stats().InMsgs - before; read > 2*readBatch+10 {
			t.Errorf("%d messages were read for %d that were handed out", read, len(w.seen()))
		}
		w.release()
		if err := <-asked; err != nil {
			t.Error(err)
		}
		if !slices.Equal(w.seen(), want) {
			t.Errorf("%d entries of %d", len(w.seen()), len(want))
		}
	})

	t.Run("[E2] what comes live while a node reads is delivered behind it, once", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		want := fill(t, a, someSteps)
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		w.release()
		for i := range 500 {
			want = append(want, fmt.Sprint("live ", i))
			mustAppend(t, a, text("live %d", i))
		}
		eventually(t, "all are there", func() bool { return len(w.seen()) >= len(want) })
		if !slices.Equal(w.seen(), want) || len(w.reset()) > 0 {
			t.Errorf("not the same entries, resets %v", w.reset())
		}
	})

	t.Run("[E2] what was applied when a step fails stays, and the rest is read again from there", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		w.release()
		deafen(t, b)
		want := fill(t, a, someSteps)
		ctx, cancel := context.WithCancel(t.Context())
		w.at, w.call = readBatch+1, cancel // in the second step
		if err := b.catchUp(ctx, inMemory(b)); !errors.Is(err, context.Canceled) && !errors.Is(err, errBehind) {
			t.Fatalf("got %v", err)
		}
		got := w.seen()
		if len(got) <= readBatch || len(got) == len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("%d entries were delivered, or in another order", len(got))
		}
		before := b.store.nc.Stats().InMsgs
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		if read := b.store.nc.Stats().InMsgs - before; read > uint64(len(want)-len(got)+10) {
			t.Errorf("%d messages were read for %d", read, len(want)-len(got))
		}
		if !slices.Equal(w.seen(), want) {
			t.Errorf("%d entries of %d", len(w.seen()), len(want))
		}
	})

	t.Run("[E2] what is compacted between two steps is delivered from the base", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		want := fill(t, a, someSteps)
		c := inMemory(b)
		read := make(chan error, 1)
		go func() { read <- b.catchUp(t.Context(), c) }()
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		for range 3 {
			large := strings.Repeat("x", 500_000)
			want = append(want, large)
			mustAppend(t, a, text("%s", large))
		}
		eventually(t, "the log is compacted", func() bool { return inStream(t, a) < readBatch })
		w.release()
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Head(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.seen(), want) || len(w.reset()) > 0 {
			t.Errorf("%d entries of %d, resets %v", len(w.seen()), len(want), w.reset())
		}
	})

	t.Run("[E7] a log that is lost between two steps goes on under another epoch, and watchers are told", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		fill(t, a, someSteps)
		c := inMemory(b)
		read := make(chan error, 1)
		go func() { read <- b.catchUp(t.Context(), c) }()
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		if err := a.store.js.DeleteStream(t.Context(), a.store.subjects.stream(c.part)); err != nil {
			t.Fatal(err)
		}
		at, err := a.Head(t.Context(), room) // which notices
		if err != nil {
			t.Fatal(err)
		}
		w.release()
		<-read // the stream is another one: it is tried again
		head, err := b.Head(t.Context(), room)
		if err != nil || head.Epoch != at.Epoch {
			t.Errorf("goes on at %v, want the epoch of %v (%v)", head, at, err)
		}
		if !slices.Equal(w.reset(), []engine.Position{head}) {
			t.Errorf("watchers were told %v, want %v", w.reset(), head)
		}
	})

	t.Run("Close does not wait until all steps are read", func(t *testing.T) {
		o := still
		o.Prefix = unusedPrefix()
		a, b := open(t, s, o), open(t, s, o)
		defer mustClose(t, a)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		fill(t, a, someSteps)
		sh := b.shardOf(room)
		sh.mu.Lock()
		b.repairLocked(sh.channels[room])
		sh.mu.Unlock()
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		closed := make(chan error, 1)
		go func() { closed <- b.Close() }()
		eventually(t, "it is closed", sh.isClosed)
		w.release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if n := len(w.seen()); n > 2*readBatch {
			t.Errorf("%d entries of %d were read", n, someSteps)
		}
	})
}

// What this node's own watchers do not keep up with is not the servers' fault.
func TestBehind(t *testing.T) {
	s := startServer(t)
	impatient := still
	impatient.Patience = time.Second // the servers answer sooner
	// within fails the test, rather than let it hang, when a call that has to end does not.
	within := func(t *testing.T, call func() error) error {
		t.Helper()
		ended := make(chan error, 1)
		go func() { ended <- call() }()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			t.Fatal("it does not end")
			return nil
		}
	}
	wantOverloaded := func(t *testing.T, what string, e *Engine, err error) {
		t.Helper()
		if !errors.Is(err, engine.ErrOverloaded) || errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrOverloaded", what, err)
		}
		if err := e.Healthy(); err != nil {
			t.Errorf("%s: health: %v", what, err)
		}
	}

	t.Run("[E10] an append that waits longer than Patience for watchers is told ErrOverloaded, and is not stored", func(t *testing.T) {
		e := open(t, s, impatient)
		t.Cleanup(func() { mustClose(t, e) })
		w := observeSlowly(t, e)
		var want []string
		for i := 0; !isHeldUp(e); i++ {
			want = append(want, fmt.Sprint(i))
			mustAppend(t, e, text("%d", i))
		}
		err := within(t, func() error {
			_, err := e.Append(t.Context(), room, text("late"))
			return err
		})
		wantOverloaded(t, "append", e, err)
		if n := pendingIn(e); n != 0 {
			t.Errorf("%d appends wait on, of whom nobody knows", n)
		}
		w.release()
		mustAppend(t, e, text("behind"))
		if want = append(want, "behind"); !slices.Equal(w.seen(), want) {
			t.Errorf("%d entries, want %d", len(w.seen()), len(want))
		}
	})

	for what, call := range map[string]func(*Engine) error{
		"[E10] an append that waits because what others wrote comes first": func(e *Engine) error {
			_, err := e.Append(t.Context(), room, text("late"))
			return err
		},
		"[E9] [E10] who asks for the head meanwhile": func(e *Engine) error {
			_, err := e.Head(t.Context(), room)
			return err
		},
	} {
		t.Run(what+" is told ErrOverloaded, and the node is healthy", func(t *testing.T) {
			a, b := pair(t, s, impatient)
			outweigh(t, a)
			w := observeSlowly(t, b)
			deafen(t, b)
			want := fill(t, a, someSteps)
			wantOverloaded(t, what, b, within(t, func() error { return call(b) }))
			w.release()
			if _, err := b.Head(t.Context(), room); err != nil {
				t.Fatal(err)
			}
			// The append given up may have read too, and be handing out what Head speaks of.
			eventually(t, "all are there", func() bool { return len(w.seen()) >= len(want) })
			if !slices.Equal(w.seen(), want) {
				t.Error("not the same entries")
			}
		})
	}

	t.Run("servers that only had the rest of the time are not blamed", func(t *testing.T) {
		a, b := pair(t, s, still)
		outweigh(t, a)
		w := observeSlowly(t, b)
		deafen(t, b)
		fill(t, a, someSteps)
		ctx, cancel := context.WithCancel(t.Context())
		w.at, w.call = heldMax+2, cancel // behind the wait, before the last step
		c := inMemory(b)
		read := make(chan error, 1)
		go func() { read <- b.catchUp(ctx, c) }()
		eventually(t, "watchers hold it up", func() bool { return isHeldUp(b) })
		w.release()
		if err := <-read; !errors.Is(err, errBehind) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("servers that are gone are blamed", func(t *testing.T) {
		own, stop, _ := restartable(t)
		e := open(t, own, impatient)
		t.Cleanup(func() { _ = e.Close() }) // it cannot say goodbye
		observe(t, e)
		stop()
		if _, err := e.Head(t.Context(), room); !errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("head: %v", err)
		}
		if e.store.parts[partition(room, 2)].trouble.Load() == 0 {
			t.Error("the servers are not blamed")
		}
	})
}
