package main

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/chorale-rt/chorale/internal/limit"
)

// TestLimits holds flags, environment, defaults and docs/limits.md to the limits
// that there are.
func TestLimits(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, limitDefaults())
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]*kong.Flag{}
	for _, command := range parser.Model.Leaves(true) {
		for _, flag := range command.Flags {
			if command.Name == "serve" && strings.HasPrefix(flag.Name, "limit-") {
				flags[flag.Name] = flag
			}
		}
	}
	data, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, name := range limit.Names() {
		flag := flags[name.Flag()]
		if flag == nil {
			t.Errorf("no flag sets %s", name)
			continue
		}
		delete(flags, name.Flag())
		env := "CHORALE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if len(flag.Envs) != 1 || flag.Envs[0] != env {
			t.Errorf("--%s is set by %v, want %s", flag.Name, flag.Envs, env)
		}
		row := fmt.Sprintf("\n| `%s` | `--%s` | `%s` | `%s` | ", name, flag.Name, env, flag.Default)
		if !strings.Contains(page, row) {
			t.Errorf("docs/limits.md has no row that begins with %s", strings.TrimSpace(row))
		}
	}
	for name := range flags {
		t.Errorf("--%s is the flag of no limit", name)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `--").FindAllStringSubmatch(page, -1) {
		if name := limit.Name(row[1]); !strings.Contains(fmt.Sprint(limit.Names()), string(name)) {
			t.Errorf("docs/limits.md explains %s, which is no limit", name)
		}
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		t.Fatal(err)
	}
	if got := c.Serve.Limits.settings(); got != limit.Defaults() {
		t.Errorf("without flags the limits are %+v", got)
	}
}

func TestNetworks(t *testing.T) {
	got, err := networks([]string{"10.1.2.3/8", "192.0.2.7", "2001:db8::/32"})
	want := limit.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v", got, err)
	}
}
