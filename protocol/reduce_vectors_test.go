package protocol

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// The format is described in conformance/collections/README.md.
type vector struct {
	Name    string                    `json:"name"`
	Ops     []vectorOp                `json:"ops"`
	Results []string                  `json:"results"`
	Views   map[string]map[string]any `json:"views"`
}

type vectorOp struct {
	T      string                     `json:"t"`
	RID    string                     `json:"rid"`
	CID    string                     `json:"cid"`
	ID     string                     `json:"id"`
	HLC    [3]any                     `json:"hlc"`
	Fields map[string]json.RawMessage `json:"fields"`
	F      string                     `json:"f"`
	V      json.RawMessage            `json:"v"`
	Tag    string                     `json:"tag"`
	On     bool                       `json:"on"`
}

func (op vectorOp) mutation() (*Mutation, Stamp) {
	m := &Mutation{Client: op.CID, ID: op.ID, Collection: "notes", Record: op.RID}
	switch op.T {
	case "create":
		m.Op, m.Fields = OpPut, op.Fields
	case "set":
		m.Op, m.Fields = OpPatch, map[string]json.RawMessage{op.F: op.V}
	case "tag":
		m.Op, m.Sets = OpPatch, map[string]map[string]bool{"tags": {op.Tag: op.On}}
	default:
		m.Op = Op(op.T)
	}
	m.At = FormatTime(int64(op.HLC[0].(float64)), uint16(op.HLC[1].(float64)))
	return m, MakeStamp(m.At, op.HLC[2].(string))
}

// viewOf is what an app sees of a record, in the words of the vectors.
func viewOf(t *testing.T, rec *Record) map[string]any {
	t.Helper()
	if rec == nil || rec.Deleted != "" {
		return nil
	}
	view := map[string]any{}
	for name, raw := range rec.Fields {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatal(err)
		}
		view[name] = value
	}
	for name, elements := range rec.Sets {
		list := make([]any, len(elements))
		for i, element := range elements {
			list[i] = element
		}
		view[name] = list
	}
	view["id"] = rec.ID
	if view["tags"] == nil {
		view["tags"] = []any{}
	}
	return view
}

func TestReducerVectors(t *testing.T) {
	text, err := os.ReadFile("../conformance/collections/reducer.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 310 {
		t.Fatalf("%d vectors, want 310", len(vectors))
	}
	for _, v := range vectors {
		t.Run("[M2][M3] "+v.Name, func(t *testing.T) {
			records := map[string]*Record{}
			for i, op := range v.Ops {
				m, stamp := op.mutation()
				next, change := Reduce(records[op.RID], m, stamp, 1000, "user")
				records[op.RID] = next
				want := Status(v.Results[i])
				if want == "ok" {
					want = StatusApplied
				}
				if change.Status != want {
					t.Fatalf("operation %d (%s): %s, want %s", i, op.T, change.Status, want)
				}
			}
			for id, want := range v.Views {
				if got := viewOf(t, records[id]); !reflect.DeepEqual(got, want) {
					t.Errorf("view of %s: %v, want %v", id, got, want)
				}
			}
		})
	}
}
