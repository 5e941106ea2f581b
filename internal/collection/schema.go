package collection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A Schema says what the records of a collection look like. It is immutable and
// may be used concurrently.
type Schema struct {
	compiled *jsonschema.Schema
	kinds    map[string]kind // of the properties that the schema names
	quick    *quickSchema    // nil when it would know nothing
}

// kind is how a name of a record merges.
type kind uint8

const (
	kindField   kind = iota // newest write wins
	kindSet                 // per element, newest write wins
	kindCounter             // adds
)

func (k kind) String() string { return [...]string{"field", "set", "counter"}[k] }

// CompileSchema reads a JSON Schema (draft 2020-12 unless it names another; with
// "format" checked) for the records of the named collection. It must be
// self-contained, and describes what an app sees: fields by name, sets as
// arrays, counters as numbers.
//
// A property at the top level merges as a set with "x-chorale": "set" (on
// arrays) and as a counter with "x-chorale": "counter" (on numbers), otherwise
// as a field. Names that the schema does not mention are what their first use
// made of them.
func CompileSchema(name string, text []byte) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	kinds, err := schemaKinds(doc)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	const url = "chorale:schema"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	compiled, err := compiler.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	return &Schema{compiled: compiled, kinds: kinds, quick: newQuickSchema(compiled, kinds)}, nil
}

// noLoader keeps a schema from reading files or the network.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: a schema must be self-contained", url)
}

// schemaKinds reads x-chorale off the properties, and refuses properties that
// no client could write.
func schemaKinds(doc any) (map[string]kind, error) {
	root, _ := doc.(map[string]any)
	properties, _ := root["properties"].(map[string]any)
	kinds := make(map[string]kind, len(properties))
	for name, p := range properties {
		if err := checkName(name); err != "" {
			return nil, fmt.Errorf("property %.64q: %s", name, err)
		}
		property, _ := p.(map[string]any)
		switch mark, marked := property["x-chorale"]; {
		case !marked:
			kinds[name] = kindField
		case mark == "set" && property["type"] == "array":
			kinds[name] = kindSet
		case mark == "counter" && (property["type"] == "number" || property["type"] == "integer"):
			kinds[name] = kindCounter
		default:
			return nil, fmt.Errorf(`property %s: x-chorale: use "set" with type array, or "counter" with type number`, name)
		}
	}
	return kinds, nil
}

// kindOf says how a name merges. known is false when the schema leaves it to
// the first use, as a nil schema always does.
func (s *Schema) kindOf(name string) (k kind, known bool) {
	if s == nil {
		return 0, false
	}
	k, known = s.kinds[name]
	return k, known
}

// check validates a record's plain value. A nil schema takes all.
func (s *Schema) check(plain map[string]any) *fault {
	if s == nil {
		return nil
	}
	if err := s.compiled.Validate(plain); err != nil {
		return schemaFault(err)
	}
	return nil
}

// decodeValue makes the plain form of a field's JSON: nil, bool, float64,
// string, []any or map[string]any. raw is valid JSON.
//
// Most fields are a text without escapes or a number, which take a fifth of what
// encoding/json needs for them; every write decodes all fields of its record.
func decodeValue(raw json.RawMessage) (any, error) {
	switch {
	case isPlainText(raw):
		return string(raw[1 : len(raw)-1]), nil
	case isNumber(raw):
		return strconv.ParseFloat(string(raw), 64)
	}
	var v any
	err := json.Unmarshal(raw, &v)
	return v, err
}

// isPlainText says whether a text means what stands between its quotes.
func isPlainText(raw []byte) bool {
	return len(raw) >= 2 && raw[0] == '"' && raw[len(raw)-1] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw)
}

// isNumber: of what is valid JSON, only numbers begin like that.
func isNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') && raw[len(raw)-1] >= '0'
}
