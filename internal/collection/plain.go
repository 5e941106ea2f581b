package collection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

// Content is what a mutation brings, told apart by how it merges.
type Content struct {
	Fields   map[string]json.RawMessage
	Sets     map[string]map[string]bool
	Counters map[string]float64
}

// ReadPlain reads a record's value the way an app writes it, names side by
// side, and says what a mutation must bring to make it so:
//
//	"content": any JSON                      a field
//	"tags": ["a", "b"]                       a set of just these elements
//	"tags": {"add": ["a"], "remove": ["b"]}  changes of a set
//	"votes": {"increment": 1}                a counter
//
// What a name is, the collection's schema says, or else the record as it is
// (nil for none), or else the form of its value; an array alone makes a field.
// The error has a path and says what was expected. It is pure.
func (s Spec) ReadPlain(value map[string]json.RawMessage, current *protocol.Record) (Content, *protocol.Error) {
	if current == nil {
		current = &protocol.Record{}
	}
	var c Content
	for _, name := range slices.Sorted(maps.Keys(value)) { // sorted: one answer for one request
		raw := value[name]
		var f *fault
		switch s.plainKind(name, raw, current) {
		case kindSet:
			c.Sets = orMake(c.Sets)
			c.Sets[name], f = readSet(name, raw, current.Sets[name])
		case kindCounter:
			c.Counters = orMake(c.Counters)
			c.Counters[name], f = readIncrement(name, raw)
		default:
			c.Fields = orMake(c.Fields)
			c.Fields[name] = raw
		}
		if f != nil {
			return Content{}, f.refusal()
		}
	}
	return c, nil
}

func (s Spec) plainKind(name string, raw json.RawMessage, current *protocol.Record) kind {
	if k, known := s.Schema.kindOf(name); known {
		return k
	}
	switch {
	case has(current.Sets, name):
		return kindSet
	case has(current.Counters, name):
		return kindCounter
	case has(current.Fields, name):
		return kindField
	}
	if _, f := readIncrement(name, raw); f == nil {
		return kindCounter
	}
	if isSetChange(raw) {
		return kindSet
	}
	return kindField
}

// A setChange is the form of a set that says what changes.
type setChange struct {
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}

func isSetChange(raw json.RawMessage) bool {
	change, err := strictly[setChange](raw)
	return err == nil && (change.Add != nil || change.Remove != nil)
}

// readSet says which elements come and go. present are those of the record.
func readSet(name string, raw json.RawMessage, present []string) (map[string]bool, *fault) {
	out := make(map[string]bool)
	if isSetChange(raw) {
		change, _ := strictly[setChange](raw) // isSetChange has read it
		for _, element := range change.Remove {
			out[element] = false
		}
		for _, element := range change.Add {
			out[element] = true
		}
		return out, nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, invalid(pointer(name), fmt.Sprintf(`%s: is a set: give an array of texts, or {"add": [], "remove": []}`, name))
	}
	for _, element := range present {
		out[element] = false
	}
	for _, element := range list {
		out[element] = true
	}
	return out, nil
}

func readIncrement(name string, raw json.RawMessage) (float64, *fault) {
	counter, err := strictly[struct {
		Increment *float64 `json:"increment"`
	}](raw)
	if err != nil || counter.Increment == nil {
		return 0, invalid(pointer(name), name+`: is a counter: give {"increment": number}`)
	}
	return *counter.Increment, nil
}

// strictly decodes an object that has no other members than T.
func strictly[T any](raw json.RawMessage) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&v)
	return v, err
}

func orMake[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return make(M)
	}
	return m
}
