package sim

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

// The simulated client's own reading of rules M2, M3 and M7. It is written from
// docs/protocol.md and shares nothing with the server: where the two differ one
// of them is wrong.

// applied is the record that an applied change makes of another (M7).
func applied(rec *protocol.Record, c *protocol.Change) *protocol.Record {
	if c.State != nil {
		return c.State
	}
	if rec == nil {
		return nil
	}
	next := copyOf(rec)
	next.Version, next.UpdatedBy, next.UpdatedAt = c.Offset, c.By, c.Time
	if c.Op == protocol.OpDelete {
		next.Deleted = c.Stamp
		return next
	}
	for name, value := range c.Fields {
		next.Fields[name], next.Stamps[name] = value, c.Stamp
	}
	for name, elements := range c.Sets {
		for element, added := range elements {
			setElement(next, name, element, added, c.Stamp)
		}
	}
	for name, total := range c.Counters {
		next.Counters[name] = total
	}
	return next
}

// merged is what a mutation would make of a record, and whether it would apply
// (M2, M3).
func merged(rec *protocol.Record, m *protocol.Mutation) (*protocol.Record, bool) {
	stamp := protocol.MakeStamp(m.At, m.Client)
	deleted := rec != nil && rec.Deleted != ""
	switch m.Op {
	case protocol.OpPut:
		if rec != nil {
			return rec, false
		}
		next := copyOf(&protocol.Record{ID: m.Record})
		take(next, m, stamp)
		return next, true
	case protocol.OpDelete:
		if rec == nil || deleted {
			return rec, false
		}
		next := copyOf(rec)
		next.Deleted = stamp
		return next, true
	case protocol.OpRestore:
		if !deleted || stamp < rec.Deleted {
			return rec, false
		}
		next := copyOf(rec)
		take(next, m, stamp)
		next.Deleted = ""
		return next, true
	}
	if rec == nil || deleted {
		return rec, false
	}
	next := copyOf(rec)
	return next, take(next, m, stamp)
}

// take merges content into a record and says whether any of it won.
func take(next *protocol.Record, m *protocol.Mutation, stamp protocol.Stamp) (won bool) {
	for name, value := range m.Fields {
		if stamp >= next.Stamps[name] {
			next.Fields[name], next.Stamps[name] = value, stamp
			won = true
		}
	}
	for name, elements := range m.Sets {
		for element, added := range elements {
			if sign := next.SetStamps[name][element]; sign == "" || string(stamp) >= sign[1:] {
				setElement(next, name, element, added, stamp)
				won = true
			}
		}
	}
	for name, delta := range m.Counters {
		next.Counters[name] += delta
		won = true
	}
	return won
}

func setElement(rec *protocol.Record, name, element string, added bool, stamp protocol.Stamp) {
	sign := "-"
	elements := slices.DeleteFunc(slices.Clone(rec.Sets[name]), func(e string) bool { return e == element })
	if added {
		sign = "+"
		elements = append(elements, element)
		slices.Sort(elements)
	}
	if elements == nil {
		elements = []string{}
	}
	rec.Sets[name] = elements
	stamps := maps.Clone(rec.SetStamps[name])
	if stamps == nil {
		stamps = map[string]string{}
	}
	stamps[element] = sign + string(stamp)
	rec.SetStamps[name] = stamps
}

// copyOf copies a record and its maps, none of which is nil then.
func copyOf(rec *protocol.Record) *protocol.Record {
	next := *rec
	next.Fields, next.Stamps = cloned(rec.Fields), cloned(rec.Stamps)
	next.Sets, next.SetStamps, next.Counters = cloned(rec.Sets), cloned(rec.SetStamps), cloned(rec.Counters)
	return &next
}

func cloned[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return make(M)
	}
	return maps.Clone(m)
}

// sameRecord compares records, metadata and stamps included. Two that do not
// exist, or no more, are the same.
func sameRecord(a, b *protocol.Record) bool {
	if a == nil || b == nil {
		return gone(a) && gone(b)
	}
	return a == b || reflect.DeepEqual(copyOf(a), copyOf(b))
}

// sameContent compares what people see of records.
func sameContent(a, b *protocol.Record) bool {
	if gone(a) || gone(b) {
		return gone(a) && gone(b)
	}
	a, b = copyOf(a), copyOf(b)
	return reflect.DeepEqual(a.Fields, b.Fields) && reflect.DeepEqual(a.Counters, b.Counters) && reflect.DeepEqual(filled(a.Sets), filled(b.Sets))
}

// filled leaves out sets without elements: nobody sees them.
func filled(sets map[string][]string) map[string][]string {
	maps.DeleteFunc(sets, func(_ string, elements []string) bool { return len(elements) == 0 })
	return sets
}

func gone(rec *protocol.Record) bool { return rec == nil || rec.Deleted != "" }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
