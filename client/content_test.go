package client

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

func TestContent(t *testing.T) {
	visible := &protocol.Record{
		ID: "r", Fields: map[string]json.RawMessage{"list": json.RawMessage(`["a"]`)}, Sets: map[string][]string{"tags": {"a", "b"}},
	}
	for _, c := range []struct {
		name     string
		op       protocol.Op
		values   any
		fields   []string
		sets     map[string]map[string]bool
		counters map[string]float64
		fault    bool
	}{
		{name: "nothing", op: protocol.OpDelete},
		{name: "fields", op: protocol.OpPut, values: struct {
			A int     `json:"a"`
			B *string `json:"b"`
		}{}, fields: []string{"a", "b"}},
		{name: "a set, as what must be added and taken away", op: protocol.OpPatch, values: map[string]any{"tags": []string{"b", "c"}},
			sets: map[string]map[string]bool{"tags": {"a": false, "c": true}}},
		{name: "a set that stays is nothing to patch, and something to put", op: protocol.OpPatch, values: map[string]any{"tags": []string{"a", "b"}}},
		{name: "elements, whatever else there is", op: protocol.OpPatch, values: map[string]any{"tags": Elements{Add: []string{"z"}, Remove: []string{"y"}}},
			sets: map[string]map[string]bool{"tags": {"z": true, "y": false}}},
		{name: "an array of strings that is a field stays one", op: protocol.OpPatch, values: map[string]any{"list": []string{"b"}}, fields: []string{"list"}},
		{name: "an array of other things is a field", op: protocol.OpPatch, values: map[string]any{"x": []any{"a", nil}, "y": []int{1}}, fields: []string{"x", "y"}},
		{name: "counters, by type and by form", op: protocol.OpPatch, values: map[string]any{"votes": Increment(2), "n": map[string]any{"increment": -1}},
			counters: map[string]float64{"votes": 2, "n": -1}},
		{name: "what only looks like a counter", op: protocol.OpPatch, values: map[string]any{"a": map[string]any{"increment": "1"}, "b": map[string]any{"increment": nil}, "c": map[string]any{"increment": 1, "by": 2}}, fields: []string{"a", "b", "c"}},
		{name: "metadata is the server's", op: protocol.OpPatch, values: map[string]any{"id": "x", "version": 7, "createdBy": "me"}},
		{name: "a record that is handed back", op: protocol.OpPatch, values: recordOf(visible, 0), fields: []string{"list"}},
		{name: "no object", op: protocol.OpPut, values: 7, fault: true},
		{name: "no JSON", op: protocol.OpPut, values: map[string]any{"f": func() {}}, fault: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := new(write)
			w.Op = c.op
			if err := w.setContent(c.values, visible); (err != nil) != c.fault {
				t.Fatalf("error %v", err)
			}
			same := maps.EqualFunc(w.Sets, c.sets, func(a, b map[string]bool) bool { return maps.Equal(a, b) })
			if c.fault {
				return
			}
			if fields := slices.Sorted(maps.Keys(w.Fields)); !slices.Equal(fields, c.fields) || !same || !maps.Equal(w.Counters, c.counters) {
				t.Errorf("fields %v, sets %v, counters %v", fields, w.Sets, w.Counters)
			}
		})
	}
}
