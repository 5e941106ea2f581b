package transport

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chorale-rt/chorale/internal/limit"
)

// TestLaneConversation replays conformance/lanes, whose README says how the file
// is read.
func TestLaneConversation(t *testing.T) {
	const file = "../../conformance/lanes/lanes.txt"
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := newLimitedEndpoint(t, limit.Unlimited())
	var out strings.Builder
	var p *socketPeer
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "< ") {
			continue // it is written anew
		}
		out.WriteString(line + "\n")
		switch verb, frame, _ := strings.Cut(line, " "); verb {
		case "", "#":
		case "open":
			p = dialShared(t, e, "")
		case ">":
			p.send(t, frame)
		case "hear":
			said := p.next(t)
			if said.code != 0 {
				said.data = fmt.Sprintf("close %d %s", said.code, said.reason)
			}
			out.WriteString("< " + said.data + "\n")
		default:
			t.Fatalf("no step: %s", line)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("what is said differs (-written +said); if that is meant, run this test with -update and read the diff:\n%s", d)
	}
}
