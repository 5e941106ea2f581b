package auth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A pattern matches names of channels: literal text, with {name} for one or more
// characters other than a colon, and {name*} at the end for all that follows,
// be it nothing. Where a text could be divided in several ways, each {name} is
// as short as it can be, from left to right. Braces match no literal brace.
type pattern struct {
	text   string
	lead   string  // literal text before the first parameter
	params []param // in order
}

type param struct {
	name string
	rest bool   // {name*}
	then string // literal text that follows, up to the next parameter
}

// maxParams bounds a match's memory, and is more than a readable name has.
const maxParams = 8

var paramName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if text == "" {
		return p, errors.New("a pattern must not be empty: {name*} matches every channel")
	}
	lead, rest, found := strings.Cut(text, "{")
	p.lead = lead
	for found {
		var inside, then string
		if inside, rest, found = strings.Cut(rest, "}"); !found {
			return p, fmt.Errorf("pattern %q: a { has no }", text)
		}
		then, rest, found = strings.Cut(rest, "{")
		name, isRest := strings.CutSuffix(inside, "*")
		p.params = append(p.params, param{name: name, rest: isRest, then: then})
		if found && then == "" && !isRest {
			return p, fmt.Errorf("pattern %q: two parameters need text between them", text)
		}
	}
	return p, p.check()
}

func (p *pattern) check() error {
	if strings.Contains(p.lead, "}") {
		return fmt.Errorf("pattern %q: a } has no {", p.text)
	}
	if len(p.params) > maxParams {
		return fmt.Errorf("pattern %q: %d parameters, at most %d are possible", p.text, len(p.params), maxParams)
	}
	for i, q := range p.params {
		if !paramName.MatchString(q.name) {
			return fmt.Errorf("pattern %q: %q is no name: use letters, digits and _", p.text, q.name)
		}
		if strings.Contains(q.then, "}") {
			return fmt.Errorf("pattern %q: a } has no {", p.text)
		}
		if q.rest && (i != len(p.params)-1 || q.then != "") {
			return fmt.Errorf("pattern %q: {%s*} must be the end", p.text, q.name)
		}
		for _, before := range p.params[:i] {
			if before.name == q.name {
				return fmt.Errorf("pattern %q: {%s} is there twice", p.text, q.name)
			}
		}
	}
	return nil
}

// match returns the parameters' values in order. It takes the first place where
// the text after a parameter occurs and never goes back: a later place could
// only help if the following parameters could not be longer, and they can. (A
// parameter holds no colon, so a text with a colon has one possible place; any
// other text leaves what it skips to the next parameter. FuzzPattern compares
// this with a regular expression.) So matching is linear in the name's length.
func (p *pattern) match(channel string) (values []string, ok bool) {
	rest, ok := strings.CutPrefix(channel, p.lead)
	if !ok {
		return nil, false
	}
	if len(p.params) == 0 {
		return nil, rest == ""
	}
	values = make([]string, len(p.params))
	for i, q := range p.params {
		var value string
		switch {
		case q.rest:
			value, rest = rest, ""
			values[i] = value
			continue
		case i == len(p.params)-1:
			value, ok = strings.CutSuffix(rest, q.then)
			rest = ""
		default:
			value, rest, ok = cutAfterFirst(rest, q.then)
		}
		if !ok || value == "" || strings.Contains(value, ":") {
			return nil, false
		}
		values[i] = value
	}
	return values, true
}

// cutAfterFirst is strings.Cut, except that before is not empty.
func cutAfterFirst(s, sep string) (before, after string, found bool) {
	if s == "" {
		return "", "", false
	}
	before, after, found = strings.Cut(s[1:], sep)
	return s[:1+len(before)], after, found
}

// covers reports whether every channel that q matches is matched by p, in the
// cases that people write by mistake: the same pattern with other names, and a
// {name*} before something more special.
func (p *pattern) covers(q *pattern) bool {
	if len(p.params) == 1 && p.params[0].rest {
		return strings.HasPrefix(q.lead, p.lead)
	}
	if p.lead != q.lead || len(p.params) != len(q.params) {
		return false
	}
	for i := range p.params {
		if p.params[i].rest != q.params[i].rest || p.params[i].then != q.params[i].then {
			return false
		}
	}
	return true
}
