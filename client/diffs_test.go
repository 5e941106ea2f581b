package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/chorale-rt/chorale/client"
)

// nextDiff is the next diff, and the ids of what it says has changed.
func nextDiff(t *testing.T, s *client.Stream[client.RecordDiff]) (d client.RecordDiff, changed []string) {
	t.Helper()
	d, err := s.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range d.Changed {
		changed = append(changed, r.ID)
	}
	return d, changed
}

func TestDiffs(t *testing.T) {
	w := newWorld(t)
	over := &wire{}
	ada, ben := w.dial("ada"), w.dialOver("ben", over)
	open := &client.ChannelOptions{Collections: []string{"notes"}}
	adas, bens := join(t, ada, "interview:1", open), join(t, ben, "interview:1", open)
	notes := adas.Collection("notes")
	put := func(id, content string) client.Outcome {
		t.Helper()
		return settle(t)(notes.Put(id, map[string]any{"content": content}))
	}
	put("n1", "one")
	put("n2", "two")
	for s := range bens.Collection("notes").Watch(within(t)) {
		if len(s.Records) == 2 {
			break
		}
	}
	diffs := bens.Collection("notes").Diffs()

	t.Run("[M7] the first has all that are there, and then each change comes by itself, in the order of the log", func(t *testing.T) {
		d, changed := nextDiff(t, diffs)
		if !d.Loaded || !slices.Equal(changed, []string{"n1", "n2"}) || d.Position != bens.Status().Position {
			t.Fatalf("%+v", d)
		}
		m, err := notes.Patch("n1", map[string]any{"content": "changed"})
		o := settle(t)(m, err)
		d, changed = nextDiff(t, diffs)
		if d.Loaded || !slices.Equal(changed, []string{"n1"}) || d.Mutation != m.ID || d.By != "ada" ||
			d.Position != (client.Position{Epoch: o.Epoch, Offset: o.Offset}) || string(d.Changed[0].Values["content"]) != `"changed"` {
			t.Errorf("%+v", d)
		}
		settle(t)(notes.Delete("n2"))
		if d, _ := nextDiff(t, diffs); !slices.Equal(d.Deleted, []string{"n2"}) || d.Changed != nil {
			t.Errorf("%+v", d)
		}
	})
	t.Run("[R6] an own write is told when the server has taken it, and not before", func(t *testing.T) {
		own := bens.Collection("notes")
		refused := settle(t)(own.Patch("n1", map[string]any{"content": "forbidden"}))
		taken := settle(t)(own.Patch("n1", map[string]any{"content": "ben's"}))
		if d, _ := nextDiff(t, diffs); refused.Status != client.Rejected || d.Position.Offset != taken.Offset {
			t.Errorf("%+v, then %+v: %+v", refused, taken, d)
		}
	})
	t.Run("[S3] what happened while the client was away comes as one, and nothing of it is left out", func(t *testing.T) {
		w.stop()
		var mutations []*client.Mutation
		for _, content := range []string{"a", "b", "c"} {
			mutations = append(mutations, must[*client.Mutation](t)(notes.Put("away-"+content, map[string]any{"content": content})))
		}
		mutations = append(mutations, must[*client.Mutation](t)(notes.Delete("n1")))
		seen, gone := map[string]bool{}, false
		w.start()
		for _, m := range mutations {
			settle(t)(m, nil)
		}
		for len(seen) < 3 || !gone {
			d, changed := nextDiff(t, diffs)
			for _, id := range changed {
				if seen[id] {
					t.Errorf("%s came twice", id)
				}
				seen[id] = true
			}
			gone = gone || slices.Contains(d.Deleted, "n1")
		}
		over.cut()
		o := put("after", "words")
		d, changed := nextDiff(t, diffs)
		if !slices.Equal(changed, []string{"after"}) || d.Position.Offset != o.Offset {
			t.Errorf("after the cut: %+v", d)
		}
	})
	t.Run("a stream ends with its claim, and begins no more after that", func(t *testing.T) {
		closed := bens.Collection("notes").Diffs()
		closed.Close()
		bens.Release()
		for name, s := range map[string]*client.Stream[client.RecordDiff]{"open": diffs, "begun later": bens.Collection("notes").Diffs()} {
			if d, err := s.Next(within(t)); !errors.Is(err, client.ErrReleased) {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
		}
		if _, err := closed.Next(within(t)); err == nil || errors.Is(err, client.ErrReleased) {
			t.Errorf("closed: %v", err)
		}
	})
}
