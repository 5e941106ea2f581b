package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func (s *suite) testClasses(t *testing.T) {
	t.Run("[E3] entries of different durability share one order", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		classes := []engine.Durability{engine.Memory, engine.OS, engine.Memory, engine.Disk, engine.Memory}
		for i, d := range classes {
			mustAppend(t, e, room, message(d, fmt.Sprint(i)))
		}
		want(t, "log", data(mustRead(t, e, room, engine.Position{})), []string{"0", "1", "2", "3", "4"})
		r.wait(t, len(classes))
		r.check(t, mustHead(t, e, room).Offset)
	})

	t.Run("[E1] writers of different durability at once share one order", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		together(6, func(i int) {
			for n := range 15 {
				w := message(engine.Durability(i%3), fmt.Sprintf("%d/%d", i, n))
				if _, err := e.Append(t.Context(), room, w); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		r.wait(t, 90)
		r.check(t, mustHead(t, e, room).Offset)
		checkEachInOrder(t, data(r.entries()), 6)
	})

	t.Run("an unknown durability is refused", func(t *testing.T) {
		e := s.start(t)
		if _, err := e.Append(t.Context(), room, engine.Write{Durability: engine.Disk + 1}); err == nil {
			t.Error("got no error")
		}
		want(t, "head", mustHead(t, e, room).Offset, 0)
	})
}

func (s *suite) testSend(t *testing.T) {
	t.Run("what is sent is delivered in order and not logged", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		for i := range 20 {
			mustAppend(t, e, room, message(engine.Durability(i%2), fmt.Sprint("logged ", i)))
			en := engine.Entry{Offset: 99, Prev: 98, Kind: engine.KindMessage, Origin: "me", Data: []byte(fmt.Sprint("sent ", i))}
			if err := e.Send(t.Context(), room, en); err != nil {
				t.Fatal(err)
			}
		}
		for i, ev := range r.wait(t, 40) {
			word := []string{"logged", "sent"}[i%2]
			want(t, "event", string(ev.Entry.Data), fmt.Sprintf("%s %d", word, i/2))
			want(t, "has an offset", ev.Entry.Offset > 0, i%2 == 0)
			want(t, "has a prev without an offset", ev.Entry.Offset == 0 && ev.Entry.Prev != 0, false)
		}
		want(t, "head", mustHead(t, e, room).Offset, 20)
		want(t, "log", len(mustRead(t, e, room, engine.Position{})), 20)
	})

	t.Run("to nobody is no error", func(t *testing.T) {
		e := s.start(t)
		want(t, "error", e.Send(t.Context(), room, engine.Entry{Data: []byte("x")}), nil)
	})
}

func (s *suite) testLeases(t *testing.T) {
	t.Run("watchers see leases come and go, in order with entries", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		must(t, e.PutLease(t.Context(), room, "b", []byte("1")))
		mustAppend(t, e, room, message(engine.OS, "x"))
		must(t, e.PutLease(t.Context(), room, "a", []byte{}))
		must(t, e.PutLease(t.Context(), room, "b", []byte("2")))
		must(t, e.DropLease(t.Context(), room, "a"))
		must(t, e.DropLease(t.Context(), room, "nobody"))
		must(t, e.DropLease(t.Context(), room, "b"))
		var got []string
		for _, ev := range r.wait(t, 6) {
			switch {
			case ev.Entry != nil:
				got = append(got, string(ev.Entry.Data))
			case ev.Lease.Value == nil:
				got = append(got, "-"+ev.Lease.Holder)
			default:
				got = append(got, "+"+ev.Lease.Holder+string(ev.Lease.Value))
			}
		}
		want(t, "events", got, []string{"+b1", "x", "+a", "+b2", "-a", "-b"})
	})

	t.Run("a channel's leases are listed by holder", func(t *testing.T) {
		e := s.start(t)
		must(t, e.PutLease(t.Context(), room, "b", []byte("2")))
		must(t, e.PutLease(t.Context(), room, "a", []byte("1")))
		must(t, e.PutLease(t.Context(), "elsewhere", "c", []byte("3")))
		must(t, e.PutLease(t.Context(), room, "b", []byte("3")))
		leases, err := e.Leases(t.Context(), room)
		must(t, err)
		want(t, "leases", leases, []engine.Lease{{Holder: "a", Value: []byte("1")}, {Holder: "b", Value: []byte("3")}})
		must(t, e.DropLease(t.Context(), room, "a"))
		leases, err = e.Leases(t.Context(), room)
		must(t, err)
		want(t, "left", leases, []engine.Lease{{Holder: "b", Value: []byte("3")}})
	})

	t.Run("dropping what is not there is no error, and nobody is told", func(t *testing.T) {
		e := s.start(t)
		must(t, e.DropLease(t.Context(), "never opened", "h"))
		r := watch(t, e, room)
		must(t, e.PutLease(t.Context(), room, "h", []byte("1")))
		must(t, e.DropLease(t.Context(), room, "h"))
		must(t, e.DropLease(t.Context(), room, "h"))
		must(t, e.PutLease(t.Context(), room, "h", []byte("2")))
		for i, ev := range r.wait(t, 3) {
			want(t, "value", string(ev.Lease.Value), []string{"1", "", "2"}[i])
		}
	})

	t.Run("what a watcher was handed and what is listed agree in the end", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		together(4, func(i int) {
			for n := range 20 {
				holder := fmt.Sprint("h", n%3)
				if (i+n)%2 == 0 {
					must(t, e.PutLease(t.Context(), room, holder, fmt.Append(nil, i, n)))
				} else {
					must(t, e.DropLease(t.Context(), room, holder))
				}
			}
		})
		held := map[string]string{}
		r.mu.Lock()
		for _, ev := range r.events {
			if ev.Lease.Value == nil {
				delete(held, ev.Lease.Holder)
			} else {
				held[ev.Lease.Holder] = string(ev.Lease.Value)
			}
		}
		r.mu.Unlock()
		leases, err := e.Leases(t.Context(), room)
		must(t, err)
		listed := map[string]string{}
		for _, l := range leases {
			listed[l.Holder] = string(l.Value)
		}
		want(t, "leases", listed, held)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}

func (s *suite) testCancel(t *testing.T) {
	t.Run("a context that has ended is answered with its error", func(t *testing.T) {
		e := s.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := e.Append(ctx, room, message(engine.OS, "x"))
		wantIs(t, "append", err, context.Canceled)
		_, err = e.Head(ctx, room)
		wantIs(t, "head", err, context.Canceled)
		wantIs(t, "send", e.Send(ctx, room, engine.Entry{}), context.Canceled)
	})

	t.Run("[E4] appends that are cancelled at any moment can be repeated with their id", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		const writers, each = 6, 20
		together(writers, func(i int) {
			for n := range each {
				w := identified(message(engine.OS, fmt.Sprintf("%d/%d", i, n)), fmt.Sprintf("%d/%d", i, n))
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				_, err := e.Append(ctx, room, w)
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("append: %v", err)
				}
				if _, err := e.Append(t.Context(), room, w); err != nil {
					t.Errorf("repeat: %v", err)
				}
			}
		})
		r.wait(t, writers*each)
		want(t, "entries", mustHead(t, e, room).Offset, writers*each)
		r.check(t, writers*each)
		checkEachInOrder(t, data(r.entries()), writers)
	})
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

func (s *suite) testClose(t *testing.T) {
	t.Run("after Close every call is refused, and Close again is the same", func(t *testing.T) {
		e := s.open(t)
		mustAppend(t, e, room, message(engine.OS, "x"))
		r := watch(t, e, room)
		must(t, e.Healthy())
		must(t, e.Close())
		must(t, e.Close())
		for name, call := range calls(t.Context(), e) {
			wantIs(t, name, call(), engine.ErrClosed)
		}
		r.stop()
	})

	t.Run("[E3] Close while others write loses nothing that was acknowledged", func(t *testing.T) {
		e := s.open(t)
		r := watch(t, e, room)
		acked := make([][]uint64, 4)
		var wg sync.WaitGroup
		for i := range acked {
			wg.Go(func() {
				for {
					receipt, err := e.Append(t.Context(), room, message(engine.OS, "x"))
					if err != nil {
						wantIs(t, "append", err, engine.ErrClosed)
						return
					}
					acked[i] = append(acked[i], receipt.Position.Offset)
				}
			})
		}
		r.wait(t, 20)
		must(t, e.Close())
		wg.Wait()
		seen := map[uint64]bool{}
		for _, en := range r.entries() {
			seen[en.Offset] = true
		}
		for _, offsets := range acked {
			for _, off := range offsets {
				if !seen[off] {
					t.Errorf("entry %d was acknowledged and not delivered", off)
				}
			}
		}
	})
}

// calls is every method that may fail, by name.
func calls(ctx context.Context, e engine.Engine) map[string]func() error {
	return map[string]func() error{
		"append":     func() error { _, err := e.Append(ctx, room, message(engine.OS, "x")); return err },
		"read":       func() error { _, err := e.Read(ctx, room, engine.Position{}, 0); return err },
		"since":      func() error { _, err := e.Since(ctx, room, 0, 0); return err },
		"state":      func() error { _, _, err := e.State(ctx, room, "", 0); return err },
		"get":        func() error { _, err := e.Get(ctx, room, "k"); return err },
		"head":       func() error { _, err := e.Head(ctx, room); return err },
		"watch":      func() error { _, _, err := e.Watch(ctx, room, engine.SinkFunc(func([]engine.Event) {})); return err },
		"send":       func() error { return e.Send(ctx, room, engine.Entry{}) },
		"put lease":  func() error { return e.PutLease(ctx, room, "h", nil) },
		"drop lease": func() error { return e.DropLease(ctx, room, "h") },
		"leases":     func() error { _, err := e.Leases(ctx, room); return err },
		"healthy":    e.Healthy,
	}
}
