package transport

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chorale-rt/chorale/internal/limit"
)

var update = flag.Bool("update", false, "rewrite conformance/fallback with what the server answers now")

// TestConversations replays conformance/fallback, whose README says how the file
// is read.
func TestConversations(t *testing.T) {
	const file = "../../conformance/fallback/posts.txt"
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := newLimitedEndpoint(t, limit.Settings{FrameBytes: limit.MinFrameBytes})
	var out strings.Builder
	var p *streamPeer
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "< ") {
			continue // it is written anew
		}
		out.WriteString(line + "\n")
		said := ""
		switch verb, rest, _ := strings.Cut(line, " "); verb {
		case "", "#":
			continue
		case "open":
			p = aStream(t, e)
			said = eventLine(event{"open", `{"id":"` + p.id + `"}`})
		case "event":
			said = eventLine(p.event(t))
		case "POST":
			to, body, _ := strings.Cut(rest, " ")
			said = p.exchange(t, to, body)
		case "large":
			said = p.exchange(t, rest, "["+strings.Repeat(" ", limit.MinFrameBytes+1)+"]")
		default:
			t.Fatalf("no step: %s", line)
		}
		out.WriteString("< " + strings.ReplaceAll(said, p.id, "{stream}") + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("the answers differ (-written +given); if they are meant to change, run this test with -update and read the diff:\n%s", d)
	}
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
