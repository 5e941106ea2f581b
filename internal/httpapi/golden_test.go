package httpapi

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chorale-rt/chorale/internal/limit"
)

var update = flag.Bool("update", false, "rewrite conformance/http with what the server answers now")

// TestConversations replays conformance/http, whose README says how the files are
// read.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("../../conformance/http/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newCallers(t).play(string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("the answers differ (-written +given); if they are meant to change, run this test with -update and read the diff:\n%s", d)
			}
		})
	}
}

// callers are those who call in a conversation, and the server that they call.
type callers struct {
	*rig
	roles   map[string]string
	headers []string // of the next request
	known   map[string]string
	counts  map[string]int
	out     strings.Builder
}

func newCallers(t *testing.T) *callers {
	return &callers{rig: newRig(t), roles: map[string]string{"nobody": ""}, known: map[string]string{}, counts: map[string]int{}}
}

func (c *callers) play(script string) string {
	for i, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		if strings.HasPrefix(line, "< ") {
			continue // it is written anew
		}
		c.out.WriteString(line + "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := c.step(line); err != nil {
			c.t.Fatalf("line %d: %s: %v", i+1, line, err)
		}
	}
	return c.out.String()
}

func (c *callers) step(line string) error {
	words := strings.SplitN(line, " ", 4)
	switch role, known := c.roles[words[0]]; {
	case words[0] == "caller" && len(words) == 3:
		c.roles[words[1]] = words[2]
		return nil
	case words[0] == "limits" && len(words) == 2:
		return c.limit(words[1])
	case words[0] == "with":
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "with "), ": ")
		c.headers = append(c.headers, name, c.fill(value))
		return nil
	case !known || len(words) < 3:
		return fmt.Errorf("no step, and no caller %q", words[0])
	default:
		token, body := "", ""
		if role != "" {
			token = c.token(words[0], role)
		}
		if len(words) == 4 {
			body = c.fill(words[3])
		}
		got := c.do(words[1], c.fill(words[2]), token, body, c.headers...)
		c.headers = nil
		said := fmt.Sprintf("< %d %s %s", got.status, got.header.Get("Content-Type"), got.body)
		c.out.WriteString(strings.TrimRight(c.hide(said), " \n") + "\n")
		return nil
	}
}

// limit reads channel_messages=1:1, with a clock that stands still.
func (c *callers) limit(word string) error {
	var s limit.Settings
	rates := map[string]*limit.Rate{"channel_messages": &s.ChannelMessages, "rest_messages": &s.RESTMessages}
	name, value, _ := strings.Cut(word, "=")
	if rates[name] == nil {
		return fmt.Errorf("%q is not known", name)
	}
	now := time.Now()
	err := rates[name].UnmarshalText([]byte(value))
	c.api.opts.Limits = limit.New(s, func() time.Time { return now })
	return err
}

// fill puts values in the place of the names that they were given.
func (c *callers) fill(text string) string {
	for value, name := range c.known {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// generated finds the values that differ from run to run, each kind with its name.
var generated = []struct {
	name  string
	value *regexp.Regexp
}{
	{"epoch", regexp.MustCompile(`"epoch":"([^"]+)"`)},
	{"stamp", regexp.MustCompile(`"[+-]?([0-9a-f]{16}@[^"]+)"`)},
	{"uuid", regexp.MustCompile(`([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`)},
}

var anyTime = regexp.MustCompile(`("(?:time|createdAt|updatedAt)":)[0-9]+`)

// hide puts names in the place of generated values: the same for the same.
func (c *callers) hide(text string) string {
	for _, g := range generated {
		for _, found := range g.value.FindAllStringSubmatch(text, -1) {
			if _, known := c.known[found[1]]; !known {
				c.counts[g.name]++
				c.known[found[1]] = fmt.Sprintf("{%s%d}", g.name, c.counts[g.name])
			}
		}
	}
	for value, name := range c.known {
		text = strings.ReplaceAll(text, value, name)
	}
	return anyTime.ReplaceAllString(text, "${1}{time}")
}
