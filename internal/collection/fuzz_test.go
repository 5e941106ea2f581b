package collection

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// FuzzMutation: whatever a client sends, Apply answers, what it logs is JSON,
// and a repeat is told the same.
func FuzzMutation(f *testing.F) {
	f.Add([]byte(`{"client":"c1","n":1,"id":"a","at":"0192f0c12b3c0003","base":1,"op":"put","collection":"notes","record":"r1",
		"fields":{"content":"a","timestampMs":1},"sets":{"tags":{"x":true}},"counters":{"votes":1},"ifVersion":0}`))
	f.Add([]byte(`{"client":"c1","n":1,"at":"0192f0c12b3c0003","op":"patch","collection":"notes","record":"known","fields":{"content":null}}`))
	f.Add([]byte(`{"client":"c1","n":1,"at":"ffffffffffffffff","op":"delete","collection":"free","record":"known"}`))
	f.Add([]byte(`{"client":"c1","n":1,"at":"0192f0c12b3c0003","op":"restore","collection":"free","record":"a/b","fields":{"":1e999}}`))
	schema := compileNotes(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var m protocol.Mutation
		if json.Unmarshal(text, &m) != nil {
			return
		}
		fake := newFake()
		d := newDesk(t, fake, map[string]Spec{"notes": {Schema: schema}, "free": {}})
		d.apply(put("other", 1, "known", fields("content", "a", "timestampMs", 1)))
		first, err := d.store.Apply(context.Background(), d.target, &m, Author{Subject: "ada"})
		if err != nil {
			if len(d.changes()) != 1 {
				t.Fatal("an error left an entry")
			}
			return
		}
		change := d.lastChange()
		if change.Status != first.Status || change.Offset != first.Offset {
			t.Fatalf("change %+v of outcome %+v", change, first)
		}
		if _, _, err := d.store.Load(context.Background(), "room", m.Collection, 1); err != nil {
			t.Fatal(err)
		}
		first.Duplicate, first.State = true, nil
		if repeat := d.apply(&m); mustJSON(t, repeat) != mustJSON(t, first) {
			t.Fatalf("repeat %+v, first %+v", repeat, first)
		}
	})
}

func FuzzRow(f *testing.F) {
	row := clientRow{owner: "ada"}
	for n, outcome := range []protocol.Outcome{
		{Status: protocol.StatusApplied, Lost: []string{"content"}},
		{Status: protocol.StatusRejected, Error: &protocol.Error{Code: "a", Message: "b", Path: "/c"}},
	} {
		data := row.with(outcome, uint64(n))
		f.Add(data)
		var err error
		if row, err = parseRow(data); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := parseRow(data)
		if err != nil {
			return
		}
		if _, err := row.repeat(row.last, 9); err != nil {
			return
		}
		again, err := parseRow(row.with(protocol.Outcome{Status: protocol.StatusNoop}, 9))
		if err != nil || again.last != row.last+1 || again.owner != row.owner {
			t.Fatalf("%+v became %+v: %v", row, again, err)
		}
	})
}

func FuzzChangeHead(f *testing.F) {
	data, err := encodeChange(&protocol.Change{Collection: "notes", Client: "c1", Status: protocol.StatusApplied}, []byte(`{"id":"r1"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{changeLayout, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		collection, client, _ := ChangeHead(data)
		wire := AppendChange(nil, &engine.Entry{Offset: 1 << 63, Data: data})
		if wire == nil && (collection != "" || client != "") {
			t.Fatal("a head without a change")
		}
		if len(collection)+len(client) > len(data) || len(wire) > len(data)+100 {
			t.Fatal("more came out than went in")
		}
	})
}
