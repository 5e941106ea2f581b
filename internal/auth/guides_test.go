package auth_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/internal/auth"
)

// The rules that the guides show are rules.
func TestRulesInGuides(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(block[1], "channels:") {
				continue
			}
			found++
			if _, err := auth.ParseRules(filepath.Base(page), []byte(block[1]), nil); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 2 {
		t.Fatalf("found %d samples of rules: the pattern of this test is out of date", found)
	}
}
