package session_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the conversations in conformance/sessions with what the server says now")

// TestConversations replays conformance/sessions, whose README says how the
// files are read. Time is that of a synctest bubble: it begins at the same
// instant in every run, and passes only where a conversation says so.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("../../conformance/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			synctest.Test(t, func(t *testing.T) { got = newStage(t).play(string(script)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("the conversation differs (-written +said); if the wire is meant to change, run this test with -update and read the diff:\n%s", d)
			}
		})
	}
}
