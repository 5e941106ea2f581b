package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
)

var collectionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// ParseRules reads a rules file. name is the file's name for errors, src its
// content, and files is where schemas are found (nil when there are none):
// paths in the file are relative to its root.
//
// The error names every fault in the file, one per line, each with file, line,
// rule and, if it is about one, the condition:
//
//	rules.yaml:7: channels[1] (interview:{id}) collections.notes.write: undeclared reference to 'recrd' (did you mean 'record'?) (at character 1) in `recrd == null`
func ParseRules(name string, src []byte, files fs.FS) (*Rules, error) {
	root, err := parseYAML(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	base, err := baseEnv()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &rulesParser{yamlReader: yamlReader{file: name}, files: files, base: base}
	rules := &Rules{file: name, rules: p.channels(root)}
	if err := p.err(); err != nil {
		return nil, err
	}
	return rules, nil
}

func parseYAML(src []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); err == io.EOF {
		return nil, errors.New("the file is empty: it needs a list of channels")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); err != io.EOF {
		return nil, errors.New("one document is enough: remove what follows ---")
	}
	return doc.Content[0], nil
}

type rulesParser struct {
	yamlReader
	files fs.FS
	base  *cel.Env
}

func (p *rulesParser) channels(root *yaml.Node) []*Rule {
	top := p.mapping(root, "rules", "channels")
	list := top["channels"]
	if list == nil {
		if top != nil {
			p.fault(root, "rules", "channels is missing")
		}
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		p.fault(list, "channels", "must be a list of rules")
		return nil
	}
	var rules []*Rule
	for i, node := range list.Content {
		rule := p.rule(deref(node), fmt.Sprintf("channels[%d]", i))
		if rule == nil {
			continue
		}
		for _, earlier := range rules {
			if earlier.pattern.covers(&rule.pattern) {
				p.fault(node, fmt.Sprintf("channels[%d] (%s)", i, rule.Pattern),
					"never used: line %d (%s) matches all these channels first", earlier.Line, earlier.Pattern)
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

// rule returns nil when there is not even a pattern.
func (p *rulesParser) rule(node *yaml.Node, where string) *Rule {
	keys := p.mapping(node, where, "match", "join", "publish", "persist", "presence", "history", "limits", "collections")
	if keys == nil {
		return nil
	}
	if keys["match"] == nil {
		p.fault(node, where, "match is missing: which channels is this rule for?")
		return nil
	}
	text, ok := p.scalar(keys["match"], where+" match")
	if !ok {
		return nil
	}
	pattern, err := parsePattern(text)
	if err != nil {
		p.fault(keys["match"], where+" match", "%v", err)
		return nil
	}
	where = fmt.Sprintf("%s (%s)", where, text)
	env, err := newCompiler(p.base, &pattern)
	if err != nil {
		p.fault(keys["match"], where, "%v", err)
		return nil
	}
	rule := &Rule{
		Pattern: text, Line: node.Line, file: p.file, pattern: pattern,
		join:     p.condition(env.plain, keys["join"], where+" join"),
		publish:  p.condition(env.plain, keys["publish"], where+" publish"),
		persist:  p.condition(env.plain, keys["persist"], where+" persist"),
		presence: p.condition(env.plain, keys["presence"], where+" presence"),
	}
	if keys["persist"] == nil {
		rule.persist = rule.publish
	}
	if keys["presence"] == nil {
		rule.presence = rule.join
	}
	rule.Collections = p.collections(env, keys["collections"], where+" collections")
	rule.History, rule.history = p.history(env, keys["history"], where+" history", len(rule.Collections) > 0)
	if rule.history == nil {
		rule.history = rule.join
	}
	rule.Limits = p.limits(keys["limits"], where+" limits")
	return rule
}

// condition returns nil for an absent one.
func (p *rulesParser) condition(env *cel.Env, node *yaml.Node, where string) *condition {
	if node == nil {
		return nil
	}
	text, ok := p.scalar(node, where)
	if !ok {
		return nil
	}
	c, err := compile(env, text, node.Line)
	if err != nil {
		p.fault(node, where, "%v in `%s`", err, text)
	}
	return c
}

func (p *rulesParser) collections(env *compiler, node *yaml.Node, where string) map[string]*CollectionRule {
	if node == nil {
		return nil
	}
	all := make(map[string]*CollectionRule)
	for _, entry := range p.entries(node, where) {
		name := entry.key.Value
		if !collectionName.MatchString(name) {
			p.fault(entry.key, where, "%q is no name for a collection: a letter, then letters, digits, _ or -, at most 64", name)
			continue
		}
		where := where + "." + name
		keys := p.mapping(entry.value, where, "schema", "read", "write")
		c := &CollectionRule{
			Name: name, Line: entry.key.Line,
			read:  p.condition(env.plain, keys["read"], where+".read"),
			write: p.condition(env.write, keys["write"], where+".write"),
		}
		c.Schema, c.SchemaFile = p.schema(keys["schema"], where+".schema")
		all[name] = c
	}
	return all
}

// schema returns the JSON of a schema, which stands in the rules file or in one
// that is named there.
func (p *rulesParser) schema(node *yaml.Node, where string) (data []byte, file string) {
	if node == nil {
		return nil, ""
	}
	if node.Kind == yaml.MappingNode {
		var object map[string]any
		err := node.Decode(&object)
		if err == nil {
			data, err = json.Marshal(object)
		}
		if err != nil {
			p.fault(node, where, "cannot be written as JSON: %v", err)
		}
		return data, ""
	}
	file, ok := p.scalar(node, where)
	if !ok {
		return nil, ""
	}
	file = path.Clean(file)
	data, err := p.readFile(file)
	if err != nil {
		p.fault(node, where, "%v", err)
		return nil, ""
	}
	return data, file
}

func (p *rulesParser) readFile(file string) ([]byte, error) {
	if p.files == nil {
		return nil, fmt.Errorf("%s: no directory for schemas was given", file)
	}
	if !fs.ValidPath(file) {
		return nil, fmt.Errorf("%s: must be a path below the directory of the rules file", file)
	}
	data, err := fs.ReadFile(p.files, file)
	if err != nil {
		return nil, err
	}
	var anything any
	if err := json.Unmarshal(data, &anything); err != nil {
		return nil, fmt.Errorf("%s: not JSON: %w", file, err)
	}
	return data, nil
}

// history returns what a channel's log keeps, and the condition for reading it, nil
// for an absent one.
func (p *rulesParser) history(env *compiler, node *yaml.Node, where string, collections bool) (h History, read *condition) {
	if node != nil {
		keys := p.mapping(node, where, "messages", "bytes", "age", "durability", "read")
		read = p.condition(env.plain, keys["read"], where+".read")
		h.Messages = parsed(p, keys["messages"], where+".messages", parseCount)
		h.Bytes = parsed(p, keys["bytes"], where+".bytes", parseBytes)
		h.Age = parsed(p, keys["age"], where+".age", parseAge)
		h.Durability = parsed(p, keys["durability"], where+".durability", parseDurability)
		if collections && h.Durability == "memory" {
			p.fault(keys["durability"], where+".durability",
				"a channel with collections is os or disk: a record must outlive the process (promise R2)")
		}
	}
	if h.Durability == "" {
		h.Durability = "memory"
		if collections {
			h.Durability = "os"
		}
	}
	return h, read
}

func (p *rulesParser) limits(node *yaml.Node, where string) Limits {
	var l Limits
	if node == nil {
		return l
	}
	fields := []struct {
		key   string
		value *int
		parse func(string) (int, error)
	}{
		{"messagesPerSecond", &l.MessagesPerSecond, parseCount},
		{"bytesPerSecond", &l.BytesPerSecond, parseBytes},
		{"channelMessagesPerSecond", &l.ChannelMessagesPerSecond, parseCount},
		{"channelBytesPerSecond", &l.ChannelBytesPerSecond, parseBytes},
		{"presencePerSecond", &l.PresencePerSecond, parseCount},
		{"payloadBytes", &l.PayloadBytes, parseBytes},
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	keys := p.mapping(node, where, known...)
	for _, f := range fields {
		*f.value = parsed(p, keys[f.key], where+"."+f.key, f.parse)
	}
	return l
}

// parsed returns the zero value for an absent or faulty node.
func parsed[T any](p *rulesParser, node *yaml.Node, where string, parse func(string) (T, error)) (value T) {
	if node == nil {
		return value
	}
	text, ok := p.scalar(node, where)
	if !ok {
		return value
	}
	value, err := parse(text)
	if err != nil {
		p.fault(node, where, "%v", err)
	}
	return value
}
