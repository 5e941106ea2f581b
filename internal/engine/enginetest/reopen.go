package enginetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

func (s *suite) testReopen(t *testing.T) {
	for _, d := range []engine.Durability{engine.OS, engine.Disk} {
		t.Run(d.String(), func(t *testing.T) { s.testReopenDurable(t, d) })
	}

	t.Run("[E7] a log that lived in memory goes on whole, or begins anew under another epoch", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		at := mustAppend(t, e, room, message(engine.Memory, "a")).Position
		e = reopen()
		mustAppend(t, e, room, message(engine.Memory, "b"))
		mustAppend(t, e, room, message(engine.Memory, "c"))
		entries, err := e.Read(t.Context(), room, at, 0)
		if errors.Is(err, engine.ErrEpoch) {
			return
		}
		must(t, err)
		want(t, "what followed", data(entries), []string{"b", "c"})
		checkChain(t, at.Offset, mustHead(t, e, room).Offset, entries)
	})

	t.Run("[E3] the first durable entry takes what is in memory with it", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		start := watch(t, e, room).at
		mustAppend(t, e, room, keyed(engine.Memory, "k", "memory"))
		mustAppend(t, e, room, identified(message(engine.Memory, "a"), "id-a"))
		mustAppend(t, e, room, message(engine.OS, "b"))
		last := mustAppend(t, e, room, message(engine.Memory, "c"))
		e = reopen()
		want(t, "log", data(mustRead(t, e, room, start)), []string{"change", "a", "b", "c"})
		want(t, "value", string(mustGet(t, e, "k").Data), "memory")
		want(t, "head", mustHead(t, e, room), last.Position)
		want(t, "repeat", mustAppend(t, e, room, identified(message(engine.Memory, "a"), "id-a")).Duplicate, true)
	})

	t.Run("leases end with their node", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		must(t, e.PutLease(t.Context(), room, "h", []byte("v")))
		mustAppend(t, e, room, message(engine.OS, "a"))
		e = reopen()
		leases, err := e.Leases(t.Context(), room)
		must(t, err)
		want(t, "leases", len(leases), 0)
	})
}

func (s *suite) testReopenDurable(t *testing.T, d engine.Durability) {
	t.Run("[E3] entries, values and positions are there again and go on", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		first := mustAppend(t, e, room, keyed(d, "k", "1"))
		mustAppend(t, e, room, deletion(d, "gone"))
		w := identified(message(d, "hello"), "id-1")
		w.Origin, w.Kind = "me", engine.KindBinary
		last := mustAppend(t, e, room, w)
		before := mustRead(t, e, room, engine.Position{})
		e = reopen()
		want(t, "head", mustHead(t, e, room), last.Position)
		want(t, "log", mustRead(t, e, room, engine.Position{}), before)
		want(t, "value", mustGet(t, e, "k"), engine.Value{Key: "k", Version: first.Position.Offset, Data: []byte("1")})
		want(t, "tombstone", mustGet(t, e, "gone").Tombstone, true)
		next := mustAppend(t, e, room, message(d, "next"))
		want(t, "epoch", next.Position.Epoch, last.Position.Epoch)
		checkChain(t, last.Position.Offset, next.Position.Offset, mustRead(t, e, room, last.Position))
	})

	t.Run("[E4] a repeat after a restart is answered with the first position", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		first := mustAppend(t, e, room, identified(message(d, "a"), "id-1"))
		e = reopen()
		again := mustAppend(t, e, room, identified(message(d, "a"), "id-1"))
		want(t, "repeat", again, engine.Receipt{Position: first.Position, Duplicate: true})
	})

	t.Run("[E5] conditions go on from the version before the restart", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		set := mustAppend(t, e, room, keyed(d, "k", "1"))
		e = reopen()
		if _, err := e.Append(t.Context(), room, provided(keyed(d, "k", "2"), "k", 0)); !isConflict(err) {
			t.Errorf("got %v, want a conflict", err)
		}
		mustAppend(t, e, room, provided(keyed(d, "k", "2"), "k", set.Position.Offset))
	})

	t.Run("[E6] what retention dropped stays dropped and truncated", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		var at []engine.Position
		for i := range 300 {
			w := message(d, fmt.Sprint(i))
			w.Retention.Messages = 5
			at = append(at, mustAppend(t, e, room, w).Position)
		}
		for range 2 {
			e = reopen()
			want(t, "kept", len(mustRead(t, e, room, at[294])), 5)
			if _, err := e.Read(t.Context(), room, at[293], 0); !errors.Is(err, engine.ErrTruncated) {
				t.Errorf("got %v, want ErrTruncated", err)
			}
		}
	})

	t.Run("[E6] what is kept for longer is there again", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		first := identified(message(d, "first"), "first")
		first.Keep = time.Hour
		at := mustAppend(t, e, room, first)
		for i := range 300 {
			w := message(d, fmt.Sprint(i))
			w.Retention.Messages = 2
			if i == 150 {
				w.Keep = time.Hour
			}
			mustAppend(t, e, room, w)
		}
		for range 2 {
			e = reopen()
			history, err := e.Since(t.Context(), room, 0, 100)
			must(t, err)
			want(t, "history", data(history), []string{"first", "150", "298", "299"})
			want(t, "repeat", mustAppend(t, e, room, first), engine.Receipt{Position: at.Position, Duplicate: true})
		}
	})

	t.Run("[E7] a position ahead of the log is refused after a restart too", func(t *testing.T) {
		e, reopen := s.startAgain(t)
		at := mustAppend(t, e, room, message(d, "a")).Position
		e = reopen()
		at.Offset++
		if _, err := e.Read(t.Context(), room, at, 0); !errors.Is(err, engine.ErrFuture) {
			t.Errorf("got %v, want ErrFuture", err)
		}
	})
}
