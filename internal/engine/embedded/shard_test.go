package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

// gate holds back writes of the log while it is shut, so that a test can look
// at a commit that is under way.
type gate struct {
	mu      sync.Mutex
	open    sync.Cond
	shut    bool
	waiting int
}

func newGate() *gate {
	g := &gate{}
	g.open.L = &g.mu
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.open.Broadcast()
}

func (g *gate) fs() vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpFileWrite || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting++
		for g.shut {
			g.open.Wait()
		}
		g.waiting--
		return nil
	}))
}

// queued counts what waits in the room's shard.
func queued(t *testing.T, e *Engine) int {
	t.Helper()
	s, err := e.shardOf(room)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

func (g *gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting > 0
}

// behind starts an append that is held in its commit, and n more that queue.
func behind(t *testing.T, e *Engine, g *gate, n int, appendOne func(i int)) (done func()) {
	t.Helper()
	g.set(true)
	var wg sync.WaitGroup
	wg.Go(func() { appendOne(-1) })
	await(t, "the first commit", g.holds)
	for i := range n {
		wg.Go(func() { appendOne(i) })
		await(t, "the append to queue", func() bool { return queued(t, e) == i+1 })
	}
	return func() {
		g.set(false)
		wg.Wait()
	}
}

func TestQueue(t *testing.T) {
	t.Run("[E8] what waits is bounded, and what waited is written", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs(), MaxWaiting: 10_000})
		defer mustClose(t, e)
		big := strings.Repeat("x", 2000)
		done := behind(t, e, g, 3, func(int) {
			if _, err := e.Append(t.Context(), room, message(engine.OS, big)); err != nil {
				t.Errorf("append: %v", err)
			}
		})
		if _, err := e.Append(t.Context(), room, message(engine.OS, big)); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		if err := e.PutLease(t.Context(), room, "h", []byte(big)); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("lease: got %v, want ErrOverloaded", err)
		}
		done()
		if got := len(readAll(t, e, room)); got != 4 {
			t.Errorf("%d entries are there, want 4", got)
		}
		mustAppend(t, e, room, message(engine.OS, strings.Repeat("x", 20_000))) // alone it finds room
	})

	t.Run("[E8] a lease is dropped however much is waiting, and the queue grows by it once", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs(), MaxWaiting: 2000})
		defer mustClose(t, e)
		if err := e.PutLease(t.Context(), room, "h", nil); err != nil {
			t.Fatal(err)
		}
		big := strings.Repeat("x", 1500)
		done := behind(t, e, g, 0, func(int) {
			if _, err := e.Append(t.Context(), room, message(engine.OS, big)); err != nil {
				t.Errorf("append: %v", err)
			}
		})
		if err := e.PutLease(t.Context(), room, "h", []byte(big)); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("put: got %v, want ErrOverloaded", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := e.DropLease(t.Context(), room, "h"); err != nil {
				t.Errorf("drop: %v", err)
			}
		})
		await(t, "the drop to queue", func() bool { return queued(t, e) == 1 })
		for range 10 {
			for _, holder := range []string{"h", "nobody"} {
				if err := e.DropLease(t.Context(), room, holder); err != nil {
					t.Errorf("drop again: %v", err)
				}
			}
		}
		if n := queued(t, e); n != 1 {
			t.Errorf("%d ops wait, want the one that drops the lease", n)
		}
		done()
		wg.Wait()
		if leases, err := e.Leases(t.Context(), room); err != nil || len(leases) != 0 {
			t.Errorf("leases %v are left (%v)", leases, err)
		}
	})

	t.Run("[E4] a repeat, and [E5] a conflict, wait for the commit they rest on", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs()})
		defer mustClose(t, e)
		answers := make(chan string, 3)
		done := behind(t, e, g, 2, func(i int) {
			w := engine.Write{ID: "id", Durability: engine.OS, Puts: []engine.Put{{Key: "k"}}, If: []engine.Condition{{Key: "k"}}}
			if i == 1 {
				w.ID = "other"
			}
			r, err := e.Append(t.Context(), room, w)
			_, conflict := errors.AsType[*engine.ConflictError](err)
			switch {
			case conflict:
				answers <- fmt.Sprint(i, " conflict")
			case err != nil:
				t.Errorf("append: %v", err)
			case r.Duplicate:
				answers <- fmt.Sprint(i, " duplicate")
			default:
				answers <- fmt.Sprint(i, " appended")
			}
		})
		if v, err := e.Get(t.Context(), room, "k"); err != nil || v.Version != 0 {
			t.Errorf("what is not committed is seen: %v (%v)", v, err)
		}
		if len(answers) > 0 {
			t.Errorf("answered before the commit: %s", <-answers)
		}
		done()
		got := []string{<-answers, <-answers, <-answers}
		slices.Sort(got)
		if want := []string{"-1 appended", "0 duplicate", "1 conflict"}; !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
	})

	t.Run("memory-only entries, leases and what is sent wait behind one commit and keep their order", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs()})
		defer mustClose(t, e)
		var mu sync.Mutex
		var got []string
		_, stop, err := e.Watch(t.Context(), room, engine.SinkFunc(func(events []engine.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, ev := range events {
				if ev.Lease != nil {
					got = append(got, "lease")
				} else {
					got = append(got, string(ev.Entry.Data))
				}
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		done := behind(t, e, g, 3, func(i int) {
			var err error
			switch i {
			case -1:
				_, err = e.Append(t.Context(), room, message(engine.OS, "durable"))
			case 0:
				_, err = e.Append(t.Context(), room, message(engine.Memory, "memory"))
			case 1:
				err = e.Send(t.Context(), room, engine.Entry{Data: []byte("sent")})
			case 2:
				err = e.PutLease(t.Context(), room, "h", nil)
			}
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
		done()
		if want := "[durable memory sent lease]"; fmt.Sprint(got) != want {
			t.Errorf("delivered %v, want %s", got, want)
		}
	})

	t.Run("a leader whose own append is done hands over, also past those who gave up", func(t *testing.T) {
		e := open(t, Options{})
		defer mustClose(t, e)
		s, c, err := e.acquire(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		gone, waits := e.ops.get(), e.ops.get()
		for _, o := range []*op{gone, waits} {
			o.kind, o.ch = opAnswer, c
			s.enqueueLocked(o)
		}
		gone.abandoned = true
		if !s.handOverLocked() || !waits.lead || gone.lead {
			t.Error("leadership did not go to the one who waits")
		}
		s.beginLocked()
		s.lead(waits)
		if !gone.finished || !waits.finished {
			t.Error("the new leader left something undone")
		}
	})

	t.Run("[E3] when nobody waits any more the leader finishes the queue", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs()})
		defer mustClose(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		g.set(true)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := e.Append(t.Context(), room, message(engine.OS, "first")); err != nil {
				t.Errorf("append: %v", err)
			}
		})
		await(t, "the first commit", g.holds)
		var gaveUp sync.WaitGroup
		for i := range 5 {
			gaveUp.Go(func() {
				if _, err := e.Append(ctx, room, message(engine.OS, fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want that it was cancelled", err)
				}
			})
		}
		await(t, "the appends to queue", func() bool { return queued(t, e) == 5 })
		cancel()
		gaveUp.Wait()
		g.set(false)
		wg.Wait()
		await(t, "the queue to empty", func() bool { return len(readAll(t, e, room)) == 6 })
	})

	t.Run("Close waits for channels that are being loaded", func(t *testing.T) {
		for range 20 {
			e := open(t, Options{Dir: "store", FS: vfs.NewMem()})
			var started, wg sync.WaitGroup
			started.Add(4)
			for i := range 4 {
				wg.Go(func() {
					for n := 0; ; n++ {
						_, err := e.Append(t.Context(), fmt.Sprintf("room-%d-%d", i, n), message(engine.OS, "x"))
						if n == 3 {
							started.Done()
						}
						if err != nil {
							if !errors.Is(err, engine.ErrClosed) {
								t.Errorf("append: %v", err)
							}
							return
						}
					}
				})
			}
			started.Wait()
			mustClose(t, e)
			wg.Wait()
		}
	})
}

// loud is a sink whose first flush takes as long as the test wants.
type loud struct {
	deliver        func()
	entered, leave chan struct{}
	flushes        atomic.Int32
}

func (l *loud) Deliver([]engine.Event) { l.deliver() }

func (l *loud) Flush() {
	if l.flushes.Add(1) == 1 {
		close(l.entered)
		<-l.leave
	}
}

func TestFlushes(t *testing.T) {
	t.Run("[E10] a shard is not kept by who flushes when nobody waits for what is pending", func(t *testing.T) {
		e := open(t, Options{})
		defer mustClose(t, e)
		s, err := e.shardOf(room)
		if err != nil {
			t.Fatal(err)
		}
		sink := &loud{entered: make(chan struct{}), leave: make(chan struct{})}
		sink.deliver = sync.OnceFunc(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.enqueueLocked(&op{kind: opMaintain, ch: s.channels[room]})
		})
		_, stop, err := e.Watch(t.Context(), room, sink)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		var writer sync.WaitGroup
		writer.Go(func() { mustAppend(t, e, room, message(engine.Memory, "loud")) })
		<-sink.entered
		hang := time.AfterFunc(20*time.Second, func() { panic("[E10] an append waits for another's flush") })
		defer hang.Stop()
		mustAppend(t, e, room, message(engine.Memory, "quick"))
		close(sink.leave)
		writer.Wait()
	})
	t.Run("[E10] what nobody waits for any more is flushed all the same", func(t *testing.T) {
		g := newGate()
		e := open(t, Options{Dir: "store", FS: g.fs()})
		defer mustClose(t, e)
		sink := &loud{deliver: func() {}, entered: make(chan struct{}), leave: make(chan struct{})}
		close(sink.leave)
		_, stop, err := e.Watch(t.Context(), room, sink)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		ctx, giveUp := context.WithCancel(t.Context())
		done := behind(t, e, g, 1, func(i int) {
			if i < 0 {
				mustAppend(t, e, room, message(engine.OS, "x"))
			} else if _, err := e.Append(ctx, room, message(engine.OS, "y")); !errors.Is(err, context.Canceled) {
				t.Errorf("append: %v", err)
			}
		})
		giveUp()
		await(t, "the append to be given up", func() bool { return abandoned(t, e) })
		done()
		if n := sink.flushes.Load(); n != 2 {
			t.Errorf("%d flushes for who waited and who did not", n)
		}
	})
}

// abandoned says whether the only op that is pending was given up.
func abandoned(t *testing.T, e *Engine) bool {
	t.Helper()
	s, err := e.shardOf(room)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) == 1 && s.pending[0].abandoned
}
