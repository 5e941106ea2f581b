package chanlog

import (
	"hash/maphash"
	"testing"

	"pgregory.net/rapid"
)

func TestIDs(t *testing.T) {
	t.Run("an ID is found while its entry is under way or kept, also where hashes are the same", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			l := &Log{}
			l.Init("c")
			if bits := rapid.SampledFrom([]uint64{0, 1, 3}).Draw(rt, "bits of the hash"); rapid.Bool().Draw(rt, "hashes collide") {
				l.ids.hash = func(id []byte) uint64 { return maphash.Bytes(seed, id) & bits }
			}
			model := map[string]uint64{} // of all that is sequenced or kept
			var under, kept []*Record
			next := uint64(1)
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				id := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(rt, "id")
				switch rapid.SampledFrom([]string{"sequence", "sequence", "publish", "publish", "drop", "roll back"}).Draw(rt, "step") {
				case "sequence":
					if _, used := model[id]; used {
						continue
					}
					r := &Record{}
					r.Offset, r.ID = next, id
					if id != "" {
						l.ids.begin(id, next)
						model[id] = next
					}
					under = append(under, r)
					next++
				case "publish":
					if len(under) > 0 {
						l.keep(under[0])
						kept, under = append(kept, under[0]), under[1:]
					}
				case "drop":
					if len(kept) > 0 {
						off, e := l.Tail.drop()
						l.lose(off, &e)
						delete(model, kept[0].ID)
						kept = kept[1:]
					}
				case "roll back":
					for _, r := range under {
						l.ids.cancel(r.ID, r.Offset)
						delete(model, r.ID)
						next--
					}
					under = nil
				}
				for _, id := range []string{"a", "b", "c", "d", "e", "f", ""} {
					want, known := model[id]
					if got, ok := l.offsetOf(id); got != want || ok != known {
						rt.Fatalf("%q is at %d (%v), want %d (%v)", id, got, ok, want, known)
					}
				}
			}
			for len(kept) > 0 {
				off, e := l.Tail.drop()
				l.lose(off, &e)
				kept = kept[1:]
			}
			if len(under) == 0 && (l.ids.under.id != "" || len(l.ids.more)+len(l.ids.byHash)+len(l.ids.twins) > 0) {
				rt.Fatalf("left of nothing: %v", l.ids)
			}
		})
	})
}
