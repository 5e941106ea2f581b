package chanlog

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
)

// idModel is a log of which only the IDs matter, in plain lists.
type idModel struct{ under, tail, aside []idModelEntry }

type idModelEntry struct {
	id     string
	offset uint64
	until  int64
}

// keptInTail is how many entries the logs of these tests keep.
const keptInTail = 3

func (m *idModel) expire(now int64) {
	for len(m.tail) > keptInTail {
		if m.tail[0].until > now {
			m.aside = append(m.aside, m.tail[0])
		}
		m.tail = m.tail[1:]
	}
	m.aside = slices.DeleteFunc(m.aside, func(e idModelEntry) bool { return e.until <= now })
}

func (m *idModel) find(id string) uint64 {
	for _, e := range slices.Concat(m.under, m.tail, m.aside) {
		if id != "" && e.id == id {
			return e.offset
		}
	}
	return 0
}

func TestIDs(t *testing.T) {
	t.Run("[E4] an ID is found while its entry is under way, kept or aside, also where hashes are the same", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			l := &Log{}
			l.Init("c")
			if rapid.Bool().Draw(rt, "hashes collide") {
				mask := rapid.SampledFrom([]uint64{0, 1, 3}).Draw(rt, "bits of the hash")
				l.ids.hash = func(id []byte) uint64 { return uint64(id[0]) & mask }
			}
			var m idModel
			var under []*Append
			now := int64(1000)
			for range rapid.IntRange(1, 80).Draw(rt, "steps") {
				now += rapid.Int64Range(0, 2).Draw(rt, "passes")
				switch rapid.SampledFrom([]string{"append", "append", "append", "publish", "publish", "publish", "roll back", "become"}).Draw(rt, "step") {
				case "append":
					w := engine.Write{
						ID: rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f"}).Draw(rt, "id"), Data: []byte("x"),
						Keep:      time.Duration(rapid.IntRange(0, 9).Draw(rt, "keep")) * time.Millisecond,
						Retention: engine.Retention{Messages: keptInTail},
					}
					l.SetRetention(w.Retention)
					m.expire(now)
					a := &Append{}
					if known := m.find(w.ID); l.Sequence(a, &w, now, 0) != (known == 0) || known != 0 && (!a.Receipt.Duplicate || a.Receipt.Position.Offset != known) {
						rt.Fatalf("%q: %+v, want the one at %d", w.ID, a.Receipt, known)
					} else if known == 0 {
						under = append(under, a)
						m.under = append(m.under, idModelEntry{w.ID, a.Record.Offset, a.Record.Until})
					}
				case "publish":
					if len(under) > 0 {
						at := under[0].Record.Time
						l.Publish(under[0])
						m.tail = append(m.tail, m.under[0])
						under, m.under = under[1:], m.under[1:]
						m.expire(at)
					}
				case "roll back":
					l.Rollback(under)
					under, m.under = nil, nil
				case "become":
					if len(under) == 0 {
						other := &Log{}
						other.Init("c")
						other.ids.hash = l.ids.hash
						other.Restore(l.Head, l.Retention, l.Appended)
						for _, r := range l.Kept.Records() {
							other.RestoreRecord(r, true)
						}
						for _, r := range l.Tail.After(0) {
							other.RestoreRecord(r, false)
						}
						l.Become(other)
					}
				}
				for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", ""} {
					if got, _ := l.offsetOf(id); got != m.find(id) {
						rt.Fatalf("%q is at %d, want %d", id, got, m.find(id))
					}
				}
			}
			l.Rollback(under)
			l.Expire(now + time.Hour.Milliseconds())
			if l.ids.under.id != "" || len(l.ids.more)+len(l.ids.byHash)+len(l.ids.twins) > 0 || l.Held != LogCost+len("c") {
				rt.Fatalf("left of nothing: %+v, %d bytes", l.ids, l.Held)
			}
		})
	})

	t.Run("what stays aside does not hold on to the page that it came from", func(t *testing.T) {
		l := &Log{}
		l.Init("c")
		for i := range 100 {
			w := engine.Write{Data: fmt.Appendf(nil, "%0300d", i)}
			switch i {
			case 96:
				w.Keep = time.Hour
			case 99: // those before it were kept until now, in large pages
				w.Retention = engine.Retention{Messages: keptInTail}
			}
			a := &Append{}
			l.Sequence(a, &w, 1, 0)
			l.Publish(a)
		}
		aside := l.Kept.Records()
		if len(aside) != 1 || string(aside[0].Data) != fmt.Sprintf("%0300d", 96) {
			t.Fatalf("aside: %v", aside)
		}
		for _, page := range l.Tail.pages {
			clear(page[:cap(page)]) // which nobody but a test does
		}
		if string(aside[0].Data) != fmt.Sprintf("%0300d", 96) {
			t.Error("it has the page's memory")
		}
	})
}
