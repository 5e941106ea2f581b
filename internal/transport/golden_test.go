package transport

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/internal/session"
)

var update = flag.Bool("update", false, "rewrite conformance/fallback with what the server answers now")

// TestConversations replays conformance/fallback, whose README says how its files
// are read.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("../../conformance/fallback/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := &conversation{e: newEndpointWithChannels(t)}
			written := c.play(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(written), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(written, "\n")); d != "" {
				t.Errorf("the answers differ (-written +given); if they are meant to change, run this test with -update and read the diff:\n%s", d)
			}
		})
	}
}

// newEndpointWithChannels has an engine behind it, and no rules: its channels are
// public.
func newEndpointWithChannels(t *testing.T) *endpoint {
	t.Helper()
	eng, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	rules, err := auth.ParseRules("rules.yaml", []byte("channels: []"), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return newEndpointWith(t, Options{Deps: &session.Deps{
		Engine: eng, Hub: hub.New(eng, metrics.New()), Collections: collection.New(eng, collection.Options{}),
		Policy: func() *policy.Policy { return p },
	}}, limit.Settings{FrameBytes: limit.MinFrameBytes})
}

// conversation is one client's, over one stream after the other.
type conversation struct {
	e     *endpoint
	p     *streamPeer
	epoch string // of the channel, once it was told
}

var anyEpoch = regexp.MustCompile(`"epoch":"([^"{]+)"`)

// play returns the script with what is answered now.
func (c *conversation) play(t *testing.T, script string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "< ") {
			continue // it is written anew
		}
		out.WriteString(line + "\n")
		if said := c.step(t, line); said != "" {
			out.WriteString("< " + c.named(said) + "\n")
		}
	}
	return out.String()
}

func (c *conversation) step(t *testing.T, line string) string {
	t.Helper()
	switch verb, rest, _ := strings.Cut(line, " "); verb {
	case "", "#":
		return ""
	case "open":
		c.p = aStream(t, c.e)
		return eventLine(event{"open", `{"id":"` + c.p.id + `"}`})
	case "lose":
		c.p.cancel()
		return ""
	case "event":
		return eventLine(c.p.event(t))
	case "POST":
		to, body, _ := strings.Cut(rest, " ")
		return c.p.exchange(t, to, strings.ReplaceAll(body, "{epoch}", c.epoch))
	case "large":
		return c.p.exchange(t, rest, "["+strings.Repeat(" ", limit.MinFrameBytes+1)+"]")
	default:
		t.Fatalf("no step: %s", line)
		return ""
	}
}

// named has names in the place of what differs from run to run.
func (c *conversation) named(said string) string {
	if found := anyEpoch.FindStringSubmatch(said); found != nil && c.epoch == "" {
		c.epoch = found[1]
	}
	if c.epoch != "" {
		said = strings.ReplaceAll(said, c.epoch, "{epoch}")
	}
	return strings.ReplaceAll(said, c.p.id, "{stream}")
}

func eventLine(e event) string {
	if e.name == "" {
		e.name = "-"
	}
	return e.name + " " + e.data
}

// exchange is a POST with its answer; to is the stream and the query.
func (p *streamPeer) exchange(t *testing.T, to, body string) string {
	t.Helper()
	res, err := p.client.Post(p.web+"/realtime/v1/sse/"+strings.ReplaceAll(to, "{stream}", p.id), "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil || len(got) > 0 && !json.Valid(got) {
		t.Fatalf("%q, %v", got, err)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, got))
}
