package enginetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

func (s *suite) testHistory(t *testing.T, d engine.Durability) {
	t.Run("[E2] Read gives what follows a position, oldest first, at most limit", func(t *testing.T) {
		e := s.start(t)
		var at []engine.Position
		for i := range 5 {
			w := engine.Write{Kind: engine.KindBinary, ID: fmt.Sprint("id-", i), Origin: "me", Data: []byte(fmt.Sprint(i)), Durability: d}
			at = append(at, mustAppend(t, e, room, w).Position)
		}
		entries, err := e.Read(t.Context(), room, at[1], 2)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "entries", data(entries), []string{"2", "3"})
		entries[0].Time = 0
		want(t, "entry", entries[0], engine.Entry{
			Offset: at[2].Offset, Prev: at[1].Offset, Kind: engine.KindBinary, ID: "id-2", Origin: "me", Data: []byte("2"),
		})
		want(t, "from the head", len(mustRead(t, e, room, at[4])), 0)
		want(t, "from the start", len(mustRead(t, e, room, engine.Position{})), 5)
	})

	t.Run("[E7] a position of another epoch or ahead of the log is refused", func(t *testing.T) {
		e := s.start(t)
		at := mustAppend(t, e, room, message(d, "a")).Position
		other := mustAppend(t, e, "elsewhere", message(d, "a")).Position
		for name, p := range map[string]engine.Position{
			"unknown": {Epoch: "no such epoch", Offset: 0},
			"longer":  {Epoch: other.Epoch + "x", Offset: 1},
		} {
			if _, err := e.Read(t.Context(), room, p, 0); !errors.Is(err, engine.ErrEpoch) {
				t.Errorf("%s: got %v, want ErrEpoch", name, err)
			}
		}
		if _, err := e.Read(t.Context(), room, engine.Position{Epoch: at.Epoch, Offset: at.Offset + 1}, 0); !errors.Is(err, engine.ErrFuture) {
			t.Errorf("got %v, want ErrFuture", err)
		}
		if _, err := e.Read(t.Context(), room, engine.Position{Offset: at.Offset + 1}, 0); !errors.Is(err, engine.ErrFuture) {
			t.Errorf("without epoch: got %v, want ErrFuture", err)
		}
	})

	t.Run("[E7] the epoch of a log does not change while it grows", func(t *testing.T) {
		e := s.start(t)
		before := watch(t, e, room).at
		after := mustAppend(t, e, room, message(d, "a")).Position
		want(t, "epoch", after.Epoch, before.Epoch)
		want(t, "read from before", data(mustRead(t, e, room, before)), []string{"a"})
	})

	t.Run("Since gives the newest limit entries of at least that instant, oldest first", func(t *testing.T) {
		e := s.start(t)
		before := time.Now().UnixMilli() - 60_000
		for i := range 5 {
			mustAppend(t, e, room, message(d, fmt.Sprint(i)))
		}
		entries, err := e.Since(t.Context(), room, before, 3)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "newest three", data(entries), []string{"2", "3", "4"})
		entries, err = e.Since(t.Context(), room, time.Now().UnixMilli()+60_000, 3)
		want(t, "of the future", data(entries), []string{})
		want(t, "error", err, nil)
	})
}

func (s *suite) testRetention(t *testing.T, d engine.Durability) {
	fill := func(t *testing.T, e engine.Engine, n int, r engine.Retention) (at []engine.Position) {
		for i := range n {
			w := identified(message(d, fmt.Sprintf("%04d", i)), fmt.Sprint("id-", i))
			w.Retention = r
			at = append(at, mustAppend(t, e, room, w).Position)
		}
		return at
	}

	t.Run("[E6] the newest messages are kept, older positions are truncated", func(t *testing.T) {
		e := s.start(t)
		at := fill(t, e, 400, engine.Retention{Messages: 10})
		kept := mustRead(t, e, room, at[389])
		want(t, "kept", data(kept)[0], "0390")
		checkChain(t, at[389].Offset, at[399].Offset, kept)
		if _, err := e.Read(t.Context(), room, at[388], 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", err)
		}
		if _, err := e.Read(t.Context(), room, engine.Position{}, 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("from the start: got %v, want ErrTruncated", err)
		}
		history, err := e.Since(t.Context(), room, 0, 1000)
		want(t, "history", len(history), 10)
		want(t, "error of history", err, nil)
	})

	t.Run("[E6] the bytes of data are bounded", func(t *testing.T) {
		e := s.start(t)
		at := fill(t, e, 50, engine.Retention{Bytes: 20})
		want(t, "kept", data(mustRead(t, e, room, at[44])), []string{"0045", "0046", "0047", "0048", "0049"})
		if _, err := e.Read(t.Context(), room, at[43], 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", err)
		}
	})

	t.Run("[E4] an id counts as long as its entry is kept", func(t *testing.T) {
		e := s.start(t)
		at := fill(t, e, 30, engine.Retention{Messages: 10})
		w := identified(message(d, "again"), "id-25")
		w.Retention.Messages = 10
		want(t, "kept", mustAppend(t, e, room, w), engine.Receipt{Position: at[25], Duplicate: true})
		w.ID = "id-3"
		want(t, "dropped", mustAppend(t, e, room, w).Duplicate, false)
	})

	t.Run("[E6] what is kept for longer follows a position that nothing was lost after", func(t *testing.T) {
		e := s.start(t)
		start := mustHead(t, e, room)
		w := message(d, "longer")
		w.Keep = time.Hour
		mustAppend(t, e, room, w)
		for i := range 20 {
			w := keyed(d, "k", fmt.Sprint(i))
			w.Retention.Messages = 5
			mustAppend(t, e, room, w)
		}
		got := mustRead(t, e, room, start)
		want(t, "oldest", string(got[0].Data), "longer")
		limited, err := e.Read(t.Context(), room, start, 2)
		must(t, err)
		want(t, "limited", data(limited), []string{"longer", "change"})
	})

	t.Run("[E6] [E8] so is the number of those that are kept for longer", func(t *testing.T) {
		e := s.start(t)
		for i := range engine.MaxKept + 20 {
			w := message(d, fmt.Sprint(i))
			w.Keep, w.Retention.Messages = time.Hour, 1
			mustAppend(t, e, room, w)
		}
		history, err := e.Since(t.Context(), room, 0, 2*engine.MaxKept)
		must(t, err)
		want(t, "kept", len(history), engine.MaxKept+1)
		want(t, "oldest", string(history[0].Data), "19")
	})

	t.Run("[E6] entries that set keys are dropped without truncation", func(t *testing.T) {
		e := s.start(t)
		start := mustHead(t, e, room)
		for i := range 30 {
			w := keyed(d, "k", fmt.Sprint(i))
			w.Retention.Messages = 5
			mustAppend(t, e, room, w)
		}
		entries := mustRead(t, e, room, start)
		if len(entries) == 0 || len(entries) > 5 {
			t.Fatalf("%d entries are kept, want 1 to 5", len(entries))
		}
		_, values := mustState(t, e, "", start.Offset)
		want(t, "value", string(values[0].Data), "29")
	})

	t.Run("[E6] a message among changes truncates only those who have not seen it", func(t *testing.T) {
		e := s.start(t)
		few := func(w engine.Write) engine.Write { w.Retention.Messages = 5; return w }
		before := mustAppend(t, e, room, few(keyed(d, "k", "0")))
		lost := mustAppend(t, e, room, few(message(d, "lost")))
		for i := range 20 {
			mustAppend(t, e, room, few(keyed(d, "k", fmt.Sprint(i))))
		}
		if _, err := e.Read(t.Context(), room, before.Position, 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", err)
		}
		mustRead(t, e, room, lost.Position)
	})
}

func (s *suite) testAge(t *testing.T, d engine.Durability) {
	t.Run("[E6] a message is kept for its age", func(t *testing.T) {
		e, advance := s.startClock(t, time.Hour)
		minute := func(text string) engine.Write {
			w := identified(message(d, text), text)
			w.Retention.Age = time.Minute
			return w
		}
		first := mustAppend(t, e, room, minute("a"))
		advance(40 * time.Second)
		mustAppend(t, e, room, minute("b"))
		want(t, "repeat within its age", mustAppend(t, e, room, minute("a")).Duplicate, true)
		advance(30 * time.Second)
		want(t, "kept", data(mustRead(t, e, room, first.Position)), []string{"b"})
		if _, err := e.Read(t.Context(), room, engine.Position{}, 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("got %v, want ErrTruncated", err)
		}
		history, err := e.Since(t.Context(), room, 0, 10)
		want(t, "history", data(history), []string{"b"})
		want(t, "error", err, nil)
		want(t, "repeat after its age", mustAppend(t, e, room, minute("a")).Duplicate, false)
	})

	t.Run("[E6] an entry whose append said so is kept for longer than the others", func(t *testing.T) {
		e, advance := s.startClock(t, time.Hour)
		longer := identified(message(d, "longer"), "longer")
		longer.Keep = 30 * time.Minute
		first := mustAppend(t, e, room, longer)
		mustAppend(t, e, room, message(d, "as usual"))
		advance(20 * time.Minute)
		mustAppend(t, e, room, message(d, "newest"))
		history, err := e.Since(t.Context(), room, 0, 10)
		must(t, err)
		want(t, "history", data(history), []string{"longer", "newest"})
		want(t, "repeat", mustAppend(t, e, room, longer), engine.Receipt{Position: first.Position, Duplicate: true})
		if _, err := e.Read(t.Context(), room, first.Position, 0); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("what lies between is lost: got %v, want ErrTruncated", err)
		}
		advance(11 * time.Minute)
		history, err = e.Since(t.Context(), room, 0, 10)
		must(t, err)
		want(t, "history after its time", data(history), []string{})
		want(t, "repeat after its time", mustAppend(t, e, room, longer).Duplicate, false)
	})

	t.Run("[E6] a tombstone is kept for the tombstone age, and then the key was never set", func(t *testing.T) {
		e, advance := s.startClock(t, time.Hour)
		mustAppend(t, e, room, keyed(d, "k", "1", "l", "1"))
		base := mustAppend(t, e, room, keyed(d, "other", "1")).Position.Offset
		gone := mustAppend(t, e, room, deletion(d, "k"))
		advance(50 * time.Minute)
		_, changed := mustState(t, e, "", base)
		want(t, "within the age", keys(changed), []string{"k"})
		advance(20 * time.Minute)
		want(t, "after it", mustGet(t, e, "k"), engine.Value{Key: "k"})
		_, changed = mustState(t, e, "", gone.Position.Offset)
		want(t, "for who saw the deletion", keys(changed), []string{})
		if _, _, err := e.State(t.Context(), room, "", base); !errors.Is(err, engine.ErrTruncated) {
			t.Errorf("who did not see the deletion: got %v, want ErrTruncated", err)
		}
		_, all := mustState(t, e, "", 0)
		want(t, "from the start", keys(all), []string{"l", "other"})
		mustAppend(t, e, room, provided(keyed(d, "k", "2"), "k", 0))
	})

	t.Run("entries carry the time of the append", func(t *testing.T) {
		e, advance := s.startClock(t, time.Hour)
		mustAppend(t, e, room, message(d, "a"))
		advance(90 * time.Second)
		mustAppend(t, e, room, message(d, "b"))
		entries := mustRead(t, e, room, engine.Position{})
		want(t, "between", entries[1].Time-entries[0].Time, 90_000)
		since, err := e.Since(t.Context(), room, entries[1].Time, 10)
		want(t, "since the second", data(since), []string{"b"})
		want(t, "error", err, nil)
	})
}
