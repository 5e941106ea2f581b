package chanlog

import (
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
