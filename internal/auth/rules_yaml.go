package auth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// A yamlReader walks YAML and collects what is wrong with it.
type yamlReader struct {
	file   string
	faults []yamlFault
}

type yamlFault struct {
	line int
	text string
}

func (r *yamlReader) fault(at *yaml.Node, where, format string, args ...any) {
	text := fmt.Sprintf("%s:%d: %s: %s", r.file, at.Line, where, fmt.Sprintf(format, args...))
	r.faults = append(r.faults, yamlFault{at.Line, text})
}

// err is nil, or all faults in the order of their lines.
func (r *yamlReader) err() error {
	slices.SortStableFunc(r.faults, func(a, b yamlFault) int { return cmp.Compare(a.line, b.line) })
	var all []error
	for _, f := range r.faults {
		all = append(all, errors.New(f.text))
	}
	return errors.Join(all...)
}

type yamlEntry struct{ key, value *yaml.Node }

// entries returns the entries of a mapping without the repeated ones.
func (r *yamlReader) entries(node *yaml.Node, where string) []yamlEntry {
	if node.Kind != yaml.MappingNode {
		r.fault(node, where, "must be a mapping, key: value")
		return nil
	}
	var all []yamlEntry
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := deref(node.Content[i]), deref(node.Content[i+1])
		if key.Kind != yaml.ScalarNode || seen[key.Value] {
			r.fault(key, where, "key %q is there twice, or is no plain text", key.Value)
			continue
		}
		seen[key.Value] = true
		all = append(all, yamlEntry{key, value})
	}
	return all
}

// mapping returns the values of the known keys; nil when node is no mapping.
func (r *yamlReader) mapping(node *yaml.Node, where string, known ...string) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		r.fault(node, where, "must be a mapping with %s", listed(known))
		return nil
	}
	values := make(map[string]*yaml.Node)
	for _, e := range r.entries(node, where) {
		if !slices.Contains(known, e.key.Value) {
			r.fault(e.key, where, "unknown key %q: %s", e.key.Value, hint(e.key.Value, known))
			continue
		}
		values[e.key.Value] = e.value
	}
	return values
}

// scalar returns a text, number or boolean as it was written.
func (r *yamlReader) scalar(node *yaml.Node, where string) (string, bool) {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Value == "" {
		r.fault(node, where, "must be a text (leave the key out for the default)")
		return "", false
	}
	return node.Value, true
}

// deref follows an alias. YAML has no alias of an alias.
func deref(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
