package chanlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
)

func TestValues(t *testing.T) {
	t.Run("prefixed finds the keys that a search through all of them finds", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			var v Values
			var all []string
			key := rapid.StringMatching(`[ab\xff]{0,4}`)
			for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
				for _, k := range rapid.SliceOfN(key, 0, 20).Draw(rt, "keys") {
					v.slot(k)
					if !slices.Contains(all, k) {
						all = append(all, k)
					}
				}
				prefix := key.Draw(rt, "prefix")
				var got, want []string
				for _, s := range v.prefixed(prefix) {
					got = append(got, s.key)
				}
				for _, k := range slices.Sorted(slices.Values(all)) {
					if strings.HasPrefix(k, prefix) {
						want = append(want, k)
					}
				}
				if !slices.Equal(got, want) {
					rt.Fatalf("prefix %q: %q, want %q", prefix, got, want)
				}
			}
		})
	})

	t.Run("a tombstone with a successor that is not published yet is not dropped", func(t *testing.T) {
		var v Values
		s := v.slot("k")
		v.publish(s, &Value{Value: engine.Value{Key: "k", Tombstone: true}, Time: 1})
		next := &Value{Value: engine.Value{Key: "k"}, Time: 9}
		s.next = next
		if got := v.dropTombstones(5); len(got) != 0 {
			t.Errorf("dropped %v", got)
		}
		v.publish(s, next)
		if v.tombstones != 0 || v.slot("k").cur != next {
			t.Errorf("%d tombstones, current %v", v.tombstones, v.slot("k").cur)
		}
	})
}

func TestTail(t *testing.T) {
	t.Run("what is kept is what a plain list keeps, in bounded space", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			var tl Tail
			var list []uint64
			next, most := uint64(1), 0
			for _, push := range rapid.SliceOfN(rapid.Bool(), 1, 300).Draw(rt, "steps") {
				if push {
					r := &Record{}
					r.Offset, r.Data = next, make([]byte, next%7)
					tl.push(r)
					list = append(list, next)
					next++
				} else if len(list) > 0 {
					if got := tl.drop().Offset; got != list[0] {
						rt.Fatalf("dropped %d, want %d", got, list[0])
					}
					list = list[1:]
				}
				most = max(most, len(list))
				after := rapid.Uint64Range(0, next).Draw(rt, "after")
				var got, want []uint64
				bytes := 0
				for _, r := range tl.After(after) {
					got = append(got, r.Offset)
				}
				for _, off := range list {
					bytes += int(off % 7)
					if off > after {
						want = append(want, off)
					}
				}
				if !slices.Equal(got, want) || tl.bytes != bytes {
					rt.Fatalf("after %d: %v (%d bytes), want %v (%d)", after, got, tl.bytes, want, bytes)
				}
			}
			if cap(tl.records) > 4*most+8 {
				rt.Fatalf("%d places for at most %d records", cap(tl.records), most)
			}
		})
	})

	t.Run("pushing and dropping in turn copies seldom", func(t *testing.T) {
		var tl Tail
		offset := uint64(0)
		push := func() {
			offset++
			r := &Record{}
			r.Offset = offset
			tl.push(r)
		}
		for range 256 {
			push()
		}
		allocs := testing.AllocsPerRun(2000, func() { push(); tl.drop() })
		if allocs > 1.1 {
			t.Error(fmt.Sprint("allocations per step: ", allocs, ", want the record alone"))
		}
	})
}
