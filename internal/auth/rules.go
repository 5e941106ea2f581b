package auth

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Rules say who may do what in which private channel. They never change; new
// rules are a new value, and who holds a Match of the old ones goes on with it.
// A nil *Rules has no rule.
type Rules struct {
	file  string
	rules []*Rule // in the file's order
}

// A Rule is what the rules file says about the channels that match a pattern.
type Rule struct {
	Pattern     string
	Line        int // in the rules file
	History     History
	Limits      Limits
	Collections map[string]*CollectionRule // by name; nil when there are none

	file                                      string
	pattern                                   pattern
	join, publish, persist, history, presence *condition // nil denies
}

// History is what a channel's log keeps. A zero bound means the engine's default.
type History struct {
	Messages   int           // entries
	Bytes      int           // of data
	Age        time.Duration // since they were appended
	Durability string        // "memory", "os" or "disk", never ""
}

// Limits are what a rule allows in its channels instead of the server's settings.
// A zero field means those.
type Limits struct {
	MessagesPerSecond int // of one member
	BytesPerSecond    int // of one member's frames

	ChannelMessagesPerSecond int // of all members together
	ChannelBytesPerSecond    int

	PresencePerSecond int // changes of one member's presence that others see
	PayloadBytes      int // of one broadcast
}

// A CollectionRule is what a rule says about one of its collections.
type CollectionRule struct {
	Name       string
	Line       int    // in the rules file
	Schema     []byte // JSON, not compiled; nil means that any record will do
	SchemaFile string // where Schema was read; "" when it stands in the rules file

	read, write *condition // nil: read allows, write denies
}

// All returns the rules in the order in which they are tried. It must not be changed.
func (r *Rules) All() []*Rule {
	if r == nil {
		return nil
	}
	return r.rules
}

// Match finds the rule for a channel: the first whose pattern matches.
func (r *Rules) Match(channel string) (*Match, bool) {
	for _, rule := range r.All() {
		if values, ok := rule.pattern.match(channel); ok {
			return &Match{rule: rule, channel: channel, values: values}, true
		}
	}
	return nil, false
}

// A Match is a rule together with the channel it matched.
type Match struct {
	rule    *Rule
	channel string
	values  []string // of the pattern's parameters
}

// Rule returns the rule, which must not be changed.
func (m *Match) Rule() *Rule { return m.rule }

// May decides Join, Publish, Persist, ReadHistory or Presence. The conditions for
// presence and history default to the one for join, that for persist to the one for
// publish.
func (m *Match) May(op Op, id *Identity) Decision {
	d := m.undecided(op, m.rule.Line)
	switch op {
	case Join:
		return m.decide(d, m.rule.join, &scope{match: m, id: id})
	case Publish:
		return m.decide(d, m.rule.publish, &scope{match: m, id: id})
	case Persist:
		return m.decide(d, m.rule.persist, &scope{match: m, id: id})
	case ReadHistory:
		return m.decide(d, m.rule.history, &scope{match: m, id: id})
	case Presence:
		return m.decide(d, m.rule.presence, &scope{match: m, id: id})
	default:
		return d
	}
}

// MayRead decides whether a member may see a collection's records. It does not
// ask whether the identity may join.
func (m *Match) MayRead(collection string, id *Identity) Decision {
	c := m.rule.Collections[collection]
	if c == nil {
		return m.unknown(Read, collection)
	}
	d := m.undecided(Read, c.Line)
	d.Collection = collection
	if c.read == nil {
		d.Allowed = true
		return d
	}
	return m.decide(d, c.read, &scope{match: m, id: id})
}

// MayWrite decides about one mutation of one record. record makes the record before
// the mutation, nil when there is none; it is called when the condition looks at
// the record, which most do for few mutations only, and once. What it makes holds
// plain JSON values and is only read. It does not ask whether the identity may join.
func (m *Match) MayWrite(collection string, id *Identity, record func() map[string]any, mutation Mutation) Decision {
	c := m.rule.Collections[collection]
	if c == nil {
		return m.unknown(Write, collection)
	}
	d := m.undecided(Write, c.Line)
	d.Collection = collection
	return m.decide(d, c.write, &scope{match: m, id: id, record: record, mutation: askedMutation{Mutation: mutation}})
}

// Record is the record argument of MayWrite for one that is there already; nil
// for nil.
func Record(plain map[string]any) func() map[string]any {
	if plain == nil {
		return nil
	}
	return func() map[string]any { return plain }
}

func (m *Match) undecided(op Op, line int) Decision {
	return Decision{Op: op, Channel: m.channel, Rule: m.rule.Pattern, File: m.rule.file, Line: line}
}

// unknown denies access to a collection that the rule does not have.
func (m *Match) unknown(op Op, collection string) Decision {
	d := m.undecided(op, m.rule.Line)
	d.Collection = collection
	return d
}

func (m *Match) decide(d Decision, c *condition, vars *scope) Decision {
	if c == nil {
		return d
	}
	d.Condition, d.Line = c.text, c.line
	d.Allowed, d.Err = c.eval(vars)
	return d
}

// A scope is the variables that one evaluation sees.
type scope struct {
	match    *Match
	id       *Identity
	record   func() map[string]any // nil when there is none
	made     map[string]any        // what record has made; nil before it was asked
	mutation askedMutation
}

var _ cel.Activation = (*scope)(nil)

// Parent implements cel.Activation.
func (s *scope) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation. Which names can be asked for was
// settled when the condition was compiled.
func (s *scope) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		if s.id == nil {
			return map[string]any{}, true
		}
		return s.id.Claims, true
	case "channel":
		return s.match.channel, true
	case "params":
		return s.match.params(), true
	case "record":
		if s.record == nil {
			return types.NullValue, true
		}
		if s.made == nil {
			s.made = s.record()
		}
		return s.made, true
	case "mutation":
		return &s.mutation, true
	}
	for i, q := range s.match.rule.pattern.params {
		if q.name == name {
			return s.match.values[i], true
		}
	}
	return nil, false
}

func (m *Match) params() map[string]string {
	all := make(map[string]string, len(m.values))
	for i, q := range m.rule.pattern.params {
		all[q.name] = m.values[i]
	}
	return all
}
