package enginetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// many keeps everything that a test of order appends.
var many = engine.Retention{Messages: 100_000}

func (s *suite) testOrder(t *testing.T, d engine.Durability) {
	t.Run("[E1] the first entry of a log has offset 1 or more and prev 0", func(t *testing.T) {
		e := s.start(t)
		want(t, "position before", mustHead(t, e, room).Offset, 0)
		r := mustAppend(t, e, room, message(d, "a"))
		entries := mustRead(t, e, room, engine.Position{})
		want(t, "entries", len(entries), 1)
		checkChain(t, 0, r.Position.Offset, entries)
		want(t, "head", mustHead(t, e, room), r.Position)
	})

	t.Run("[E1] watchers see what many write in the one order of the offsets", func(t *testing.T) {
		const writers, each, watchers = 8, 40, 3
		e := s.start(t)
		var recorders []*recorder
		for range watchers {
			recorders = append(recorders, watch(t, e, room))
		}
		together(writers, func(i int) {
			for n := range each {
				w := message(d, fmt.Sprintf("%d/%d", i, n))
				w.Retention = many
				if _, err := e.Append(t.Context(), room, w); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		head := mustHead(t, e, room).Offset
		log := mustRead(t, e, room, engine.Position{})
		want(t, "entries", len(log), writers*each)
		for _, r := range recorders {
			r.wait(t, writers*each)
			r.check(t, head)
			want(t, "what a watcher saw", data(r.entries()), data(log))
		}
		checkEachInOrder(t, data(log), writers)
	})

	t.Run("[E1] channels do not mix", func(t *testing.T) {
		e := s.start(t)
		a, b := watch(t, e, "a"), watch(t, e, "b")
		together(2, func(i int) {
			for n := range 20 {
				name := []string{"a", "b"}[i]
				if _, err := e.Append(t.Context(), name, message(d, fmt.Sprintf("%s%d", name, n))); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		a.wait(t, 20)
		b.wait(t, 20)
		a.check(t, mustHead(t, e, "a").Offset)
		b.check(t, mustHead(t, e, "b").Offset)
		for _, en := range b.entries() {
			want(t, "first letter in b", en.Data[0], 'b')
		}
	})

	t.Run("[E3] what was acknowledged was handed to every watcher and can be read", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		together(4, func(i int) {
			for n := range 10 {
				w := keyed(d, fmt.Sprintf("k%d", i), fmt.Sprint(n))
				receipt, err := e.Append(t.Context(), room, w)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				if !slices.ContainsFunc(r.entries(), func(en engine.Entry) bool { return en.Offset == receipt.Position.Offset }) {
					t.Errorf("entry %d was acknowledged before it was delivered", receipt.Position.Offset)
				}
				if v, err := e.Get(t.Context(), room, fmt.Sprintf("k%d", i)); err != nil || v.Version != receipt.Position.Offset {
					t.Errorf("own write %d is not read: version %d (%v)", receipt.Position.Offset, v.Version, err)
				}
			}
		})
	})
}

// checkEachInOrder demands that each writer's entries are in the order in which
// it appended them.
func checkEachInOrder(t *testing.T, log []string, writers int) {
	t.Helper()
	next := make([]int, writers)
	for _, s := range log {
		var writer, n int
		if _, err := fmt.Sscanf(s, "%d/%d", &writer, &n); err != nil {
			t.Fatalf("entry %q: %v", s, err)
		}
		if n != next[writer] {
			t.Fatalf("writer %d: entry %d comes when %d is due", writer, n, next[writer])
		}
		next[writer]++
	}
}

func (s *suite) testWatch(t *testing.T, d engine.Durability) {
	t.Run("[E2] between the position of Watch and the live entries nothing is missing and nothing comes twice", func(t *testing.T) {
		const writers, each, watchers = 4, 60, 20
		e := s.start(t)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for n := range each {
					w := message(d, fmt.Sprintf("%d/%d", i, n))
					w.Retention = many
					if _, err := e.Append(t.Context(), room, w); err != nil {
						t.Errorf("append: %v", err)
					}
				}
			})
		}
		var recorders []*recorder
		for range watchers {
			recorders = append(recorders, watch(t, e, room))
			w := message(d, "between")
			w.Retention = many
			mustAppend(t, e, room, w)
		}
		wg.Wait()
		head := mustHead(t, e, room).Offset
		log := mustRead(t, e, room, engine.Position{})
		for _, r := range recorders {
			r.wait(t, int(head-r.at.Offset))
			r.check(t, head)
			before := slices.IndexFunc(log, func(en engine.Entry) bool { return en.Offset > r.at.Offset })
			want(t, "history up to Watch and what came after", data(log[before:]), data(r.entries()))
		}
	})

	t.Run("[E2] a watcher that was stopped is handed nothing more", func(t *testing.T) {
		e := s.start(t)
		stopped, other := watch(t, e, room), watch(t, e, room)
		mustAppend(t, e, room, message(d, "a"))
		stopped.stop()
		stopped.stop()
		mustAppend(t, e, room, message(d, "b"))
		want(t, "stopped", data(stopped.entries()), []string{"a"})
		want(t, "other", data(other.entries()), []string{"a", "b"})
	})

	t.Run("[E10] nobody's append waits for a watcher's Flush but that of who wrote", func(t *testing.T) {
		e := s.start(t)
		slow := &slowSink{entered: make(chan struct{}), leave: make(chan struct{})}
		_, stop, err := e.Watch(t.Context(), room, slow)
		must(t, err)
		defer stop()
		var wrote sync.WaitGroup
		wrote.Go(func() {
			if _, err := e.Append(t.Context(), room, message(d, "slow")); err != nil {
				t.Errorf("append: %v", err)
			}
		})
		<-slow.entered
		hang := time.AfterFunc(patience, func() { panic("[E10] appends wait for a Flush") }) // or it would be ten minutes
		defer hang.Stop()
		for i := range 100 { // some of which are in the same part of the engine
			mustAppend(t, e, fmt.Sprint("other ", i), message(d, "x"))
		}
		mustAppend(t, e, room, message(d, "quick"))
		want(t, "handed over", slow.count(), 2)
		close(slow.leave)
		wrote.Wait()
	})

	t.Run("[E10] what was handed over is flushed", func(t *testing.T) {
		e := s.start(t)
		sink := &slowSink{leave: make(chan struct{}), flushed: make(chan int, 1000)}
		close(sink.leave)
		_, stop, err := e.Watch(t.Context(), room, sink)
		must(t, err)
		defer stop()
		together(4, func(i int) {
			for n := range 20 {
				if _, err := e.Append(t.Context(), room, message(d, fmt.Sprint(n))); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		sink.awaitFlushOf(t, 80)
		must(t, e.PutLease(t.Context(), room, "a", []byte("1")))
		sink.awaitFlushOf(t, 81)
		must(t, e.Send(t.Context(), room, engine.Entry{Kind: engine.KindMessage, Data: []byte("sent")}))
		sink.awaitFlushOf(t, 82)
		must(t, e.DropLease(t.Context(), room, "a"))
		sink.awaitFlushOf(t, 83)
	})

	t.Run("[E2] watchers come and go while others write", func(t *testing.T) {
		e := s.start(t)
		stay := watch(t, e, room)
		together(4, func(i int) {
			for n := range 30 {
				if i == 0 {
					_, stop, err := e.Watch(t.Context(), room, engine.SinkFunc(func([]engine.Event) {}))
					if err != nil {
						t.Errorf("watch: %v", err)
						return
					}
					stop()
					continue
				}
				if _, err := e.Append(t.Context(), room, message(d, fmt.Sprint(n))); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		stay.wait(t, 90)
		stay.check(t, mustHead(t, e, room).Offset)
	})
}

// slowSink is flushed, the first time, as slowly as the test wants.
type slowSink struct {
	entered, leave chan struct{} // entered may be nil
	flushed        chan int      // how much had been handed over at each flush; may be nil
	events, began  atomic.Int32
}

func (s *slowSink) Deliver(events []engine.Event) { s.events.Add(int32(len(events))) }

func (s *slowSink) Flush() {
	if s.began.Add(1) == 1 {
		if s.entered != nil {
			close(s.entered)
		}
		<-s.leave
	}
	if s.flushed != nil {
		s.flushed <- s.count()
	}
}

// awaitFlushOf waits for a flush behind so many events.
func (s *slowSink) awaitFlushOf(t *testing.T, events int) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case n := <-s.flushed:
			if n == events {
				return
			}
		case <-deadline:
			t.Fatalf("%d were handed over, and the last flush was before", s.count())
		}
	}
}

func (s *slowSink) count() int { return int(s.events.Load()) }
