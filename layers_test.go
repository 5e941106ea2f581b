package chorale_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers is the house from the bottom up: a package imports only from rows
// before its own. ARCHITECTURE.md says what each is for.
var layers = [][]string{
	{"protocol", "internal/engine", "internal/auth", "internal/backup", "internal/cluster/natsd", "internal/limit", "internal/metrics", "internal/nonblock", "web/notes"},
	{"internal/engine/chanlog", "internal/engine/enginetest", "internal/presence", "internal/cluster", "internal/collection", "internal/linear", "client"},
	{"internal/engine/embedded", "internal/engine/natsengine", "examples/bot", "internal/hub", "internal/policy", "internal/bench", "internal/cluster/run"},
	{"internal/session", "internal/httpapi"},
	{"internal/transport"},
	{"internal/server", "internal/sim"},
	{"cmd/chorale"},
}

const module = "github.com/chorale-rt/chorale/"

func TestLayers(t *testing.T) {
	row := map[string]int{}
	for i, names := range layers {
		for _, name := range names {
			row[name] = i
		}
	}
	for dir, imports := range packages(t) {
		mine, known := row[dir]
		if !known {
			t.Errorf("%s is in no layer: add it to layers, and to ARCHITECTURE.md", dir)
			continue
		}
		for _, other := range imports {
			if theirs, ok := row[other]; !ok || theirs >= mine {
				t.Errorf("%s (row %d) imports %s (row %d): imports point down", dir, mine, other, theirs)
			}
		}
	}
}

// What is shipped knows NATS' client, and no server: that would be megabytes that
// nobody runs.
func TestTheServerOfNATSIsNotShipped(t *testing.T) {
	const natsServer, shell = "github.com/nats-io/nats-server", "internal/cluster/natsd"
	found := false
	for _, name := range sources(t) {
		specs := importsOf(t, name)
		dir := path.Dir(filepath.ToSlash(name))
		for _, spec := range specs {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.HasPrefix(imported, natsServer):
				found = true
				if dir != shell {
					t.Errorf("%s imports %s: only %s does", name, imported, shell)
				}
			case imported == module+shell && dir != "internal/cluster/run":
				t.Errorf("%s imports %s, so the server of NATS would come with it", name, imported)
			}
		}
	}
	if !found {
		t.Errorf("nobody imports %s: is this test of use?", natsServer)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for dir := range packages(t) {
		if dir == "cmd/chorale" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "doc.go"), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil || f.Doc == nil {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

// packages returns the directories that hold Go code, with the packages of this
// module that their code (tests aside) imports.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, name := range sources(t) {
		dir := path.Dir(filepath.ToSlash(name))
		out[dir] = append(out[dir], ownImports(importsOf(t, name))...)
	}
	return out
}

func importsOf(t *testing.T, name string) []*ast.ImportSpec {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	return f.Imports
}

// sources returns the files of this module's code, tests aside. It looks itself:
// the test cache does not see what a child process reads.
func sources(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "node_modules" || base == "testdata" || (strings.HasPrefix(base, ".") && base != ".") {
				return fs.SkipDir
			}
			if name != "." && exists(path.Join(filepath.ToSlash(name), "go.mod")) {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		dir := path.Dir(filepath.ToSlash(name))
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || dir == "." {
			return nil
		}
		out = append(out, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ownImports(specs []*ast.ImportSpec) []string {
	var out []string
	for _, spec := range specs {
		name, err := strconv.Unquote(spec.Path.Value)
		if own, ok := strings.CutPrefix(name, module); ok && err == nil {
			out = append(out, own)
		}
	}
	return out
}
