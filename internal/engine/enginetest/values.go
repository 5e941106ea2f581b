package enginetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func (s *suite) testValues(t *testing.T, d engine.Durability) {
	t.Run("[E6] State gives the newest values under a prefix in key order, and the position", func(t *testing.T) {
		e := s.start(t)
		mustAppend(t, e, room, keyed(d, "n/2", "old", "n/10", "ten", "m", "other"))
		mustAppend(t, e, room, keyed(d, "n/1", "one"))
		last := mustAppend(t, e, room, keyed(d, "n/2", "two"))
		mustAppend(t, e, "elsewhere", keyed(d, "n/3", "three"))
		at, values := mustState(t, e, "n/", 0)
		want(t, "position", at, last.Position)
		want(t, "keys", keys(values), []string{"n/1", "n/10", "n/2"})
		want(t, "newest", values[2], engine.Value{Key: "n/2", Version: last.Position.Offset, Data: []byte("two")})
		_, all := mustState(t, e, "", 0)
		want(t, "all keys", keys(all), []string{"m", "n/1", "n/10", "n/2"})
	})

	t.Run("[E6] State after a position gives what changed since, tombstones included", func(t *testing.T) {
		e := s.start(t)
		mustAppend(t, e, room, keyed(d, "a", "1"))
		base := mustAppend(t, e, room, keyed(d, "b", "1", "c", "1")).Position.Offset
		mustAppend(t, e, room, keyed(d, "a", "2"))
		gone := mustAppend(t, e, room, deletion(d, "b"))
		_, changed := mustState(t, e, "", base)
		want(t, "keys", keys(changed), []string{"a", "b"})
		want(t, "tombstone", changed[1], engine.Value{Key: "b", Version: gone.Position.Offset, Tombstone: true})
		_, loaded := mustState(t, e, "", 0)
		want(t, "keys from the start", keys(loaded), []string{"a", "c"})
	})

	t.Run("[E6] Get knows a key, its tombstone, and that it was never set", func(t *testing.T) {
		e := s.start(t)
		set := mustAppend(t, e, room, keyed(d, "a", "1"))
		want(t, "set", mustGet(t, e, "a"), engine.Value{Key: "a", Version: set.Position.Offset, Data: []byte("1")})
		gone := mustAppend(t, e, room, deletion(d, "a"))
		want(t, "deleted", mustGet(t, e, "a"), engine.Value{Key: "a", Version: gone.Position.Offset, Tombstone: true})
		want(t, "never set", mustGet(t, e, "b"), engine.Value{Key: "b"})
	})

	t.Run("[E6] the keys of one append change together", func(t *testing.T) {
		e := s.start(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range 150 {
				mustNotFail(t, e, keyed(d, "x/a", fmt.Sprint(n), "x/b", fmt.Sprint(n)))
			}
		})
		for range 150 {
			at, values := mustState(t, e, "x/", 0)
			if len(values) == 0 && at.Offset == 0 {
				continue
			}
			if len(values) != 2 || string(values[0].Data) != string(values[1].Data) || values[0].Version != at.Offset {
				t.Fatalf("at %v half an append is seen: %v", at, values)
			}
		}
		wg.Wait()
	})

	t.Run("[E6] values outlive the log form of their entries", func(t *testing.T) {
		e := s.start(t)
		set := mustAppend(t, e, room, keyed(d, "k", "kept"))
		for range 10 {
			w := message(d, "x")
			w.Retention.Messages = 3
			mustAppend(t, e, room, w)
		}
		want(t, "value", mustGet(t, e, "k"), engine.Value{Key: "k", Version: set.Position.Offset, Data: []byte("kept")})
	})
}

func mustNotFail(t *testing.T, e engine.Engine, w engine.Write) {
	if _, err := e.Append(t.Context(), room, w); err != nil {
		t.Errorf("append: %v", err)
	}
}
