package collection

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

func openSchemaNotes(tb testing.TB) *desk {
	return newDesk(tb, openEngine(tb, ""), map[string]Spec{"notes": {Schema: compileNotes(tb)}})
}

func TestSchema(t *testing.T) {
	refusals := []struct {
		name     string
		mutation *protocol.Mutation
		code     string
		path     string
		sentence string
	}{
		{"an empty string", put("c1", 1, "r1", fields("content", "", "timestampMs", 1)),
			protocol.CodeSchemaViolation, "/content", "content: must be at least 1 character"},
		{"a missing field", put("c1", 1, "r1", fields("content", "a")),
			protocol.CodeSchemaViolation, "/timestampMs", "timestampMs: is missing"},
		{"a negative number", put("c1", 1, "r1", fields("content", "a", "timestampMs", -1)),
			protocol.CodeSchemaViolation, "/timestampMs", "timestampMs: must be at least 0"},
		{"another type", put("c1", 1, "r1", fields("content", 5, "timestampMs", 1)),
			protocol.CodeSchemaViolation, "/content", "content: must be a string, not a number"},
		{"a name that is not declared", put("c1", 1, "r1", fields("content", "a", "timestampMs", 1, "colour", "red")),
			protocol.CodeSchemaViolation, "/colour", "colour: is not a property of this collection"},
		{"half a counter", withVotes(put("c1", 1, "r1", fields("content", "a", "timestampMs", 1)), 0.5),
			protocol.CodeSchemaViolation, "/votes", "votes: must be an integer, not a number"},
		{"a set written as a field", put("c1", 1, "r1", fields("content", "a", "timestampMs", 1, "tags", []string{"x"})),
			protocol.CodeInvalidMutation, "/fields/tags", "tags: is a set, not a field"},
		{"a counter written as a field", put("c1", 1, "r1", fields("content", "a", "timestampMs", 1, "votes", 1)),
			protocol.CodeInvalidMutation, "/fields/votes", "votes: is a counter, not a field"},
		{"a number no float64 holds", put("c1", 1, "r1", map[string]json.RawMessage{"content": json.RawMessage("1e999")}),
			protocol.CodeInvalidMutation, "/fields/content", "content: holds a number beyond what a number can hold"},
	}
	for _, c := range refusals {
		t.Run("[M5] "+c.name+" is rejected with its path and a sentence", func(t *testing.T) {
			d := openSchemaNotes(t)
			outcome := d.apply(c.mutation)
			wantStatus(t, outcome, protocol.StatusRejected, c.code)
			if outcome.Error.Path != c.path || outcome.Error.Message != c.sentence {
				t.Errorf("%s: %s", outcome.Error.Path, outcome.Error.Message)
			}
		})
	}
	t.Run("[M5] required looks at the merged record, and a set nobody wrote is empty", func(t *testing.T) {
		d := openSchemaNotes(t)
		wantStatus(t, d.apply(put("c1", 1, "r1", fields("content", "a", "timestampMs", 1))), protocol.StatusApplied, "")
		wantStatus(t, d.apply(patch("c1", 2, "r1", fields("timestampMs", 2))), protocol.StatusApplied, "")
		wantStatus(t, d.apply(patch("c1", 3, "r1", fields("content", ""))), protocol.StatusRejected, protocol.CodeSchemaViolation)
		if rec := d.record("r1"); string(rec.Fields["content"]) != `"a"` || rec.Version != 2 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("[M5] a set's elements count together, however they came", func(t *testing.T) {
		d := openSchemaNotes(t)
		d.apply(put("c1", 1, "r1", fields("content", "a", "timestampMs", 1)))
		for i := range 20 {
			d.apply(withTags(patch("c1", uint64(i+2), "r1", nil), map[string]bool{strings.Repeat("x", i+1): true}))
		}
		got := d.apply(withTags(patch("c1", 22, "r1", nil), map[string]bool{"more": true}))
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeSchemaViolation)
		if got.Error.Message != "tags: must have at most 20 items" {
			t.Errorf("%s", got.Error.Message)
		}
	})
	t.Run("[M5] without a schema the first use of a name decides what it is", func(t *testing.T) {
		d := openNotes(t)
		d.apply(withTags(put("c1", 1, "r1", fields("content", "a")), map[string]bool{"x": true}))
		got := d.apply(patch("c1", 2, "r1", fields("tags", 1)))
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeInvalidMutation)
		if got.Error.Path != "/fields/tags" {
			t.Errorf("path %s", got.Error.Path)
		}
		m := patch("c1", 3, "r1", nil)
		m.Counters = map[string]float64{"content": 1}
		wantStatus(t, d.apply(m), protocol.StatusRejected, protocol.CodeInvalidMutation)
	})
	t.Run("[M5] a delete does not ask the schema", func(t *testing.T) {
		loose := openNotes(t)
		loose.apply(put("c1", 1, "r1", fields("anything", 1)))
		strict := newDesk(t, loose.eng, map[string]Spec{"notes": {Schema: compileNotes(t)}})
		wantStatus(t, strict.apply(remove("c1", 2, "r1")), protocol.StatusApplied, "")
		wantStatus(t, strict.apply(restore("c1", 3, "r1", nil)), protocol.StatusRejected, protocol.CodeSchemaViolation)
	})
}

func TestCompileSchema(t *testing.T) {
	refusals := map[string]string{
		"no JSON":                  `{`,
		"no schema":                `{"type": 5}`,
		"a file":                   `{"$ref": "file:///etc/hostname"}`,
		"another host":             `{"$ref": "https://example.org/schema.json"}`,
		"a server's name":          `{"properties": {"createdBy": {"type": "string"}}}`,
		"an unknown kind":          `{"properties": {"a": {"type": "array", "x-chorale": "bag"}}}`,
		"a set that is no array":   `{"properties": {"a": {"type": "string", "x-chorale": "set"}}}`,
		"a counter that is a text": `{"properties": {"a": {"type": "string", "x-chorale": "counter"}}}`,
	}
	for name, text := range refusals {
		t.Run(name+" is refused with the collection's name", func(t *testing.T) {
			if _, err := CompileSchema("notes", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "schema of notes: ") {
				t.Errorf("error %v", err)
			}
		})
	}
	sentences := []struct{ schema, value, path, sentence string }{
		{`{"enum": ["a", 1]}`, `"b"`, "/x", `x: must be one of "a", 1`},
		{`{"const": true}`, `false`, "/x", "x: must be true"},
		{`{"format": "email"}`, `"nobody"`, "/x", "x: must be a valid email"},
		{`{"pattern": "^a"}`, `"b"`, "/x", "x: must match ^a"},
		{`{"maxLength": 2}`, `"abc"`, "/x", "x: must be at most 2 characters"},
		{`{"maximum": 2.5}`, `3`, "/x", "x: must be at most 2.5"},
		{`{"exclusiveMinimum": 1}`, `1`, "/x", "x: must be more than 1"},
		{`{"exclusiveMaximum": 1}`, `1`, "/x", "x: must be less than 1"},
		{`{"multipleOf": 2}`, `3`, "/x", "x: must be a multiple of 2"},
		{`{"uniqueItems": true}`, `[1, 1]`, "/x", "x: must not have an item twice"},
		{`{"minItems": 1}`, `[]`, "/x", "x: must have at least 1 item"},
		{`{"anyOf": [{"type": "string"}, {"type": "null"}]}`, `1`, "/x", "x: fits none, or more than one, of the forms it may have"},
		{`{"type": ["string", "null"]}`, `1`, "/x", "x: must be null or a string, not a number"},
		{`false`, `1`, "/x", "x: is not allowed"},
		{`{"items": {"type": "integer"}}`, `[1, "b"]`, "/x/1", "x.1: must be an integer, not a string"},
		{`{"properties": {"a/b": {"required": ["c"]}}}`, `{"a/b": {}}`, "/x/a~1b/c", "x.a/b.c: is missing"},
		{`{"$ref": "#/$defs/word"}`, `""`, "/x", "x: must be at least 1 character"},
		{`{"minProperties": 1}`, `{}`, "/x", "x: must have at least 1 name"},
		{`{"not": {"type": "string"}}`, `"a"`, "/x", "x: has a form that is ruled out"},
		{`{"dependentRequired": {"a": ["b"]}}`, `{"a": 1}`, "/x", "x: must have b with a"},
		{`{"contains": {"type": "null"}}`, `[1]`, "/x", "x: has too few or too many items of a certain form"},
	}
	for _, c := range sentences {
		t.Run("[M5] "+c.sentence, func(t *testing.T) {
			schema, err := CompileSchema("notes", []byte(`{"properties": {"x": `+c.schema+`}, "$defs": {"word": {"minLength": 1}}}`))
			if err != nil {
				t.Fatal(err)
			}
			value, err := decodeValue(json.RawMessage(c.value))
			if err != nil {
				t.Fatal(err)
			}
			if f := schema.check(map[string]any{"x": value}); f == nil || f.path != c.path || f.sentence != c.sentence {
				t.Errorf("got %+v", f)
			}
		})
	}
	t.Run("[M5] of several faults the first by path is told, every time", func(t *testing.T) {
		schema := compileNotes(t)
		for range 50 {
			if f := schema.check(map[string]any{"content": "", "timestampMs": -1.0, "tags": 5.0}); f == nil || f.path != "/content" {
				t.Fatalf("got %+v", f)
			}
		}
	})
}

func TestMayWrite(t *testing.T) {
	var asked []map[string]any
	ownOnly := func(_ *protocol.Mutation, before, mutation func() map[string]any) *protocol.Error {
		var record map[string]any
		if before != nil {
			record = before()
		}
		asked = []map[string]any{record, mutation()}
		if record != nil && record["createdBy"] != "ada" {
			return &protocol.Error{Message: "only its author may change a note"}
		}
		return nil
	}
	d := newDesk(t, openEngine(t, ""), map[string]Spec{"notes": {Schema: compileNotes(t), MayWrite: ownOnly}})

	t.Run("[M5] the rule sees no record and the mutation when a record is made", func(t *testing.T) {
		m := withVotes(put("c1", 1, "r1", fields("content", "a", "timestampMs", 1)), 2)
		wantStatus(t, d.apply(withTags(m, map[string]bool{"x": true})), protocol.StatusApplied, "")
		want := `[null,{"collection":"notes","counters":{"votes":2},"fields":{"content":"a","timestampMs":1},"op":"put","record":"r1","sets":{"tags":{"x":true}}}]`
		if got := mustJSON(t, asked); got != want {
			t.Errorf("asked %s", got)
		}
	})
	t.Run("[M5] the rule sees the record as it is before a patch", func(t *testing.T) {
		wantStatus(t, d.apply(patch("c1", 2, "r1", fields("content", "b"))), protocol.StatusApplied, "")
		want := `{"content":"a","createdAt":1764000000000,"createdBy":"ada","id":"r1","tags":["x"],"timestampMs":1,` +
			`"updatedAt":1764000000000,"updatedBy":"ada","version":1,"votes":2}`
		if got := mustJSON(t, asked[0]); got != want {
			t.Errorf("asked %s", got)
		}
	})
	t.Run("[M5] a number that no float64 holds is refused, whether the rule looks at it or not", func(t *testing.T) {
		blind := newDesk(t, openEngine(t, ""), map[string]Spec{"notes": {MayWrite: func(*protocol.Mutation, func() map[string]any, func() map[string]any) *protocol.Error { return nil }}})
		got := blind.apply(put("c1", 1, "r1", map[string]json.RawMessage{"a": json.RawMessage(`[1, 1e999]`), "b": json.RawMessage(`1e99`)}))
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeInvalidMutation)
		if got.Error.Path != "/fields/a" {
			t.Errorf("path %s", got.Error.Path)
		}
	})
	t.Run("[M5] a refusal of the rule is forbidden, with its sentence", func(t *testing.T) {
		if _, err := d.store.Apply(t.Context(), d.target, put("c2", 1, "r2", fields("content", "b's", "timestampMs", 1)), Author{Subject: "bob"}); err != nil {
			t.Fatal(err)
		}
		got := d.apply(remove("c1", 3, "r2"))
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeForbidden)
		if got.Error.Message != "only its author may change a note" {
			t.Errorf("%s", got.Error.Message)
		}
	})
}

func TestLimits(t *testing.T) {
	many := func(count int) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		for i := range count {
			m[strings.Repeat("f", i+1)] = json.RawMessage("1")
		}
		return m
	}
	elements := func(count int) map[string]bool {
		m := map[string]bool{}
		for i := range count {
			m[string(rune('a'+i%26))+strings.Repeat("x", i/26)] = true
		}
		return m
	}
	counter := func(delta float64) *protocol.Mutation { return withVotes(put("c1", 1, "r1", nil), delta) }
	named := func(change func(m *protocol.Mutation)) *protocol.Mutation {
		m := put("c1", 1, "r1", fields("content", "a"))
		change(m)
		return m
	}
	cases := []struct {
		name string
		m    *protocol.Mutation
		code string
		path string
	}{
		{"a record above 256 KiB", put("c1", 1, "r1", fields("content", strings.Repeat("x", protocol.MaxRecordBytes))), protocol.CodeRecordTooLarge, ""},
		{"more than 64 names", put("c1", 1, "r1", many(65)), protocol.CodeInvalidMutation, ""},
		{"a name above 128 bytes", put("c1", 1, "r1", fields(strings.Repeat("n", 129), 1)), protocol.CodeInvalidMutation, "/fields/" + strings.Repeat("n", 129)},
		{"an empty name", put("c1", 1, "r1", fields("", 1)), protocol.CodeInvalidMutation, "/fields/"},
		{"more than 1,000 elements", withTags(put("c1", 1, "r1", nil), elements(1001)), protocol.CodeInvalidMutation, "/sets/tags"},
		{"an element above 256 bytes", withTags(put("c1", 1, "r1", nil), map[string]bool{strings.Repeat("e", 257): true}), protocol.CodeInvalidMutation, "/sets/tags"},
		{"a counter that is no number", counter(math.NaN()), protocol.CodeInvalidMutation, "/counters/votes"},
		{"a value that is no UTF-8", named(func(m *protocol.Mutation) { m.Fields["content"] = json.RawMessage("\"\xff\"") }), protocol.CodeInvalidMutation, "/fields/content"},
		{"a value that is no JSON", named(func(m *protocol.Mutation) { m.Fields["content"] = json.RawMessage("{") }), protocol.CodeInvalidMutation, "/fields/content"},
		{"a record id above 128 bytes", named(func(m *protocol.Mutation) { m.Record = strings.Repeat("r", 129) }), protocol.CodeInvalidMutation, "/record"},
		{"[trap 17] a record id that is not ASCII", named(func(m *protocol.Mutation) { m.Record = "ré" }), protocol.CodeInvalidMutation, "/record"},
		{"a collection with a slash", named(func(m *protocol.Mutation) { m.Collection = "a/b" }), protocol.CodeInvalidMutation, "/collection"},
		{"a mutation id with a space", named(func(m *protocol.Mutation) { m.ID = "a b" }), protocol.CodeInvalidMutation, "/id"},
		{"a time that is none", named(func(m *protocol.Mutation) { m.At = "yesterday" }), protocol.CodeInvalidMutation, "/at"},
		{"an op that is none", named(func(m *protocol.Mutation) { m.Op = "upsert" }), protocol.CodeInvalidMutation, "/op"},
		{"a delete with content", named(func(m *protocol.Mutation) { m.Op = protocol.OpDelete }), protocol.CodeInvalidMutation, "/op"},
	}
	for _, c := range cases {
		t.Run("[R7] "+c.name+" is rejected", func(t *testing.T) {
			d := openNotes(t)
			got := d.apply(c.m)
			wantStatus(t, got, protocol.StatusRejected, c.code)
			if got.Error.Path != c.path {
				t.Errorf("path %q, want %q", got.Error.Path, c.path)
			}
			if d.record("r1") != nil {
				t.Error("a record was made")
			}
		})
	}
	t.Run("[R7] small mutations cannot add up to more than one may bring", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", many(64)))
		wantStatus(t, d.apply(patch("c1", 2, "r1", fields("one more", 1))), protocol.StatusRejected, protocol.CodeRecordTooLarge)
		d.apply(withTags(put("c1", 3, "r2", nil), elements(1000)))
		got := d.apply(withTags(patch("c1", 4, "r2", nil), map[string]bool{"one more": true}))
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeRecordTooLarge)
		if got.Error.Path != "/tags" {
			t.Errorf("path %q", got.Error.Path)
		}
		d.apply(withVotes(put("c1", 5, "r3", nil), math.MaxFloat64))
		wantStatus(t, d.apply(withVotes(patch("c1", 6, "r3", nil), math.MaxFloat64)), protocol.StatusRejected, protocol.CodeInvalidMutation)
	})
	t.Run("[R7] what a refusal says is bounded, and still UTF-8", func(t *testing.T) {
		if got := cut(strings.Repeat("é", 300), 300); len(got) > 300 || !strings.HasSuffix(got, "é…") {
			t.Errorf("%d bytes: %s", len(got), got)
		}
		names := strings.Split(strings.Repeat(strings.Repeat("n", 100)+",", 20), ",")
		if got := cutLost(names); len(got) != 10 {
			t.Errorf("%d names", len(got))
		}
	})
}

func TestDecodeValue(t *testing.T) {
	t.Run("a field's plain form is what encoding/json makes of it", func(t *testing.T) {
		for _, raw := range []string{
			`""`, `"a"`, `"größer 😀"`, `"a\"b"`, `"\u00e9"`, `"\ud800"`, "\"\xff\"", `"\\"`,
			`0`, `-0`, `-1`, `12.5`, `1e3`, `1E-3`, `9007199254740993`, `1e400`, `-1e400`, `1e-400`,
			`true`, `false`, `null`, `[]`, `[1,"a"]`, `{}`, `{"a":1}`,
		} {
			var want any
			wantErr := json.Unmarshal([]byte(raw), &want)
			got, err := decodeValue(json.RawMessage(raw))
			if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %#v, %v; want %#v, %v", raw, got, err, want, wantErr)
			}
		}
	})
}
