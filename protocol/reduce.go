package protocol

import (
	"encoding/json"
	"maps"
	"slices"
)

// Reduce says what a mutation makes of a record (rules M2, M3, M6). rec is nil
// for a record that is not there. The mutation is well-formed, its stamp
// clamped; now is Unix ms, by the author's subject. It is pure: rec and m stay
// as they are, though the result may share parts of both. next is rec unless
// the status is applied.
//
// An applied change carries what won (M7). next.Version is rec's: the new one
// is not known before the append. The server decides with it, and clients show
// with it what they have written before the server has seen it.
func Reduce(rec *Record, m *Mutation, stamp Stamp, now int64, by string) (next *Record, change Change) {
	change = Change{
		Collection: m.Collection, Record: m.Record, Op: m.Op, Client: m.Client, N: m.N, ID: m.ID,
		By: by, Time: now, Base: m.Base,
	}
	next, change.Status = rec, StatusApplied
	switch deleted := rec != nil && rec.Deleted != ""; m.Op {
	case OpPut:
		if rec != nil {
			change.Status = StatusExists
			return next, change
		}
		merged := newMerge(&Record{ID: m.Record, CreatedBy: by, CreatedAt: now}, m.parts(), stamp, &change)
		merged.takeWhole(m)
		next = merged.next
	case OpPatch:
		if rec == nil || deleted {
			change.Status = StatusGone
			return next, change
		}
		merged := newMerge(rec, m.parts(), stamp, &change)
		merged.take(m)
		if change.Status = merged.status(); change.Status != StatusApplied {
			return next, withoutContent(change)
		}
		change.Stamp, next = stamp, merged.next
	case OpDelete:
		if rec == nil || deleted {
			change.Status = StatusNoop
			return next, change
		}
		tombstone := *rec
		tombstone.Deleted = stamp
		change.Stamp, next = stamp, &tombstone
	case OpRestore:
		switch {
		case !deleted:
			change.Status = StatusNoop
			return next, change
		case stamp < rec.Deleted:
			change.Status = StatusSuperseded
			return next, change
		}
		merged := newMerge(rec, m.parts(), stamp, &change)
		merged.takeWhole(m)
		merged.next.Deleted = ""
		next = merged.next
	}
	next.UpdatedBy, next.UpdatedAt = by, now
	return next, change
}

// withoutContent is a change of which nothing won.
func withoutContent(change Change) Change {
	change.Fields, change.Sets, change.Counters, change.Lost = nil, nil, nil, nil
	return change
}

// A merge takes a mutation's content into a copy of a record and notes in the
// change what won and what lost.
type merge struct {
	next   *Record
	stamp  Stamp
	change *Change
}

// parts are those of a record that a mutation or a change touches.
type parts struct{ fields, sets, counters bool }

func (m *Mutation) parts() parts {
	return parts{len(m.Fields) > 0, len(m.Sets) > 0, len(m.Counters) > 0}
}

func (c *Change) parts() parts {
	return parts{len(c.Fields) > 0, len(c.Sets) > 0, len(c.Counters) > 0}
}

// newMerge copies the record and the maps that are touched. Everything else stays
// shared, and so do slices and inner maps until setElements replaces them.
func newMerge(rec *Record, touched parts, stamp Stamp, change *Change) merge {
	next := *rec
	if touched.fields {
		next.Fields, next.Stamps = maps.Clone(next.Fields), maps.Clone(next.Stamps)
	}
	next.Fields, next.Stamps = orMake(next.Fields), orMake(next.Stamps)
	if touched.sets {
		next.Sets, next.SetStamps = maps.Clone(next.Sets), maps.Clone(next.SetStamps)
	}
	if touched.counters {
		next.Counters = maps.Clone(next.Counters)
	}
	return merge{next: &next, stamp: stamp, change: change}
}

// takeWhole is take for an operation whose change carries the whole record, so
// that a set may come to be without an element.
func (g merge) takeWhole(m *Mutation) {
	g.take(m)
	for name := range m.Sets {
		if g.next.Sets[name] == nil {
			g.next.Sets = orMake(g.next.Sets)
			g.next.Sets[name] = []string{}
		}
	}
	lost := g.change.Lost
	*g.change = withoutContent(*g.change)
	g.change.Lost, g.change.State = lost, g.next
}

func (g merge) take(m *Mutation) {
	lost := false
	for name, value := range m.Fields {
		if g.stamp < g.next.Stamps[name] {
			g.change.Lost, lost = append(g.change.Lost, name), true
			continue
		}
		g.next.Fields[name], g.next.Stamps[name] = value, g.stamp
	}
	if g.change.Fields = m.Fields; lost { // otherwise what was asked for is what won
		g.change.Fields = g.won(m.Fields)
	}
	for name, elements := range m.Sets {
		g.takeSet(name, elements)
	}
	for name, delta := range m.Counters {
		g.next.Counters = orMake(g.next.Counters)
		g.next.Counters[name] += delta
		g.change.Counters = orMake(g.change.Counters)
		g.change.Counters[name] = g.next.Counters[name]
	}
	slices.Sort(g.change.Lost)
}

// won is those of the fields that have not lost.
func (g merge) won(fields map[string]json.RawMessage) map[string]json.RawMessage {
	var won map[string]json.RawMessage
	for name, value := range fields {
		if !slices.Contains(g.change.Lost, name) {
			won = orMake(won)
			won[name] = value
		}
	}
	return won
}

// takeSet merges per element, newest stamp wins. A set is named in Lost once,
// however many of its elements lost.
func (g merge) takeSet(name string, elements map[string]bool) {
	won := make(map[string]bool, len(elements))
	for element, added := range elements {
		if sign := g.next.SetStamps[name][element]; sign == "" || g.stamp >= Stamp(sign[1:]) {
			won[element] = added
		}
	}
	if len(won) < len(elements) {
		g.change.Lost = append(g.change.Lost, name)
	}
	if len(won) == 0 {
		return
	}
	g.setElements(name, won)
	g.change.Sets = orMake(g.change.Sets)
	g.change.Sets[name] = won
}

// setElements adds elements to a set (true) or takes them from it, all with the
// merge's stamp.
func (g merge) setElements(name string, elements map[string]bool) {
	present, stamps := slices.Clone(g.next.Sets[name]), orMake(maps.Clone(g.next.SetStamps[name]))
	for element, added := range elements {
		at, found := slices.BinarySearch(present, element)
		switch {
		case added && !found:
			present = slices.Insert(present, at, element)
		case !added && found:
			present = slices.Delete(present, at, at+1)
		}
		stamps[element] = signed(added, g.stamp)
	}
	if present == nil {
		present = []string{} // a set whose elements were all removed is still a set
	}
	g.next.Sets, g.next.SetStamps = orMake(g.next.Sets), orMake(g.next.SetStamps)
	g.next.Sets[name], g.next.SetStamps[name] = present, stamps
}

// status is the outcome of a patch: superseded when all of it lost, noop when
// there was nothing in it.
func (g merge) status() Status {
	switch c := g.change; {
	case len(c.Fields)+len(c.Sets)+len(c.Counters) > 0:
		return StatusApplied
	case len(c.Lost) > 0:
		return StatusSuperseded
	default:
		return StatusNoop
	}
}

func signed(added bool, stamp Stamp) string {
	if added {
		return "+" + string(stamp)
	}
	return "-" + string(stamp)
}

func orMake[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return make(M)
	}
	return m
}

// Apply is what a member of the collection makes of its record when it is told
// an applied change (M7): the server has merged, so what the change says is so,
// without comparing stamps. rec is nil for a record that the member does not
// have; then the result is nil too, unless the change carries the whole record.
// It is pure: the result may share parts with both.
func (c *Change) Apply(rec *Record) *Record {
	if c.State != nil || rec == nil {
		return c.State
	}
	next := *rec
	next.Version, next.UpdatedBy, next.UpdatedAt = c.Offset, c.By, c.Time
	if c.Op == OpDelete {
		next.Deleted = c.Stamp
		return &next
	}
	merged := newMerge(&next, c.parts(), c.Stamp, new(Change))
	for name, value := range c.Fields {
		merged.next.Fields[name], merged.next.Stamps[name] = value, c.Stamp
	}
	for name, elements := range c.Sets {
		merged.setElements(name, elements)
	}
	for name, total := range c.Counters {
		merged.next.Counters = orMake(merged.next.Counters)
		merged.next.Counters[name] = total
	}
	return merged.next
}
