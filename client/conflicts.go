package client

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/chorale-rt/chorale/protocol"
)

// lostBy is what a settled write of subject has lost to others. names are fields
// and sets; rec is what it lost to.
func lostBy(w *write, names []string, rec *protocol.Record, subject string) []*Conflict {
	var out []*Conflict
	for _, name := range names {
		mine, theirs := w.values[name], valueOf(rec, name)
		if isSameJSON(mine, theirs) {
			continue
		}
		by := authorOf(rec, name)
		if by == subject {
			by = ""
		}
		out = append(out, &Conflict{Record: w.Record, Field: name, Mine: mine, Theirs: theirs, By: by})
	}
	return out
}

// valueOf is a field or set of a record as JSON; nil when it has none of the name.
func valueOf(rec *protocol.Record, name string) json.RawMessage {
	if rec == nil {
		return nil
	}
	if raw, ok := rec.Fields[name]; ok {
		return raw
	}
	if elements, ok := rec.Sets[name]; ok {
		return mustMarshal(elements)
	}
	return nil
}

// authorOf is who wrote a field, when that can be known: a record says only who
// wrote in it last.
func authorOf(rec *protocol.Record, field string) string {
	if rec == nil || rec.Stamps[field] == "" {
		return ""
	}
	for _, other := range rec.Stamps {
		if other > rec.Stamps[field] {
			return ""
		}
	}
	return rec.UpdatedBy
}

func isSameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if string(a) == string(b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// ownFields are the fields of one collection that this client wrote last, to
// notice who writes over them without having seen that. Fields that are not
// changed by anybody are forgotten with the membership.
type ownFields map[string]map[string]ownField // by record and field

type ownField struct {
	stamp  protocol.Stamp // that the field got
	offset uint64         // of the write
}

// note hears that an own write was applied.
func (o ownFields) note(rec *protocol.Record, w *write, offset uint64, clientID string) {
	for field := range w.Fields {
		stamp := rec.Stamps[field]
		if !strings.HasSuffix(string(stamp), "@"+clientID) {
			continue
		}
		if o[rec.ID] == nil {
			o[rec.ID] = map[string]ownField{}
		}
		o[rec.ID][field] = ownField{stamp, offset}
	}
}

// overriddenBy hears that somebody else's change was applied: which own writes
// did it cover whose author had not seen it?
func (o ownFields) overriddenBy(c *protocol.Change, before, after *protocol.Record) []*Conflict {
	fields := o[c.Record]
	if fields == nil || before == nil || after == nil || c.Op == protocol.OpDelete {
		return nil
	}
	var found []*Conflict
	for field, own := range fields {
		if after.Stamps[field] == own.stamp {
			continue
		}
		delete(fields, field)
		mine, theirs := before.Fields[field], after.Fields[field]
		if before.Stamps[field] != own.stamp || c.Base >= own.offset || isSameJSON(mine, theirs) {
			continue
		}
		found = append(found, &Conflict{Record: c.Record, Field: field, Mine: mine, Theirs: theirs, By: c.By})
	}
	if len(fields) == 0 {
		delete(o, c.Record)
	}
	return found
}
