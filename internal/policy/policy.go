package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// Policy answers for all channels. Without rules no private channel may be used.
type Policy struct {
	rules   *auth.Rules
	schemas map[*auth.CollectionRule]*collection.Schema
}

// New compiles what the rules refer to. rules may be nil.
func New(rules *auth.Rules) (*Policy, error) {
	p := &Policy{rules: rules, schemas: make(map[*auth.CollectionRule]*collection.Schema)}
	if rules == nil {
		return p, nil
	}
	for _, rule := range rules.All() {
		for _, name := range slices.Sorted(maps.Keys(rule.Collections)) {
			c := rule.Collections[name]
			if len(c.Schema) == 0 {
				continue
			}
			schema, err := collection.CompileSchema(name, c.Schema)
			if err != nil {
				return nil, fmt.Errorf("rule %q: collection %s: %w", rule.Pattern, name, err)
			}
			p.schemas[c] = schema
		}
	}
	return p, nil
}

// Channel is the policy of one channel.
type Channel struct {
	policy *Policy
	name   protocol.Channel
	match  *auth.Match // nil: public, or private without a rule

	Retention  engine.Retention
	Durability engine.Durability
}

// Channel finds the policy of a channel.
func (p *Policy) Channel(name protocol.Channel) Channel {
	c := Channel{policy: p, name: name}
	if !name.Private || p.rules == nil {
		return c
	}
	match, ok := p.rules.Match(name.Name)
	if !ok {
		return c
	}
	c.match = match
	h := match.Rule().History
	c.Retention = engine.Retention{Messages: h.Messages, Bytes: h.Bytes, Age: h.Age}
	if d, err := engine.ParseDurability(h.Durability); err == nil {
		c.Durability = d
	}
	return c
}

// Limits is what the channel's rule allows its senders instead of the server's
// settings.
func (c Channel) Limits() limit.Override {
	if c.match == nil {
		return limit.Override{}
	}
	return limit.Override(c.match.Rule().Limits)
}

// May decides whether an identity may do something in the channel. A token is
// enough for a public one; a private one needs a rule that says so (R7).
func (c Channel) May(op auth.Op, id *auth.Identity) *protocol.Error {
	if !c.name.Private {
		return nil
	}
	if c.match == nil {
		return c.refuse(op, "no rule matches this channel")
	}
	if d := c.match.May(op, id); !d.Allowed {
		return c.refuse(op, d.Reason())
	}
	return nil
}

// refuse says it in upstream's words, which clients and their users look for,
// followed by ours, which say which permission is missing. A refused join has
// upstream's alone: programs compare them.
func (c Channel) refuse(op auth.Op, why string) *protocol.Error {
	verb := "write to"
	if op == auth.Join || op == auth.ReadHistory {
		verb = "read from"
	}
	text := fmt.Sprintf("You do not have permissions to %s this Channel topic: %s", verb, c.name.Name)
	fault := &protocol.Error{Code: protocol.CodeUnauthorized, Message: text + " (" + why + ")"}
	if op == auth.Join {
		fault.Reason = "Unauthorized: " + text
	}
	return fault
}

// Collections checks that an identity may read these collections.
func (c Channel) Collections(names []string, id *auth.Identity) *protocol.Error {
	if len(names) > protocol.MaxCollections {
		return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: fmt.Sprintf("more than %d collections in one join", protocol.MaxCollections)}
	}
	for _, name := range names {
		if c.match == nil || c.match.Rule().Collections[name] == nil {
			return &protocol.Error{Code: protocol.CodeUnknownCollection, Message: fmt.Sprintf("channel %s has no collection %q: no rule names it", c.name.Name, name)}
		}
		if d := c.match.MayRead(name, id); !d.Allowed {
			return &protocol.Error{Code: protocol.CodeUnauthorized, Message: d.Reason()}
		}
	}
	return nil
}

// Target is what collection.Apply needs to write for an identity.
func (c Channel) Target(id *auth.Identity) collection.Target {
	t := collection.Target{
		Channel:    c.name.Log(),
		Durability: c.Durability,
		Retention:  c.Retention,
	}
	if c.match == nil {
		return t
	}
	t.Specs = make(map[string]collection.Spec, len(c.match.Rule().Collections))
	for name, rule := range c.match.Rule().Collections {
		t.Specs[name] = collection.Spec{
			Schema: c.policy.schemas[rule], MayWrite: c.mayWrite(name, id), Hidden: !c.match.MayRead(name, id).Allowed,
		}
	}
	return t
}

func (c Channel) mayWrite(name string, id *auth.Identity) func(m *protocol.Mutation, record, mutation func() map[string]any) *protocol.Error {
	return func(m *protocol.Mutation, record, mutation func() map[string]any) *protocol.Error {
		asked := auth.Mutation{Op: string(m.Op), Collection: m.Collection, Record: m.Record, Whole: mutation}
		if d := c.match.MayWrite(name, id, record, asked); !d.Allowed {
			return &protocol.Error{Code: protocol.CodeForbidden, Message: d.Reason()}
		}
		return nil
	}
}
