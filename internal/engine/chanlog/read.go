package chanlog

import (
	"slices"
	"strings"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Read answers engine.Engine.Read.
func (l *Log) Read(after engine.Position, limit int) ([]engine.Entry, error) {
	switch {
	case after.Epoch != "" && after.Epoch != l.Epoch:
		return nil, engine.ErrEpoch
	case after.Offset > l.Head:
		return nil, engine.ErrFuture
	case after.Offset < l.LostUnkeyed:
		return nil, engine.ErrTruncated
	}
	aside, from := l.Kept.after(after.Offset), l.Tail.index(after.Offset+1)
	out := make([]engine.Entry, 0, min(limit, len(aside)+l.Tail.Len()-from))
	for _, r := range aside[:min(limit, len(aside))] {
		out = append(out, r.Entry)
	}
	return l.Tail.entries(out, from, limit-len(out)), nil
}

// Since answers engine.Engine.Since. The clock may have been set back between
// two entries, so each one's time counts.
func (l *Log) Since(unixMs int64, limit int) []engine.Entry {
	var out []engine.Entry
	for i := l.Tail.Len() - 1; i >= 0 && len(out) < limit; i-- {
		if l.Tail.rows[l.Tail.start+i].time >= unixMs {
			out = l.Tail.entries(out, i, 1)
		}
	}
	for _, r := range slices.Backward(l.Kept.records) {
		if len(out) == limit {
			break
		}
		if r.Time >= unixMs {
			out = append(out, r.Entry)
		}
	}
	slices.Reverse(out)
	return out
}

// State answers engine.Engine.State with pointers, which are quick to collect
// under a lock.
func (l *Log) State(prefix string, after uint64, tombstonesBefore int64) ([]*Value, error) {
	if after > 0 && after < l.LostTombstone {
		return nil, engine.ErrTruncated
	}
	slots := l.Values.prefixed(prefix)
	out := make([]*Value, 0, len(slots))
	for _, s := range slots {
		v := s.cur
		if v == nil || v.Version <= after || (v.Tombstone && after == 0) {
			continue
		}
		if v.Expired(tombstonesBefore) {
			return nil, engine.ErrTruncated
		}
		out = append(out, v)
	}
	return out, nil
}

// Get answers engine.Engine.Get.
func (l *Log) Get(key string, tombstonesBefore int64) engine.Value {
	if s := l.Values.byKey[key]; s != nil && s.cur != nil && !s.cur.Expired(tombstonesBefore) {
		return s.cur.Value
	}
	return engine.Value{Key: key}
}

// ListLeases answers engine.Engine.Leases.
func (l *Log) ListLeases() []engine.Lease {
	out := make([]engine.Lease, 0, len(l.Leases))
	for holder, value := range l.Leases {
		out = append(out, engine.Lease{Holder: holder, Value: value})
	}
	slices.SortFunc(out, func(a, b engine.Lease) int { return strings.Compare(a.Holder, b.Holder) })
	return out
}
