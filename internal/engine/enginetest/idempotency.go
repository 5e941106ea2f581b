package enginetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func (s *suite) testIdempotency(t *testing.T, d engine.Durability) {
	t.Run("[E4] the same id is appended once and answered with the first position", func(t *testing.T) {
		e := s.start(t)
		first := mustAppend(t, e, room, identified(message(d, "a"), "id-1"))
		mustAppend(t, e, room, message(d, "b"))
		again := mustAppend(t, e, room, identified(message(d, "changed"), "id-1"))
		want(t, "repeat", again, engine.Receipt{Position: first.Position, Duplicate: true})
		want(t, "first", first.Duplicate, false)
		want(t, "log", data(mustRead(t, e, room, engine.Position{})), []string{"a", "b"})
	})

	t.Run("[E4] an id counts in its channel only, and no id is no identity", func(t *testing.T) {
		e := s.start(t)
		mustAppend(t, e, "a", identified(message(d, "a"), "id-1"))
		want(t, "other channel", mustAppend(t, e, "b", identified(message(d, "b"), "id-1")).Duplicate, false)
		mustAppend(t, e, "a", message(d, "b"))
		want(t, "without id", mustAppend(t, e, "a", message(d, "b")).Duplicate, false)
	})

	t.Run("[E4] repeats that race with the first wait for it and have its position", func(t *testing.T) {
		e := s.start(t)
		r := watch(t, e, room)
		const rounds, racers = 30, 6
		for round := range rounds {
			var fresh atomic.Int32
			positions := make([]engine.Position, racers)
			together(racers, func(i int) {
				receipt, err := e.Append(t.Context(), room, identified(message(d, "x"), fmt.Sprint("id-", round)))
				if err != nil {
					t.Errorf("append: %v", err)
				}
				if !receipt.Duplicate {
					fresh.Add(1)
				}
				positions[i] = receipt.Position
				if head, err := e.Head(t.Context(), room); err != nil || head.Offset < receipt.Position.Offset {
					t.Errorf("position %v was answered when the log ended at %v (%v)", receipt.Position, head, err)
				}
			})
			want(t, "appended", fresh.Load(), 1)
			for _, p := range positions {
				want(t, "position", p, positions[0])
			}
		}
		want(t, "log", mustHead(t, e, room).Offset, rounds)
		r.check(t, rounds)
	})

	t.Run("[E4] a repeat does not fail on a condition that its first changed", func(t *testing.T) {
		e := s.start(t)
		w := identified(provided(keyed(d, "k", "1"), "k", 0), "id-1")
		first := mustAppend(t, e, room, w)
		again := mustAppend(t, e, room, w)
		want(t, "repeat", again, engine.Receipt{Position: first.Position, Duplicate: true})
	})

	t.Run("[E4] a refused append leaves its id free", func(t *testing.T) {
		e := s.start(t)
		w := identified(provided(keyed(d, "k", "1"), "k", 77), "id-1")
		if _, err := e.Append(t.Context(), room, w); !isConflict(err) {
			t.Fatalf("got %v, want a conflict", err)
		}
		w.If = nil
		want(t, "duplicate", mustAppend(t, e, room, w).Duplicate, false)
	})
}

func isConflict(err error) bool {
	_, ok := errors.AsType[*engine.ConflictError](err)
	return ok
}

func (s *suite) testConditions(t *testing.T, d engine.Durability) {
	t.Run("[E5] a conflict names the key's newest value and changes nothing", func(t *testing.T) {
		e := s.start(t)
		set := mustAppend(t, e, room, keyed(d, "k", "1", "l", "1"))
		w := provided(provided(keyed(d, "k", "2", "l", "2"), "l", set.Position.Offset), "k", 0)
		_, err := e.Append(t.Context(), room, w)
		conflict, ok := errors.AsType[*engine.ConflictError](err)
		if !ok {
			t.Fatalf("got %v, want a conflict", err)
		}
		want(t, "current", conflict.Current, engine.Value{Key: "k", Version: set.Position.Offset, Data: []byte("1")})
		want(t, "head", mustHead(t, e, room), set.Position)
		want(t, "l", mustGet(t, e, "l").Version, set.Position.Offset)
	})

	t.Run("[E5] version 0 demands that the key was never set, and a tombstone was", func(t *testing.T) {
		e := s.start(t)
		mustAppend(t, e, room, provided(keyed(d, "k", "1"), "k", 0))
		gone := mustAppend(t, e, room, deletion(d, "k"))
		if _, err := e.Append(t.Context(), room, provided(keyed(d, "k", "2"), "k", 0)); !isConflict(err) {
			t.Fatalf("got %v, want a conflict", err)
		}
		mustAppend(t, e, room, provided(keyed(d, "k", "2"), "k", gone.Position.Offset))
	})

	t.Run("[E5] of many that name the same version exactly one wins", func(t *testing.T) {
		e := s.start(t)
		const racers, rounds = 6, 25
		version := uint64(0)
		for range rounds {
			var won atomic.Uint64
			var wins atomic.Int32
			together(racers, func(int) {
				r, err := e.Append(t.Context(), room, provided(keyed(d, "k", "x"), "k", version))
				switch {
				case err == nil:
					won.Store(r.Position.Offset)
					wins.Add(1)
				case !isConflict(err):
					t.Errorf("append: %v", err)
				default:
					c, _ := errors.AsType[*engine.ConflictError](err)
					if v, err := e.Get(t.Context(), room, "k"); err != nil || v.Version < c.Current.Version {
						t.Errorf("conflict with version %d, which cannot be read: %d (%v)", c.Current.Version, v.Version, err)
					}
				}
			})
			want(t, "wins", wins.Load(), 1)
			version = won.Load()
		}
		want(t, "version", mustGet(t, e, "k").Version, version)
	})

	t.Run("[E5] a counter that many raise by compare and set loses nothing", func(t *testing.T) {
		e := s.start(t)
		const workers, each = 4, 25
		together(workers, func(int) {
			for range each {
				raise(t, e, d)
			}
		})
		want(t, "counter", string(mustGet(t, e, "n").Data), fmt.Sprint(workers*each))
	})
}

// raise adds one to the number under the key n.
func raise(t *testing.T, e engine.Engine, d engine.Durability) {
	for {
		v, err := e.Get(t.Context(), room, "n")
		if err != nil {
			t.Errorf("get: %v", err)
			return
		}
		var n int
		if v.Version > 0 {
			if _, err := fmt.Sscan(string(v.Data), &n); err != nil {
				t.Errorf("counter %q: %v", v.Data, err)
				return
			}
		}
		_, err = e.Append(t.Context(), room, provided(keyed(d, "n", fmt.Sprint(n+1)), "n", v.Version))
		if err == nil {
			return
		}
		if !isConflict(err) {
			t.Errorf("append: %v", err)
			return
		}
	}
}
