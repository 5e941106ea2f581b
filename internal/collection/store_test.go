package collection

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

const noteSchema = `{
	"type": "object",
	"properties": {
		"content":     {"type": "string", "minLength": 1, "maxLength": 2000},
		"timestampMs": {"type": "integer", "minimum": 0},
		"tags":        {"type": "array", "items": {"type": "string"}, "maxItems": 20, "x-chorale": "set"},
		"votes":       {"type": "integer", "x-chorale": "counter"}
	},
	"required": ["content", "timestampMs", "tags"],
	"additionalProperties": false
}`

// now is the server's time in tests, Unix ms.
const now = 1_764_000_000_000

func compileNotes(tb testing.TB) *Schema {
	tb.Helper()
	schema, err := CompileSchema("notes", []byte(noteSchema))
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

// A desk is a Store with one target, and what tests ask of it.
type desk struct {
	tb     testing.TB
	store  *Store
	target Target
	eng    engine.Engine
}

func newDesk(tb testing.TB, eng engine.Engine, specs map[string]Spec) *desk {
	return &desk{tb: tb, eng: eng, target: Target{Channel: "room", Specs: specs},
		store: New(eng, Options{Clock: func() time.Time { return time.UnixMilli(now) }})}
}

// openNotes is a desk over a new engine with one collection, notes, that has no schema.
func openNotes(tb testing.TB) *desk {
	return newDesk(tb, openEngine(tb, ""), map[string]Spec{"notes": {}})
}

// apply applies for the subject "ada", and demands an outcome.
func (d *desk) apply(m *protocol.Mutation) protocol.Outcome {
	d.tb.Helper()
	outcome, err := d.store.Apply(context.Background(), d.target, m, Author{Subject: "ada", Origin: "m1"})
	if err != nil {
		d.tb.Fatalf("apply %s:%d: %v", m.Client, m.N, err)
	}
	return outcome
}

// refuse applies and demands an error with the code.
func (d *desk) refuse(subject string, m *protocol.Mutation, code string) *protocol.Error {
	d.tb.Helper()
	_, err := d.store.Apply(context.Background(), d.target, m, Author{Subject: subject})
	if err == nil || err.Code != code {
		d.tb.Fatalf("apply %s:%d: %v, want %s", m.Client, m.N, err, code)
	}
	return err
}

// record loads one record with its tombstones; nil when there is none.
func (d *desk) record(id string) *protocol.Record {
	d.tb.Helper()
	rec, err := d.store.loadRecord(context.Background(), d.target.Channel, recordPrefix("notes")+id)
	if err != nil {
		d.tb.Fatal(err)
	}
	return rec
}

// changes decodes the channel's log as the wire carries it.
func (d *desk) changes() []protocol.Change {
	d.tb.Helper()
	entries, err := d.eng.Read(context.Background(), d.target.Channel, engine.Position{}, 0)
	if err != nil {
		d.tb.Fatal(err)
	}
	list := make([]protocol.Change, len(entries))
	for i := range entries {
		if err := json.Unmarshal(AppendChange(nil, &entries[i]), &list[i]); err != nil {
			d.tb.Fatalf("change at %d: %v", entries[i].Offset, err)
		}
	}
	return list
}

func (d *desk) lastChange() protocol.Change {
	d.tb.Helper()
	list := d.changes()
	return list[len(list)-1]
}

// fields makes raw fields of pairs.
func fields(pairs ...any) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		raw, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err)
		}
		m[pairs[i].(string)] = raw
	}
	return m
}

// at is a hybrid logical time some milliseconds after now.
func at(ms int64) string { return protocol.FormatTime(now+ms, 0) }

func stampAt(ms int64, client string) protocol.Stamp { return protocol.MakeStamp(at(ms), client) }

func put(client string, n uint64, id string, f map[string]json.RawMessage) *protocol.Mutation {
	return &protocol.Mutation{Client: client, N: n, ID: fmt.Sprintf("%s-%d", client, n), At: at(int64(n)),
		Op: protocol.OpPut, Collection: "notes", Record: id, Fields: f}
}

func patch(client string, n uint64, id string, f map[string]json.RawMessage) *protocol.Mutation {
	m := put(client, n, id, f)
	m.Op = protocol.OpPatch
	return m
}

func remove(client string, n uint64, id string) *protocol.Mutation {
	m := put(client, n, id, nil)
	m.Op = protocol.OpDelete
	return m
}

func restore(client string, n uint64, id string, f map[string]json.RawMessage) *protocol.Mutation {
	m := put(client, n, id, f)
	m.Op = protocol.OpRestore
	return m
}

func wantStatus(tb testing.TB, got protocol.Outcome, status protocol.Status, code string) {
	tb.Helper()
	gotCode := ""
	if got.Error != nil {
		gotCode = got.Error.Code
	}
	if got.Status != status || gotCode != code {
		tb.Fatalf("outcome %s %v, want %s %s", got.Status, got.Error, status, code)
	}
}

func withTags(m *protocol.Mutation, tags map[string]bool) *protocol.Mutation {
	m.Sets = map[string]map[string]bool{"tags": tags}
	return m
}

func withVotes(m *protocol.Mutation, delta float64) *protocol.Mutation {
	m.Counters = map[string]float64{"votes": delta}
	return m
}

func mustJSON(t interface{ Fatal(...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
