package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

// Increment, as a value of a write, adds to a counter.
type Increment float64

// MarshalJSON writes {"increment": n}, which is how other clients say it.
func (n Increment) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]float64{"increment": float64(n)})
}

// Elements, as a value of a write, adds elements to a set and takes others from
// it, whatever else is in the set.
type Elements struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// metadata are names that are the server's (M6). An app may hand a whole record
// back; what it says of these is not sent.
var metadata = []string{"id", "version", "createdAt", "createdBy", "updatedAt", "updatedBy"}

// setContent sorts values into a write's fields, sets and counters. values is
// what marshals to a JSON object, or nil. visible is the record as it is shown, or
// nil.
func (w *write) setContent(values any, visible *protocol.Record) error {
	w.values = map[string]json.RawMessage{}
	named, elements, err := namesOf(values)
	if err != nil {
		return err
	}
	for name, raw := range named {
		if slices.Contains(metadata, name) {
			continue
		}
		w.values[name] = raw
		if by, ok := incrementOf(raw); ok {
			put(&w.Counters, name, by)
		} else if change, ok := elements[name]; ok {
			w.putSet(name, change)
		} else if after, ok := setOf(raw); ok && !isField(visible, name) {
			w.putSet(name, difference(visible, name, after))
		} else {
			put(&w.Fields, name, raw)
		}
	}
	return nil
}

// namesOf takes values apart by name, and finds the Elements among them.
func namesOf(values any) (map[string]json.RawMessage, map[string]map[string]bool, error) {
	elements := map[string]map[string]bool{}
	if given, ok := values.(map[string]any); ok {
		for name, value := range given {
			if e, ok := value.(Elements); ok {
				elements[name] = e.asMap()
			}
		}
	}
	if values == nil {
		return nil, elements, nil
	}
	raw, err := marshal(values)
	if err != nil {
		return nil, nil, err
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, nil, fmt.Errorf("%T is no JSON object", values)
	}
	return named, elements, nil
}

func (e Elements) asMap() map[string]bool {
	out := make(map[string]bool, len(e.Add)+len(e.Remove))
	for _, element := range e.Remove {
		out[element] = false
	}
	for _, element := range e.Add {
		out[element] = true
	}
	return out
}

// incrementOf reads an object that has a number as increment, and nothing else.
func incrementOf(raw json.RawMessage) (float64, bool) {
	var object map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &object) != nil || len(object) != 1 || object["increment"] == nil {
		return 0, false
	}
	var by *float64
	err := json.Unmarshal(object["increment"], &by)
	if err != nil || by == nil {
		return 0, false
	}
	return *by, true
}

// setOf reads an array of strings, which is a set.
func setOf(raw json.RawMessage) ([]string, bool) {
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil || slices.Contains(list, nil) {
		return nil, false
	}
	out := make([]string, len(list))
	for i, element := range list {
		out[i] = *element
	}
	return out, true
}

func isField(rec *protocol.Record, name string) bool {
	return rec != nil && rec.Fields[name] != nil
}

// difference is what must be added to and taken from a set as it is visible now,
// for it to be just after.
func difference(visible *protocol.Record, name string, after []string) map[string]bool {
	var before []string
	if visible != nil {
		before = visible.Sets[name]
	}
	out := map[string]bool{}
	for _, element := range after {
		if !slices.Contains(before, element) {
			out[element] = true
		}
	}
	for _, element := range before {
		if !slices.Contains(after, element) {
			out[element] = false
		}
	}
	return out
}

// putSet takes a change of a set. An empty one is worth saying when it makes the
// name known; a patch that changes nothing of a set is not.
func (w *write) putSet(name string, elements map[string]bool) {
	if w.Op != protocol.OpPatch || len(elements) > 0 {
		put(&w.Sets, name, elements)
	}
}

func (w *write) isEmpty() bool { return len(w.Fields)+len(w.Sets)+len(w.Counters) == 0 }

func put[V any](m *map[string]V, name string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = value
}

// Record is a record as it is shown: the server's, and this client's unsettled
// writes done to it. It is a value of its own that does not change; what it refers
// to must not be changed.
type Record struct {
	ID      string
	Version uint64 // offset of the entry that last changed it; 0 while only this client knows it
	// Values are fields, sets (arrays in the order of bytes) and counters, by name.
	Values map[string]json.RawMessage
	// CreatedAt and UpdatedAt are Unix milliseconds, by the server's clock;
	// CreatedBy and UpdatedBy are subs of tokens.
	CreatedBy, UpdatedBy string
	CreatedAt, UpdatedAt int64
	// Pending is how many of this client's writes to it have not settled.
	Pending int
}

func recordOf(rec *protocol.Record, pending int) *Record {
	r := &Record{
		ID: rec.ID, Version: rec.Version, Pending: pending,
		CreatedBy: rec.CreatedBy, UpdatedBy: rec.UpdatedBy, CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt,
		Values: make(map[string]json.RawMessage, len(rec.Fields)+len(rec.Sets)+len(rec.Counters)),
	}
	maps.Copy(r.Values, rec.Fields)
	for name, elements := range rec.Sets {
		r.Values[name] = mustMarshal(elements)
	}
	for name, total := range rec.Counters {
		// A sum beyond what a number can hold is refused by the server; until then it
		// is shown as nothing.
		if raw, err := marshal(total); err == nil {
			r.Values[name] = raw
		}
	}
	return r
}

// Decode reads the record into v, as [json.Unmarshal] reads the object of
// MarshalJSON.
func (r *Record) Decode(v any) error {
	raw, err := r.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", r.ID, err)
	}
	return nil
}

// MarshalJSON writes one object of values and metadata side by side: id, version,
// createdAt, createdBy, updatedAt and updatedBy.
func (r *Record) MarshalJSON() ([]byte, error) {
	out := maps.Clone(r.Values)
	if out == nil {
		out = map[string]json.RawMessage{}
	}
	for name, value := range map[string]any{
		"id": r.ID, "version": r.Version,
		"createdAt": r.CreatedAt, "createdBy": r.CreatedBy, "updatedAt": r.UpdatedAt, "updatedBy": r.UpdatedBy,
	} {
		out[name] = mustMarshal(value)
	}
	return marshal(out)
}
