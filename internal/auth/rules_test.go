package auth

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// exampleRules is the file that the design shows, and more.
const exampleRules = `
channels:
  - match: "interview:{id}"
    join:     'claims.role == "authenticated"'
    publish:  'true'
    history:  {messages: 1000, bytes: 8MiB, age: 24h, durability: os}
    collections:
      notes:
        schema: schemas/note.json
        write: 'record == null || record.createdBy == claims.sub || claims.role == "editor"'
      secrets:
        read: 'claims.clearance >= 3'
        write: 'claims.clearance >= 3 && mutation.op != "delete"'
      open: {write: true}

  - match: "user:{sub}:{rest*}"
    join: 'sub == claims.sub && params.sub == claims.sub && channel.startsWith("user:")'
    presence: 'false'

  - match: "{name*}"
    join: 'name.size() < 5'
    publish: '"b" in claims.groups'
    persist: 'claims.role == "authenticated"'
`

var exampleFiles = fstest.MapFS{"schemas/note.json": {Data: []byte(`{"type":"object"}`)}}

func exampleMatch(t testing.TB, channel string) *Match {
	t.Helper()
	m, ok := must(ParseRules("rules.yaml", []byte(exampleRules), exampleFiles)).Match(channel)
	if !ok {
		t.Fatalf("no rule matches %q", channel)
	}
	return m
}

func identity(role string, claims map[string]any) *Identity {
	all := map[string]any{"sub": "user-7", "role": role}
	for k, v := range claims {
		all[k] = v
	}
	return &Identity{Subject: "user-7", Role: role, Claims: all, ExpiresAt: noon}
}

func TestMay(t *testing.T) {
	t.Parallel()
	member, guest := identity("authenticated", nil), identity("guest", nil)
	grouped := identity("guest", map[string]any{"groups": []any{"a", "b"}})
	for _, c := range []struct {
		name, channel string
		op            Op
		id            *Identity
		allowed       bool
		line          int
	}{
		{"a condition over claims allows", "interview:42", Join, member, true, 4},
		{"a condition over claims denies", "interview:42", Join, guest, false, 4},
		{"presence defaults to join", "interview:42", Presence, member, true, 4},
		{"presence defaults to join, refused too", "interview:42", Presence, guest, false, 4},
		{"history defaults to join", "interview:42", ReadHistory, member, true, 4},
		{"history defaults to join, refused too", "interview:42", ReadHistory, guest, false, 4},
		{"presence of its own counts alone", "user:user-7:x", Presence, member, false, 18},
		{"persist defaults to publish", "interview:42", Persist, guest, true, 5},
		{"persist defaults to publish, denied too", "user:user-7:x", Persist, member, false, 16},
		{"persist of its own counts alone", "any", Persist, grouped, false, 23},
		{"a constant allows", "interview:42", Publish, guest, true, 5},
		{"what is not mentioned is denied", "user:user-7:x", Publish, member, false, 16},
		{"bound names, params and channel are there", "user:user-7:a:b", Join, member, true, 17},
		{"bound names differ from claims", "user:user-8:a:b", Join, member, false, 17},
		{"the first rule that matches decides alone", "interview:1", Publish, nil, true, 5},
		{"a later rule takes the rest", "any", Join, guest, true, 21},
		{"lists of claims can be searched", "any", Publish, grouped, true, 22},
		{"a missing claim denies", "any", Publish, guest, false, 22},
		{"nobody has no claims", "interview:42", Join, nil, false, 4},
		{"an identity without claims has none", "interview:42", Join, &Identity{Role: "authenticated"}, false, 4},
		{"an operation on collections needs one", "interview:42", Write, member, false, 3},
	} {
		t.Run("[R7] "+c.name, func(t *testing.T) {
			d := exampleMatch(t, c.channel).May(c.op, c.id)
			if d.Allowed != c.allowed || d.Line != c.line {
				t.Errorf("decision is %s", d)
			}
		})
	}
}

func TestMayReadHistory(t *testing.T) {
	rules, err := ParseRules("r.yaml", []byte("channels:\n- match: x\n  join: 'true'\n  history:\n    messages: 10\n    read: 'claims.role == \"authenticated\"'"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := rules.Match("x")
	for role, allowed := range map[string]bool{"authenticated": true, "guest": false} {
		t.Run("[R7] a condition of its own counts alone, for a "+role, func(t *testing.T) {
			d := m.May(ReadHistory, identity(role, nil))
			if d.Allowed != allowed || d.Line != 6 {
				t.Errorf("decision is %s", d)
			}
			if want := `The rule for "x" does not let you read the history of this channel`; !allowed && d.Reason() != want {
				t.Errorf("%q, want %q", d.Reason(), want)
			}
		})
	}
}

func TestMayWriteAndRead(t *testing.T) {
	t.Parallel()
	m := exampleMatch(t, "interview:42")
	author, other := identity("authenticated", nil), identity("authenticated", map[string]any{"sub": "user-8"})
	record := map[string]any{"createdBy": "user-7", "content": "…"}
	put, del := map[string]any{"op": "put"}, map[string]any{"op": "delete"}

	for _, c := range []struct {
		name, collection string
		id               *Identity
		record, mutation map[string]any
		allowed          bool
	}{
		{"a new record has no author", "notes", other, nil, put, true},
		{"an author changes an own record", "notes", author, record, put, true},
		{"somebody else does not", "notes", other, record, put, false},
		{"an editor does", "notes", identity("editor", map[string]any{"sub": "user-9"}), record, put, true},
		{"whole numbers compare with numbers", "secrets", identity("x", map[string]any{"clearance": int64(3)}), nil, put, true},
		{"decimals compare with numbers", "secrets", identity("x", map[string]any{"clearance": 2.5}), nil, put, false},
		{"the mutation can be asked", "secrets", identity("x", map[string]any{"clearance": 3.0}), nil, del, false},
		{"an unquoted true is a condition", "open", nil, nil, put, true},
		{"a collection that the rule does not have is closed", "boards", author, nil, put, false},
	} {
		t.Run("[R7] [M5] "+c.name, func(t *testing.T) {
			if d := m.MayWrite(c.collection, c.id, Record(c.record), PlainMutation(c.mutation)); d.Allowed != c.allowed {
				t.Errorf("decision is %s", d)
			}
		})
	}

	t.Run("[R7] reading is allowed unless a condition says otherwise", func(t *testing.T) {
		for collection, want := range map[string]bool{"notes": true, "open": true, "secrets": false, "boards": false} {
			if d := m.MayRead(collection, author); d.Allowed != want {
				t.Errorf("decision is %s", d)
			}
		}
		if d := m.MayRead("secrets", identity("x", map[string]any{"clearance": 4})); !d.Allowed {
			t.Errorf("decision is %s", d)
		}
	})
}

func TestDecision(t *testing.T) {
	t.Parallel()
	m := exampleMatch(t, "interview:42")

	t.Run("[R7] a condition that cannot be evaluated denies and says so", func(t *testing.T) {
		d := m.MayWrite("notes", identity("guest", nil), Record(map[string]any{"content": "private words"}), Mutation{})
		if d.Allowed || d.Err == nil || !strings.Contains(d.Err.Error(), "createdBy") {
			t.Errorf("decision is %+v", d)
		}
		want := `The rule for "interview:{id}" does not let you write this record of the collection "notes": its condition could not be evaluated`
		if d.Reason() != want {
			t.Errorf("reason is %q", d.Reason())
		}
	})

	t.Run("a record is made when the condition looks at it, and once", func(t *testing.T) {
		rules := must(ParseRules("r", []byte(`channels: [{match: c, collections: {n: {write: 'mutation.op != "delete" || (record.a == 1 && record.b == 2)'}}}]`), nil))
		m, _ := rules.Match("c")
		made := 0
		record := func() map[string]any { made++; return map[string]any{"a": 1, "b": 2} }
		if d := m.MayWrite("n", nil, record, Mutation{Op: "patch"}); !d.Allowed || made != 0 {
			t.Errorf("decision is %s, made %d times", d, made)
		}
		if d := m.MayWrite("n", nil, record, Mutation{Op: "delete"}); !d.Allowed || made != 1 {
			t.Errorf("decision is %s, made %d times", d, made)
		}
	})

	t.Run("a mutation whose parts are named is what it is as a whole, and is made for who asks for more", func(t *testing.T) {
		plain := map[string]any{
			"op": "patch", "collection": "n", "record": "r1",
			"fields": map[string]any{"content": "a"}, "sets": map[string]any{"tags": map[string]any{"x": true}}, "counters": map[string]any{},
		}
		for condition, want := range map[string]int{ // how often the whole is made
			`mutation.op == "patch" && mutation.collection == "n" && mutation["record"] == "r1"`: 0,
			`has(mutation.op) && "op" in mutation && !("colour" in mutation)`:                    1,
			`mutation.fields.content == "a" && mutation.sets.tags["x"] && mutation.op != "put"`:  1,
			`mutation.size() == 6 && mutation.all(name, name != "id")`:                           1,
			`mutation == {"op": "patch"} || mutation.colour == "red"`:                            1,
			`type(mutation) == map && mutation.counters == {}`:                                   1,
		} {
			rules := must(ParseRules("r", fmt.Appendf(nil, "channels: [{match: c, collections: {n: {write: '%s'}}}]", condition), nil))
			m, _ := rules.Match("c")
			made := 0
			named := Mutation{Op: "patch", Collection: "n", Record: "r1", Whole: func() map[string]any { made++; return plain }}
			got, whole := m.MayWrite("n", nil, nil, named), m.MayWrite("n", nil, nil, PlainMutation(plain))
			if got.Allowed != whole.Allowed || fmt.Sprint(got.Err) != fmt.Sprint(whole.Err) || made != want {
				t.Errorf("%s: %s, made %d times; as a whole %s", condition, got, made, whole)
			}
			if got.Err == nil && !got.Allowed {
				t.Errorf("%s is false", condition)
			}
		}
	})

	t.Run("[R7] a condition that costs too much denies", func(t *testing.T) {
		rules := must(ParseRules("r", []byte(`channels: [{match: c, collections: {n: {write: 'record.tags.all(a, record.tags.all(b, a != b || a == b))'}}}]`), nil))
		m, _ := rules.Match("c")
		few, many := make([]any, 10), make([]any, 5000)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		copy(few, many)
		if d := m.MayWrite("n", nil, Record(map[string]any{"tags": few}), Mutation{}); !d.Allowed {
			t.Errorf("decision is %s", d)
		}
		if d := m.MayWrite("n", nil, Record(map[string]any{"tags": many}), Mutation{}); d.Allowed || !strings.Contains(d.Err.Error(), "cost limit") {
			t.Errorf("decision is %s", d)
		}
	})

	t.Run("the reason names the permission, the text the line", func(t *testing.T) {
		for _, c := range []struct {
			d            Decision
			reason, text string
		}{
			{m.May(Join, identity("guest", nil)), `The rule for "interview:{id}" does not let you join this channel`,
				`join in "interview:42" denied by rules.yaml:4 (interview:{id}): claims.role == "authenticated"`},
			{m.May(Publish, nil), "", `publish in "interview:42" allowed by rules.yaml:5 (interview:{id}): true`},
			{m.MayRead("boards", nil), `The rule for "interview:{id}" does not let you read the collection "boards"`,
				`read boards in "interview:42" denied by rules.yaml:3 (interview:{id}): no condition allows it`},
			{NoRule(Presence, "x"), "No rule lets you be present in this channel", `presence in "x" denied: no rule matches`},
		} {
			if c.d.Reason() != c.reason || c.d.String() != c.text {
				t.Errorf("got %q and\n%s", c.d.Reason(), c.d)
			}
		}
	})
}

func TestParseRules(t *testing.T) {
	t.Parallel()

	t.Run("a file says what it means", func(t *testing.T) {
		m := exampleMatch(t, "interview:42")
		r := m.Rule()
		if want := (History{Messages: 1000, Bytes: 8 << 20, Age: 24 * time.Hour, Durability: "os"}); r.History != want {
			t.Errorf("history is %+v", r.History)
		}
		notes := r.Collections["notes"]
		if len(r.Collections) != 3 || string(notes.Schema) != `{"type":"object"}` || notes.SchemaFile != "schemas/note.json" ||
			notes.Line != 8 || notes.Name != "notes" {
			t.Errorf("collections are %+v", r.Collections)
		}
	})

	t.Run("[R2] a channel with collections is os without being told, another one memory", func(t *testing.T) {
		rules := must(ParseRules("r", []byte("channels: [{match: a, collections: {n: {}}}, {match: b}, {match: c, history: {durability: disk}}]"), nil))
		for i, want := range []string{"os", "memory", "disk"} {
			if got := rules.All()[i].History.Durability; got != want {
				t.Errorf("rule %d is %q", i, got)
			}
		}
	})

	t.Run("a schema may stand in the file, and an alias may repeat it", func(t *testing.T) {
		rules := must(ParseRules("r", []byte(`
channels:
  - match: a
    collections:
      n: {schema: &s {type: object, required: [x]}}
      m: {schema: *s}
`), nil))
		for _, c := range rules.All()[0].Collections {
			if string(c.Schema) != `{"required":["x"],"type":"object"}` || c.SchemaFile != "" {
				t.Errorf("%s: %s from %q", c.Name, c.Schema, c.SchemaFile)
			}
		}
	})

	t.Run("no rules match nothing", func(t *testing.T) {
		var none *Rules
		if _, ok := none.Match("x"); ok || none.All() != nil {
			t.Error("they do")
		}
		if _, ok := must(ParseRules("r", []byte("channels: []"), nil)).Match("x"); ok {
			t.Error("they do")
		}
	})

}

func TestBoundNames(t *testing.T) {
	t.Parallel()
	t.Run("words that mean something else are bound under params only", func(t *testing.T) {
		for _, name := range []string{
			"claims", "params", "channel", "record", "mutation", "as", "break", "const", "continue", "else", "false", "for",
			"function", "if", "import", "in", "let", "loop", "package", "namespace", "null", "return", "true", "var", "void",
			"while", "bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint", "timestamp", "size",
		} {
			src := fmt.Sprintf(`channels: [{match: "x:{%s}", join: 'params["%s"] == "1" && claims.sub == "user-7"'}]`, name, name)
			rules, err := ParseRules("r", []byte(src), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			m, _ := rules.Match("x:1")
			if d := m.May(Join, identity("a", nil)); !d.Allowed {
				t.Errorf("%s: %s: %v", name, d, d.Err)
			}
		}
	})
}

func TestParseRulesFaults(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"broken.json": {Data: []byte("{")}}
	for _, c := range []struct{ name, src, want string }{
		{"a broken pattern", "channels:\n- match: 'a{b'\n  join: 'true'", `r.yaml:2: channels[0] match: pattern "a{b": a { has no }`},
		{"a list for a pattern", "channels: [{match: [a]}]", "r.yaml:1: channels[0] match: must be a text"},
		{"a list for a condition", "channels: [{match: a, join: [b]}]", "r.yaml:1: channels[0] (a) join: must be a text"},
		{"a list for a bound", "channels: [{match: a, history: {age: [1h]}}]", "r.yaml:1: channels[0] (a) history.age: must be a text"},
		{"a list for collections", "channels: [{match: a, collections: [n]}]", "channels[0] (a) collections: must be a mapping, key: value"},
		{"a key that is no text", "channels: [{match: a, [b]: c}]", `channels[0]: key "" is there twice, or is no plain text`},
		{"an absolute path", "channels: [{match: x, collections: {n: {schema: /s.json}}}]", "/s.json: must be a path below"},
		{"an empty file", "", "r.yaml: the file is empty: it needs a list of channels"},
		{"broken YAML", "channels: [", "r.yaml: yaml: "},
		{"two documents", "channels: []\n---\nchannels: []", "r.yaml: one document is enough: remove what follows ---"},
		{"no channels", "{}", "r.yaml:1: rules: channels is missing"},
		{"a list at the top", "- match: x", "r.yaml:1: rules: must be a mapping with channels"},
		{"channels that are no list", "channels: {}", "r.yaml:1: channels: must be a list of rules"},
		{"a rule that is no mapping", "channels: [x]", "r.yaml:1: channels[0]: must be a mapping with match, join, publish"},
		{"no pattern", "channels: [{join: 'true'}]", "r.yaml:1: channels[0]: match is missing: which channels is this rule for?"},
		{"a typing error", "channels:\n- match: x\n  pubish: 'true'", `r.yaml:3: channels[0]: unknown key "pubish": did you mean publish?`},
		{"an invented key", "channels:\n- match: x\n  colour: red", `unknown key "colour": possible are match, join, publish, persist, presence, history, limits, collections`},
		{"a key that is there twice", "channels:\n- match: x\n  join: 'true'\n  join: 'false'", `"join"`},
		{"an unknown variable", "channels:\n- match: x\n- match: 'interview:{id}'\n  collections:\n    notes:\n      write: 'recrd == null'",
			"r.yaml:6: channels[1] (interview:{id}) collections.notes.write: undeclared reference to 'recrd' (did you mean 'record'?) (at character 1) in `recrd == null`"},
		{"a record in a condition that has none", "channels: [{match: x, join: 'record == null'}]",
			"r.yaml:1: channels[0] (x) join: undeclared reference to 'record' (at character 1) in `record == null`"},
		{"a condition that is no bool", "channels: [{match: x, join: '1 + 1'}]", "channels[0] (x) join: it is a int and not a bool in `1 + 1`"},
		{"a condition of any type", "channels: [{match: x, join: 'claims.admin'}]", "join: its type is known only when it runs: compare it with something, as in `… == true` in `claims.admin`"},
		{"broken CEL", "channels: [{match: x, join: 'claims.role =='}]", "channels[0] (x) join: Syntax error: "},
		{"a constant that fails", "channels: [{match: x, join: '1 / 0 == 1'}]", "channels[0] (x) join: division by zero in `1 / 0 == 1`"},
		{"an empty condition", "channels: [{match: x, join: }]", "channels[0] (x) join: must be a text (leave the key out for the default)"},
		{"an endless condition", "channels: [{match: x, join: '" + strings.Repeat("!", 5000) + "true'}]", "channels[0] (x) join: "},
		{"two rules for the same", "channels:\n- match: 'a:{x}'\n- match: 'a:{y}'", "r.yaml:3: channels[1] (a:{y}): never used: line 2 (a:{x}) matches all these channels first"},
		{"a rule after the rest", "channels:\n- match: 'a:{x*}'\n- match: 'a:b:{y}'", "r.yaml:3: channels[1] (a:b:{y}): never used: line 2 (a:{x*}) matches"},
		{"no number", "channels: [{match: x, history: {messages: many}}]", `channels[0] (x) history.messages: "many": must be a whole number above 0`},
		{"zero messages", "channels: [{match: x, history: {messages: 0}}]", `history.messages: "0": must be a whole number above 0`},
		{"no size", "channels: [{match: x, history: {bytes: 8Mi}}]", `history.bytes: "8Mi": must be a size such as 8MiB`},
		{"a size beyond counting", "channels: [{match: x, history: {bytes: 9999999999GiB}}]", `must be a size such as 8MiB`},
		{"no time", "channels: [{match: x, history: {age: -1h}}]", `history.age: "-1h": must be a time such as 90m, 24h or 7d`},
		{"days beyond counting", "channels: [{match: x, history: {age: 999999999d}}]", `must be a time such as 90m, 24h or 7d`},
		{"no durability", "channels: [{match: x, history: {durability: ram}}]", `history.durability: "ram": must be memory, os or disk`},
		{"[R2] records in memory", "channels: [{match: x, history: {durability: memory}, collections: {n: {}}}]",
			"channels[0] (x) history.durability: a channel with collections is os or disk: a record must outlive the process (promise R2)"},
		{"a name with a space", "channels: [{match: x, collections: {'a b': {}}}]", `channels[0] (x) collections: "a b" is no name for a collection`},
		{"a schema that is not there", "channels: [{match: x, collections: {n: {schema: none.json}}}]", "channels[0] (x) collections.n.schema: open none.json: file does not exist"},
		{"a schema that is not JSON", "channels: [{match: x, collections: {n: {schema: broken.json}}}]", "collections.n.schema: broken.json: not JSON: "},
		{"a schema outside", "channels: [{match: x, collections: {n: {schema: ../etc/x.json}}}]", "../etc/x.json: must be a path below the directory of the rules file"},
		{"a schema with keys that JSON lacks", "channels: [{match: x, collections: {n: {schema: {a: {1: 2}}}}}]", "collections.n.schema: cannot be written as JSON"},
		{"a list for a schema", "channels: [{match: x, collections: {n: {schema: []}}}]", "collections.n.schema: must be a text"},
	} {
		t.Run(c.name+" is named with its place", func(t *testing.T) {
			_, err := ParseRules("r.yaml", []byte(c.src), files)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:  %v\nwant: %s", err, c.want)
			}
		})
	}

	t.Run("a schema needs a directory to be found in", func(t *testing.T) {
		_, err := ParseRules("r.yaml", []byte("channels: [{match: x, collections: {n: {schema: s.json}}}]"), nil)
		if err == nil || !strings.Contains(err.Error(), "collections.n.schema: s.json: no directory for schemas was given") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("all faults are named, in order", func(t *testing.T) {
		_, err := ParseRules("r.yaml", []byte("channels:\n- match: x\n  join: 'a'\n  publish: 'b'\n- match: y\n  foo: 1\n"), nil)
		var lines []string
		for line := range strings.Lines(err.Error()) {
			lines = append(lines, line[:len("r.yaml:3")])
		}
		if got := strings.Join(lines, " "); got != "r.yaml:3 r.yaml:4 r.yaml:6" {
			t.Errorf("got %s from\n%v", got, err)
		}
	})
}

func BenchmarkMay(b *testing.B) {
	m := exampleMatch(b, "interview:42")
	id := identity("authenticated", nil)
	b.Run("claims", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !m.May(Join, id).Allowed {
				b.Fatal("denied")
			}
		}
	})
	b.Run("constant", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.May(Publish, id)
		}
	})
	b.Run("names", func(b *testing.B) {
		m := exampleMatch(b, "user:user-7:x")
		b.ReportAllocs()
		for b.Loop() {
			if !m.May(Join, id).Allowed {
				b.Fatal("denied")
			}
		}
	})
}

func BenchmarkMayWrite(b *testing.B) {
	m := exampleMatch(b, "interview:42")
	id := identity("editor", map[string]any{"sub": "user-9"})
	record := map[string]any{"createdBy": "user-7", "content": "Pricing page is confusing"}
	mutation := Mutation{Op: "patch"}
	b.ReportAllocs()
	for b.Loop() {
		if !m.MayWrite("notes", id, Record(record), mutation).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	rules := must(ParseRules("rules.yaml", []byte(exampleRules), exampleFiles))
	b.ReportAllocs()
	for b.Loop() {
		rules.Match("interview:42")
	}
}
