package collection

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chorale-rt/chorale/protocol"
)

func TestReadPlain(t *testing.T) {
	schema, err := CompileSchema("notes", []byte(`{"type":"object","properties":{
		"content":{"type":"string"}, "points":{"type":"array"},
		"tags":{"type":"array","x-chorale":"set"}, "votes":{"type":"number","x-chorale":"counter"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	record := &protocol.Record{
		Fields: map[string]json.RawMessage{"content": []byte(`"old"`)},
		Sets:   map[string][]string{"tags": {"a", "b"}}, Counters: map[string]float64{"votes": 1},
	}
	type raw = map[string]json.RawMessage
	for _, tt := range []struct {
		name    string
		spec    Spec
		current *protocol.Record
		value   string
		want    Content
		path    string // of the error
	}{
		{"fields are what they are", Spec{}, nil, `{"a":1,"b":[1],"c":{"d":null},"e":null}`,
			Content{Fields: raw{"a": []byte("1"), "b": []byte("[1]"), "c": []byte(`{"d":null}`), "e": []byte("null")}}, ""},
		{"an array for a set means just these", Spec{Schema: schema}, record, `{"tags":["b","c"]}`,
			Content{Sets: map[string]map[string]bool{"tags": {"a": false, "b": true, "c": true}}}, ""},
		{"an empty array empties a set", Spec{Schema: schema}, record, `{"tags":[]}`,
			Content{Sets: map[string]map[string]bool{"tags": {"a": false, "b": false}}}, ""},
		{"a set can be changed without knowing it", Spec{Schema: schema}, record, `{"tags":{"add":["c"],"remove":["a"]}}`,
			Content{Sets: map[string]map[string]bool{"tags": {"a": false, "c": true}}}, ""},
		{"a counter is incremented", Spec{Schema: schema}, record, `{"votes":{"increment":-2.5}}`,
			Content{Counters: map[string]float64{"votes": -2.5}}, ""},
		{"an array that the schema calls a field is one", Spec{Schema: schema}, record, `{"points":["a"]}`,
			Content{Fields: raw{"points": []byte(`["a"]`)}}, ""},
		{"without a schema the record says what a name is", Spec{}, record, `{"tags":["c"],"votes":{"increment":1},"content":{"increment":1}}`,
			Content{Fields: raw{"content": []byte(`{"increment":1}`)}, Counters: map[string]float64{"votes": 1},
				Sets: map[string]map[string]bool{"tags": {"a": false, "b": false, "c": true}}}, ""},
		{"without either the form does", Spec{}, nil, `{"t":{"add":["x"]},"v":{"increment":1},"o":{"increment":1,"by":2},"e":{}}`,
			Content{Fields: raw{"o": []byte(`{"increment":1,"by":2}`), "e": []byte("{}")}, Counters: map[string]float64{"v": 1},
				Sets: map[string]map[string]bool{"t": {"x": true}}}, ""},
		{"a set that is no array is refused by name", Spec{Schema: schema}, nil, `{"tags":"a"}`, Content{}, "/tags"},
		{"a set is no null", Spec{Schema: schema}, nil, `{"tags":null}`, Content{}, "/tags"},
		{"a counter that is a number is refused by name", Spec{Schema: schema}, nil, `{"votes":3}`, Content{}, "/votes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var value raw
			if err := json.Unmarshal([]byte(tt.value), &value); err != nil {
				t.Fatal(err)
			}
			got, fault := tt.spec.ReadPlain(value, tt.current)
			switch {
			case tt.path == "" && fault != nil:
				t.Fatal(fault)
			case tt.path != "" && (fault == nil || fault.Path != tt.path || fault.Code != protocol.CodeInvalidMutation):
				t.Fatalf("got %v, want a fault at %s", fault, tt.path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
