package collection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/chorale-rt/chorale/protocol"
)

// Spec says what a collection accepts. The zero value takes every well-formed
// mutation.
type Spec struct {
	// Schema is what the merged record must satisfy; nil means anything.
	Schema *Schema
	// MayWrite is the rule's write condition: nil, or why this mutation is
	// refused. It is asked only about mutations that would apply, may be called
	// concurrently, and must not block. A refusal without a code is "forbidden".
	//
	// record makes the record before the mutation, and is nil when there is none:
	// its fields, sets ([]any) and counters by name, with id, version, createdBy,
	// createdAt, updatedBy and updatedAt. mutation makes m as conditions see it: op,
	// collection, record (the id), fields, sets (by name, element → bool) and counters.
	MayWrite func(m *protocol.Mutation, record, mutation func() map[string]any) *protocol.Error
	// Hidden says that the author may write here and not read: what becomes of
	// its mutations is told without the current record.
	Hidden bool
}

// A decision is what becomes of a mutation. It is made without I/O.
type decision struct {
	next    *protocol.Record // the new record; nil unless applied
	encoded []byte           // next, by appendRecord; nil unless applied
	change  protocol.Change
}

// decide judges a well-formed mutation of a collection that the author may use.
// rec is nil when there is no such record; now is Unix ms.
func decide(spec Spec, rec *protocol.Record, m *protocol.Mutation, now int64, by string) decision {
	stamp := protocol.MakeStamp(protocol.ClampTime(m.At, now), m.Client)
	next, change := protocol.Reduce(rec, m, stamp, now, by)
	change.Lost = cutLost(change.Lost)
	if m.IfVersion != nil && *m.IfVersion != versionOf(rec) {
		return rejected(change, versionFault(rec), rec)
	}
	if change.Status != protocol.StatusApplied {
		change.Error, change.State = explain(change.Status, rec), rec
		if change.Status == protocol.StatusNoop {
			change.State = nil
		}
		return decision{change: change}
	}
	if f := checkKinds(spec.Schema, next, m); f != nil {
		return rejected(change, f, nil)
	}
	if f := checkSize(next, m); f != nil {
		return rejected(change, f, nil)
	}
	if f := checkRules(spec, rec, next, m); f != nil {
		return rejected(change, f, nil)
	}
	buf := borrow()
	grown := appendRecord(*buf, next)
	encoded := bytes.Clone(grown)
	giveBack(buf, grown)
	if size := (protocol.StoredRecord{Data: encoded}).Size(); size > protocol.MaxRecordBytes {
		return rejected(change, &fault{code: protocol.CodeRecordTooLarge,
			sentence: fmt.Sprintf("the record would have %d bytes; %d are allowed", size, protocol.MaxRecordBytes)}, nil)
	}
	return decision{next: next, encoded: encoded, change: change}
}

// rejected turns a change into its refusal: no content, the error, and the
// current record where that helps.
func rejected(change protocol.Change, f *fault, current *protocol.Record) decision {
	change.Fields, change.Sets, change.Counters, change.Lost = nil, nil, nil, nil
	change.Status, change.Stamp, change.Error, change.State = protocol.StatusRejected, "", f.refusal(), current
	return decision{change: change}
}

func versionOf(rec *protocol.Record) uint64 {
	if rec == nil {
		return 0
	}
	return rec.Version
}

func versionFault(rec *protocol.Record) *fault {
	f := &fault{code: protocol.CodeVersionConflict, path: "/ifVersion"}
	if rec == nil {
		f.sentence = "there is no such record"
	} else {
		f.sentence = fmt.Sprintf("the record is at version %d", rec.Version)
	}
	return f
}

// explain says why nothing happened. Superseded and noop need no words: the
// status is the reason.
func explain(status protocol.Status, rec *protocol.Record) *protocol.Error {
	switch {
	case status == protocol.StatusExists && rec.Deleted != "":
		return &protocol.Error{Code: protocol.CodeRecordExists, Message: "a record with this id was deleted; restore it"}
	case status == protocol.StatusExists:
		return &protocol.Error{Code: protocol.CodeRecordExists, Message: "there is a record with this id"}
	case status == protocol.StatusGone && rec == nil:
		return &protocol.Error{Code: protocol.CodeRecordUnknown, Message: "there is no such record"}
	case status == protocol.StatusGone:
		return &protocol.Error{Code: protocol.CodeRecordDeleted, Message: "the record was deleted; restore it to change it"}
	default:
		return nil
	}
}

// checkKinds refuses a name that is used as something else than what the schema,
// or else its first use, made of it.
func checkKinds(schema *Schema, next *protocol.Record, m *protocol.Mutation) *fault {
	first := new(firstFault)
	use := func(name string, used kind, elsewhere bool) {
		declared, known := schema.kindOf(name)
		switch {
		case known && declared != used:
			first.offer(invalid(pointer(used.String()+"s", name), fmt.Sprintf("%s: is a %s, not a %s", name, declared, used)))
		case elsewhere:
			first.offer(invalid(pointer(used.String()+"s", name), fmt.Sprintf("%s: is something else than a %s", name, used)))
		}
	}
	for name := range m.Fields {
		use(name, kindField, has(next.Sets, name) || has(next.Counters, name))
	}
	for name := range m.Sets {
		use(name, kindSet, has(next.Fields, name) || has(next.Counters, name))
	}
	for name := range m.Counters {
		use(name, kindCounter, has(next.Fields, name) || has(next.Sets, name))
	}
	return first.fault
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

// checkSize bounds what grows by many small mutations. The encoded size is
// checked on its own.
func checkSize(next *protocol.Record, m *protocol.Mutation) *fault {
	tooLarge := func(path, sentence string) *fault {
		return &fault{code: protocol.CodeRecordTooLarge, path: path, sentence: sentence}
	}
	if len(next.Fields)+len(next.Sets)+len(next.Counters) > protocol.MaxFieldNames {
		return tooLarge("", fmt.Sprintf("a record has at most %d names", protocol.MaxFieldNames))
	}
	first := new(firstFault)
	for name := range m.Sets {
		if len(next.Sets[name]) > protocol.MaxSetElements {
			first.offer(tooLarge(pointer(name), fmt.Sprintf("%s: at most %d elements", name, protocol.MaxSetElements)))
		}
	}
	for name := range m.Counters {
		if math.IsInf(next.Counters[name], 0) {
			first.offer(invalid(pointer("counters", name), name+": the sum is beyond what a number can hold"))
		}
	}
	return first.fault
}

// checkRules asks the write condition and the schema (M5). A tombstone need not
// satisfy the schema: nobody is shown it as a record.
func checkRules(spec Spec, rec, next *protocol.Record, m *protocol.Mutation) *fault {
	if spec.MayWrite != nil {
		if f := askRule(spec, rec, m); f != nil {
			return f
		}
	}
	if spec.Schema == nil || m.Op == protocol.OpDelete || spec.Schema.quick.accepts(next) {
		return nil
	}
	merged, f := plainOf(spec.Schema, next, 0)
	if f != nil {
		return f
	}
	return spec.Schema.check(merged)
}

func askRule(spec Spec, rec *protocol.Record, m *protocol.Mutation) *fault {
	f := checkNumbers(m.Fields)
	if f != nil {
		return f
	}
	var current func() map[string]any
	if rec != nil {
		current = func() (plain map[string]any) {
			if plain, f = plainOf(spec.Schema, rec, 6); f != nil {
				return map[string]any{}
			}
			plain["id"], plain["version"] = rec.ID, float64(rec.Version)
			plain["createdBy"], plain["createdAt"] = rec.CreatedBy, float64(rec.CreatedAt)
			plain["updatedBy"], plain["updatedAt"] = rec.UpdatedBy, float64(rec.UpdatedAt)
			return plain
		}
	}
	refused := spec.MayWrite(m, current, func() map[string]any { return plainMutation(m) })
	if f != nil {
		return f
	}
	if refused != nil {
		f := &fault{code: refused.Code, path: refused.Path, sentence: refused.Message}
		if f.code == "" {
			f.code = protocol.CodeForbidden
		}
		return f
	}
	return nil
}

// plainOf is a record as an app sees it, without its metadata. A set or counter
// that the schema declares and nobody has written is empty, or 0. The map has
// room for so many more names.
func plainOf(schema *Schema, rec *protocol.Record, more int) (map[string]any, *fault) {
	plain := make(map[string]any, len(rec.Fields)+len(rec.Sets)+len(rec.Counters)+more)
	if schema != nil {
		for name, k := range schema.kinds {
			switch k {
			case kindSet:
				plain[name] = []any{}
			case kindCounter:
				plain[name] = 0.0
			}
		}
	}
	for name, elements := range rec.Sets {
		list := make([]any, len(elements))
		for i, element := range elements {
			list[i] = element
		}
		plain[name] = list
	}
	for name, total := range rec.Counters {
		plain[name] = total
	}
	for name, raw := range rec.Fields {
		v, err := decodeValue(raw)
		if err != nil {
			return nil, beyond(name)
		}
		plain[name] = v
	}
	return plain, nil
}

// checkNumbers refuses fields that have no plain form, as plainOf does, though
// nobody may ask for it.
func checkNumbers(fields map[string]json.RawMessage) *fault {
	for name, raw := range fields {
		if mayOverflow(raw) {
			if _, err := decodeValue(raw); err != nil {
				return beyond(name)
			}
		}
	}
	return nil
}

// mayOverflow says of a value whether a number in it may be too large.
func mayOverflow(raw json.RawMessage) bool {
	switch raw[0] {
	case '"', 't', 'f', 'n':
		return false
	}
	_, small := wholeNumber(raw)
	return !small
}

func beyond(name string) *fault {
	return invalid(pointer("fields", name), name+": holds a number beyond what a number can hold")
}

// plainMutation is a mutation as conditions see it, of fields that checkNumbers has
// seen.
func plainMutation(m *protocol.Mutation) map[string]any {
	fields := make(map[string]any, len(m.Fields))
	for name, raw := range m.Fields {
		fields[name], _ = decodeValue(raw)
	}
	sets := make(map[string]any, len(m.Sets))
	for name, elements := range m.Sets {
		plain := make(map[string]any, len(elements))
		for element, added := range elements {
			plain[element] = added
		}
		sets[name] = plain
	}
	counters := make(map[string]any, len(m.Counters))
	for name, delta := range m.Counters {
		counters[name] = delta
	}
	return map[string]any{
		"op": string(m.Op), "collection": m.Collection, "record": m.Record,
		"fields": fields, "sets": sets, "counters": counters,
	}
}
