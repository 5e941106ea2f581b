package chanlog

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Value is the value of a key. It is immutable once it was sequenced.
type Value struct {
	engine.Value
	Time int64 // Unix ms at which it was set; a tombstone's age counts from it
}

// slot is the place of one key.
type slot struct {
	key  string
	cur  *Value // what readers see; nil until the first is published
	next *Value // the newest that was sequenced, nil when that is cur
}

// newest is what conditions are checked against: nil for a key never set.
func (s *slot) newest() *Value {
	if s.next != nil {
		return s.next
	}
	return s.cur
}

// Values holds the values of one channel. Not safe for concurrent use.
type Values struct {
	byKey      map[string]*slot
	sorted     []*slot // by key
	fresh      []*slot // not yet in sorted
	tombstones int     // published ones
}

// Len is the number of keys.
func (v *Values) Len() int { return len(v.byKey) }

// slot returns the place of a key, making it.
func (v *Values) slot(key string) *slot {
	s := v.byKey[key]
	if s == nil {
		if v.byKey == nil {
			v.byKey = make(map[string]*slot)
		}
		s = &slot{key: key}
		v.byKey[key] = s
		v.fresh = append(v.fresh, s)
	}
	return s
}

// publish shows a sequenced value to readers.
func (v *Values) publish(s *slot, val *Value) {
	if s.cur != nil && s.cur.Tombstone {
		v.tombstones--
	}
	if val.Tombstone {
		v.tombstones++
	}
	s.cur = val
	if s.next == val {
		s.next = nil
	}
}

// withdraw forgets what was sequenced for a key and will not be published.
func (v *Values) withdraw(s *slot) {
	s.next = nil
	if s.cur != nil || v.byKey[s.key] != s {
		return
	}
	delete(v.byKey, s.key)
	v.sorted = slices.DeleteFunc(v.sorted, func(x *slot) bool { return x == s })
	v.fresh = slices.DeleteFunc(v.fresh, func(x *slot) bool { return x == s })
}

// prefixed returns the slots whose keys begin with prefix, in key order.
func (v *Values) prefixed(prefix string) []*slot {
	v.sort()
	from := sort.Search(len(v.sorted), func(i int) bool { return v.sorted[i].key >= prefix })
	if prefix == "" {
		return v.sorted
	}
	n := sort.Search(len(v.sorted)-from, func(i int) bool { return !strings.HasPrefix(v.sorted[from+i].key, prefix) })
	return v.sorted[from : from+n]
}

// sort merges the fresh slots into the sorted ones, from the back, so that a
// few new keys cost one pass and no comparison sort.
func (v *Values) sort() {
	if len(v.fresh) == 0 {
		return
	}
	slices.SortFunc(v.fresh, func(a, b *slot) int { return cmp.Compare(a.key, b.key) })
	i, j := len(v.sorted)-1, len(v.fresh)-1
	v.sorted = append(v.sorted, v.fresh...)
	for k := len(v.sorted) - 1; j >= 0; k-- {
		if i >= 0 && v.sorted[i].key > v.fresh[j].key {
			v.sorted[k] = v.sorted[i]
			i--
		} else {
			v.sorted[k] = v.fresh[j]
			j--
		}
	}
	clear(v.fresh)
	v.fresh = v.fresh[:0]
}

// Expired says whether a tombstone was set at or before the given instant.
func (v *Value) Expired(setBefore int64) bool { return v.Tombstone && v.Time <= setBefore }

// dropTombstones forgets the tombstones that were set at or before the given
// instant (Unix ms), and returns their values.
func (v *Values) dropTombstones(setBefore int64) (dropped []*Value) {
	if v.tombstones == 0 {
		return nil
	}
	v.sort()
	v.sorted = slices.DeleteFunc(v.sorted, func(s *slot) bool {
		if s.cur == nil || s.next != nil || !s.cur.Expired(setBefore) {
			return false
		}
		dropped = append(dropped, s.cur)
		delete(v.byKey, s.key)
		return true
	})
	v.tombstones -= len(dropped)
	return dropped
}

// Snapshot returns the published values, in key order.
func (v *Values) Snapshot() []*Value {
	out := make([]*Value, 0, len(v.byKey))
	for _, s := range v.prefixed("") {
		if s.cur != nil {
			out = append(out, s.cur)
		}
	}
	return out
}
