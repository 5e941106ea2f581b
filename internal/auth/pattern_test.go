package auth

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, channel string
		want             []string // nil means no match
	}{
		{"lobby", "lobby", []string{}},
		{"lobby", "lobby2", nil},
		{"lobby", "lobb", nil},
		{"interview:{id}", "interview:42", []string{"42"}},
		{"interview:{id}", "interview:", nil},
		{"interview:{id}", "interview:4:2", nil},
		{"interview:{id}", "Interview:42", nil},
		{"{a}:{b}", "x:y", []string{"x", "y"}},
		{"{a}:{b}", "x:y:z", nil},
		{"{a}:{b}:end", "x:y:end", []string{"x", "y"}},
		{"{a}:{b}:end", "x:y:z:end", nil},
		{"{a}-{b}", "x-y-z", []string{"x", "y-z"}},
		{"{a}-{b}-end", "x-y-end-end", []string{"x", "y-end"}},
		{"{a}-b", "x-b-b", []string{"x-b"}},
		{"{a}-b", "-b", nil},
		{"{a}-{b}", "-x", nil},
		{"{a}-{b}", "--x", []string{"-", "x"}},
		{"docs:{path*}", "docs:a:b/c", []string{"a:b/c"}},
		{"docs:{path*}", "docs:", []string{""}},
		{"docs:{path*}", "doc", nil},
		{"{team}:{rest*}", "red:a:b", []string{"red", "a:b"}},
		{"{team}:{rest*}", ":a", nil},
		{"{all*}", "anything: at all", []string{"anything: at all"}},
		{"größe:{n}", "größe:ü", []string{"ü"}},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		values, ok := p.match(c.channel)
		if ok != (c.want != nil) || ok && !slices.Equal(values, c.want) {
			t.Errorf("%s on %q is %q, %v; want %q", c.pattern, c.channel, values, ok, c.want)
		}
	}
}

func TestPatternFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "must not be empty",
		"a{b":                                  "a { has no }",
		"a}b":                                  "a } has no {",
		"a{b}c}":                               "a } has no {",
		"{a}{b}":                               "two parameters need text between them",
		"{a}{b*}":                              "two parameters need text between them",
		"{}":                                   `"" is no name`,
		"{a b}":                                `"a b" is no name`,
		"{1}":                                  `"1" is no name`,
		"{a{b}}":                               "is no name",
		"{a**}":                                `"a*" is no name`,
		"{a}:{a}":                              "{a} is there twice",
		"{a*}b":                                "{a*} must be the end",
		"{a*}{b}":                              "{a*} must be the end",
		"{a}1{b}2{c}3{d}4{e}5{f}6{g}7{h}8{i}9": "9 parameters, at most 8 are possible",
	} {
		if _, err := parsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzPattern compares matching with the regular expression that the pattern
// stands for.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"interview:{id}", "interview:42"}, {"{a}-{b}-x:{c}", "p-q-r-x:z"}, {"{a}:-:{b}", "x:-:-:y"},
		{"{a}x{b}x{c*}", "xxxxx:x"}, {"{a}-:-{b}", "a-:-:-b"}, {"{a}ab{b}", "aabab"}, {"{all*}", "\xff\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, channel string) {
		p, err := parsePattern(text)
		if err != nil || len(channel) > 246 {
			return
		}
		expression := "(?s)^" + regexp.QuoteMeta(p.lead)
		again := p.lead
		for _, q := range p.params {
			if q.rest {
				expression, again = expression+"(.*)", again+"{"+q.name+"*}"
				continue
			}
			expression, again = expression+"([^:]+?)"+regexp.QuoteMeta(q.then), again+"{"+q.name+"}"+q.then
		}
		if again != text {
			t.Fatalf("%q was read as %q", text, again)
		}
		oracle, err := regexp.Compile(expression + "$")
		if err != nil || !utf8.ValidString(text+channel) {
			return // regular expressions count in runes; broken UTF-8 is another matter
		}
		want := oracle.FindStringSubmatch(channel)
		values, ok := p.match(channel)
		if ok != (want != nil) || ok && !slices.Equal(values, want[1:]) {
			t.Fatalf("%q on %q is %q, %v; want %q", text, channel, values, ok, want)
		}
		if !p.covers(&p) {
			t.Fatalf("%q does not cover itself", text)
		}
	})
}
