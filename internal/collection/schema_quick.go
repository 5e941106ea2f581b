package collection

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/chorale-rt/chorale/protocol"
)

// A quickSchema knows of most records that satisfy a schema that they do, and
// claims it of none that does not. What it cannot tell is for the whole schema,
// which also has the words for a refusal.
//
// Nearly every write is valid, and made of texts and whole numbers. Those it looks
// at where they are; the whole schema needs a decoded copy of the record, and with
// that took a third of the time and of the garbage of a write.
type quickSchema struct {
	properties map[string]*quickProperty
	required   []string
	unwritten  []string // sets and counters, which are there before anybody wrote them
	more       bool     // names that the schema does not mention may be there
}

// A quickProperty knows valid values of one property: those of a type that it was
// compiled for. The zero value knows none. It is immutable.
type quickProperty struct {
	kind               kind
	text               quickText
	truth              bool // true and false are valid
	whole              bool // whole numbers may be valid
	minimum, maximum   int64
	list               bool // sets may be valid
	minItems, maxItems int
	element            quickText // of a set
}

// A quickText knows valid texts.
type quickText struct {
	may         bool     // there are any
	words       []string // which; nil for all
	least, most int      // characters
}

// newQuickSchema returns nil for a schema of which it does not understand all.
func newQuickSchema(s *jsonschema.Schema, kinds map[string]kind) *quickSchema {
	if !onlyHas(s, "Types", "Required", "Properties", "AdditionalProperties") || !allows(s, "object") {
		return nil
	}
	q := &quickSchema{properties: make(map[string]*quickProperty, len(kinds)), required: s.Required, more: true}
	switch more := s.AdditionalProperties.(type) {
	case nil:
	case bool:
		q.more = more
	default:
		return nil
	}
	for name, property := range s.Properties {
		p := newQuickProperty(property)
		p.kind = kinds[name]
		q.properties[name] = p
		if p.kind != kindField {
			q.unwritten = append(q.unwritten, name)
		}
	}
	return q
}

func newQuickProperty(s *jsonschema.Schema) *quickProperty {
	p := new(quickProperty)
	if !onlyHas(s, "Types", "Enum", "MinLength", "MaxLength", "Minimum", "Maximum", "MinItems", "MaxItems", "UniqueItems", "Items2020") {
		return p
	}
	p.text = newQuickText(s)
	if s.Enum != nil {
		return p
	}
	p.truth = allows(s, "boolean")
	p.minimum, p.maximum = math.MinInt64, math.MaxInt64
	p.whole = (allows(s, "integer") || allows(s, "number")) && bound(s.Minimum, &p.minimum) && bound(s.Maximum, &p.maximum)
	p.list, p.minItems, p.maxItems = allows(s, "array"), orElse(s.MinItems, 0), orElse(s.MaxItems, math.MaxInt)
	switch {
	case s.Items2020 == nil:
		p.element = quickText{may: true, most: math.MaxInt}
	case onlyHas(s.Items2020, "Types", "Enum", "MinLength", "MaxLength"):
		p.element = newQuickText(s.Items2020)
	}
	return p
}

func newQuickText(s *jsonschema.Schema) quickText {
	t := quickText{may: allows(s, "string"), least: orElse(s.MinLength, 0), most: orElse(s.MaxLength, math.MaxInt)}
	if s.Enum != nil {
		t.words = []string{}
		for _, v := range s.Enum.Values {
			if word, ok := v.(string); ok {
				t.words = append(t.words, word)
			}
		}
	}
	return t
}

func orElse(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}

// bound reads a bound that is a whole number, or none.
func bound(r *big.Rat, into *int64) bool {
	switch {
	case r == nil:
		return true
	case !r.IsInt() || !r.Num().IsInt64():
		return false
	}
	*into = r.Num().Int64()
	return true
}

func allows(s *jsonschema.Schema, name string) bool {
	return s.Types == nil || slices.Contains(s.Types.ToStrings(), name)
}

// silent keywords say nothing about which values are valid.
var silent = []string{
	"DraftVersion", "Location", "ID", "Anchor", "DynamicAnchor", "RecursiveAnchor",
	"Title", "Description", "Default", "Comment", "ReadOnly", "WriteOnly", "Examples", "Deprecated",
}

// onlyHas says whether a schema has no keywords but those named, and silent ones.
// It asks the type which there are, so that one that the library learns of is one
// that is not understood.
func onlyHas(s *jsonschema.Schema, understood ...string) bool {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && !v.Field(i).IsZero() && !slices.Contains(understood, field.Name) && !slices.Contains(silent, field.Name) {
			return false
		}
	}
	return true
}

// accepts says whether a record is known to satisfy the schema.
func (q *quickSchema) accepts(rec *protocol.Record) bool {
	if q == nil {
		return false
	}
	for name, raw := range rec.Fields {
		if p, declared := q.properties[name]; !declared && !q.more || !p.orAny().acceptsField(raw) {
			return false
		}
	}
	for name, elements := range rec.Sets {
		if p, declared := q.properties[name]; !declared && !q.more || declared && !p.acceptsSet(elements) {
			return false
		}
	}
	for name, total := range rec.Counters {
		if p, declared := q.properties[name]; !declared && !q.more || declared && !p.acceptsCounter(total) {
			return false
		}
	}
	return q.acceptsUnwritten(rec)
}

// acceptsUnwritten looks at what is not there, or only seems not to be.
func (q *quickSchema) acceptsUnwritten(rec *protocol.Record) bool {
	for _, name := range q.unwritten {
		p := q.properties[name]
		if p.kind == kindSet && !has(rec.Sets, name) && !p.acceptsSet(nil) || p.kind == kindCounter && !has(rec.Counters, name) && !p.acceptsCounter(0) {
			return false
		}
	}
	for _, name := range q.required {
		if !has(rec.Fields, name) && !has(rec.Sets, name) && !has(rec.Counters, name) && !slices.Contains(q.unwritten, name) {
			return false
		}
	}
	return true
}

// anyProperty is one about which a schema says nothing.
var anyProperty = newQuickProperty(&jsonschema.Schema{})

func (p *quickProperty) orAny() *quickProperty {
	if p == nil {
		return anyProperty
	}
	return p
}

func (p *quickProperty) acceptsField(raw json.RawMessage) bool {
	if p.kind != kindField || len(raw) == 0 {
		return false
	}
	switch raw[0] {
	case '"':
		return p.text.acceptsJSON(raw)
	case 't', 'f':
		return p.truth
	default:
		n, ok := wholeNumber(raw)
		return ok && p.acceptsNumber(n)
	}
}

// acceptsSet does not look for an element that is there twice: none is.
func (p *quickProperty) acceptsSet(elements []string) bool {
	if p.kind != kindSet || !p.list || len(elements) < p.minItems || len(elements) > p.maxItems {
		return false
	}
	for _, element := range elements {
		if !p.element.accepts(element) {
			return false
		}
	}
	return true
}

func (p *quickProperty) acceptsCounter(total float64) bool {
	const most = 1 << 53
	return p.kind == kindCounter && math.Trunc(total) == total && math.Abs(total) < most && p.acceptsNumber(int64(total))
}

func (p *quickProperty) acceptsNumber(n int64) bool {
	return p.whole && n >= p.minimum && n <= p.maximum
}

func (t *quickText) accepts(text string) bool {
	return t.acceptsLength(utf8.RuneCountInString(text)) && (t.words == nil || slices.Contains(t.words, text))
}

func (t *quickText) acceptsJSON(raw []byte) bool {
	length, escaped, ok := textLength(raw)
	if !ok || !t.acceptsLength(length) || t.words == nil {
		return ok && t.acceptsLength(length)
	}
	return !escaped && slices.ContainsFunc(t.words, func(word string) bool { return word == string(raw[1:len(raw)-1]) })
}

func (t *quickText) acceptsLength(n int) bool { return t.may && n >= t.least && n <= t.most }

// wholeNumber reads JSON's simplest numbers: so few digits that every way to hold
// them holds them exactly.
func wholeNumber(raw []byte) (n int64, ok bool) {
	const most = 15
	digits, negative := bytes.CutPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(digits) > most {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// textLength counts the characters of a JSON text. It leaves surrogates, of which
// two are one character, to who decodes.
func textLength(raw []byte) (n int, escaped, ok bool) {
	if len(raw) < 2 || raw[len(raw)-1] != '"' || !utf8.Valid(raw) {
		return 0, false, false
	}
	n = utf8.RuneCount(raw) - 2
	for rest := raw; ; escaped = true {
		at := bytes.IndexByte(rest, '\\')
		switch {
		case at < 0:
			return n, escaped, true
		case rest[at+1] != 'u':
			n, rest = n-1, rest[at+2:]
		case len(rest) < at+6 || rest[at+2]|0x20 == 'd' && rest[at+3] > '7':
			return 0, true, false
		default:
			n, rest = n-5, rest[at+6:]
		}
	}
}
