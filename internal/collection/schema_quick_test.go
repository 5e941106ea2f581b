package collection

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chorale-rt/chorale/protocol"
	"github.com/chorale-rt/chorale/web/notes"
)

// wholeSchemaTakes is the verdict that a quick one has to agree with.
func wholeSchemaTakes(s *Schema, rec *protocol.Record) bool {
	plain, f := plainOf(s, rec, 0)
	return f == nil && s.check(plain) == nil
}

func TestQuickSchema(t *testing.T) {
	t.Run("[M5] it takes no record that the whole schema refuses", func(t *testing.T) {
		records := quickRecords()
		taken, judged := 0, 0
		for _, text := range quickSchemas() {
			schema, err := CompileSchema("notes", []byte(text))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			for _, rec := range records {
				judged++
				if !schema.quick.accepts(rec) {
					continue
				}
				if taken++; !wholeSchemaTakes(schema, rec) {
					t.Errorf("%s takes %s", text, mustJSON(t, rec))
				}
			}
		}
		if taken*8 < judged {
			t.Errorf("%d of %d records were taken: that says little", taken, judged)
		}
	})
	t.Run("what people write in the app needs no whole schema", func(t *testing.T) {
		text, err := fs.ReadFile(notes.Schemas(), "schemas/note.json")
		if err != nil {
			t.Fatal(err)
		}
		schema, err := CompileSchema("notes", text)
		if err != nil {
			t.Fatal(err)
		}
		rec := &protocol.Record{Fields: fields("content", "\"größer\",\nsaid Ada", "timestampMs", 61000, "authorName", "Ada", "kind", "quote")}
		if !schema.quick.accepts(rec) {
			t.Error("a note goes to the whole schema")
		}
		rec.Sets = map[string][]string{"tags": {"a", "größer"}}
		if !schema.quick.accepts(rec) {
			t.Error("a note with tags goes to the whole schema")
		}
		if n := testing.AllocsPerRun(100, func() { schema.quick.accepts(rec) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// quickSchemas are schemas of a property x with every pair of keywords, and those
// of the record with every one of them.
func quickSchemas() (all []string) {
	shapes := map[string][]string{
		`"title":"A"`: {
			`"type":"string"`, `"type":"integer"`, `"type":"number"`, `"type":"boolean"`, `"type":"array"`, `"type":["string","integer","null"]`,
			`"enum":["a",1,true]`, `"const":"a"`, `"minLength":2`, `"maxLength":2`, `"minimum":1`, `"maximum":1`, `"minimum":0.5`, `"exclusiveMinimum":0`,
			`"multipleOf":2`, `"format":"date"`, `"pattern":"^a"`, `"not":{"type":"string"}`, `"maxItems":1`, `"$ref":"#/$defs/word"`,
		},
		`"type":"array","x-chorale":"set"`: {
			`"minItems":1`, `"maxItems":1`, `"uniqueItems":true`, `"items":{"type":"string","maxLength":1}`, `"items":{"type":"integer"}`,
			`"items":{"enum":["a","b"]}`, `"items":{"minimum":1}`, `"items":false`, `"enum":[["a"]]`, `"contains":{"const":"a"}`, `"minLength":2`,
		},
		`"type":"integer","x-chorale":"counter"`: {`"minimum":1`, `"maximum":1`, `"enum":[0,1]`, `"multipleOf":2`, `"maxLength":2`},
		`"type":"number","x-chorale":"counter"`:  {`"minimum":1`, `"maximum":1`, `"maximum":0.5`, `"exclusiveMaximum":1`},
	}
	more := []string{
		`"additionalProperties":false`, `"additionalProperties":true`, `"additionalProperties":{"type":"string"}`, `"required":["x"]`,
		`"required":["y"],"additionalProperties":false`, `"minProperties":2`, `"type":"object"`, `"type":"array"`, `"propertyNames":{"maxLength":0}`,
	}
	schema := func(keywords ...string) string {
		return `{"properties":{"x":{` + strings.Join(keywords, ",") + `}},"$defs":{"word":{"minLength":1}}`
	}
	for shape, keywords := range shapes {
		for i, one := range keywords {
			for _, other := range keywords[:i] {
				if name(one) != name(other) {
					all = append(all, schema(shape, one, other)+"}")
				}
			}
			for _, m := range more {
				all = append(all, schema(shape, one)+","+m+"}")
			}
		}
	}
	return all
}

func name(keyword string) string {
	name, _, _ := strings.Cut(keyword, ":")
	return name
}

// quickRecords are records with x and y as all that they can be.
func quickRecords() []*protocol.Record {
	all := []*protocol.Record{{}}
	for _, of := range [][]string{{"x"}, {"y"}, {"x", "y"}} {
		for _, value := range []string{
			`""`, `"a"`, `"b"`, `"abc"`, `"größer"`, `"\n\""`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"a\u0062"`, `"\u0061bc"`, `"a\\bc"`, `"a\nb"`,
			`0`, `-0`, `1`, `-1`, `2`, `2.0`, `2.5`, `1e0`, `123456789012345`, `12345678901234567890`, `1e999`,
			`true`, `false`, `null`, `[]`, `["a"]`, `["a","a"]`, `{}`,
		} {
			rec := &protocol.Record{Fields: map[string]json.RawMessage{}}
			for _, name := range of {
				rec.Fields[name] = json.RawMessage(value)
			}
			all = append(all, rec)
		}
		for _, elements := range [][]string{{}, {"a"}, {"b"}, {"abc"}, {"größer"}, {"a", "b"}, {"a", "abc"}} {
			rec := &protocol.Record{Sets: map[string][]string{}}
			for _, name := range of {
				rec.Sets[name] = elements
			}
			all = append(all, rec)
		}
		for _, total := range []float64{0, -1, 1, 2, 2.5, 1e15, 1e300} {
			rec := &protocol.Record{Counters: map[string]float64{}}
			for _, name := range of {
				rec.Counters[name] = total
			}
			all = append(all, rec)
		}
	}
	return all
}

func FuzzQuickSchema(f *testing.F) {
	f.Add(`{"type":"string","maxLength":3}`, []byte(`"a\nb"`))
	f.Add(`{"type":"integer","minimum":0,"maximum":86400000}`, []byte(`61000`))
	f.Add(`{"enum":["note","quote"]}`, []byte(`"note"`))
	f.Fuzz(func(t *testing.T, property string, value []byte) {
		if !json.Valid(value) || !utf8.Valid(value) {
			return
		}
		schema, err := CompileSchema("notes", fmt.Appendf(nil, `{"properties":{"x":%s}}`, property))
		if err != nil {
			return
		}
		rec := &protocol.Record{Fields: map[string]json.RawMessage{"x": value}}
		if schema.quick.accepts(rec) && !wholeSchemaTakes(schema, rec) {
			t.Fatalf("%s takes %s", property, value)
		}
	})
}
