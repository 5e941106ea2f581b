package chorale_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// These tests hold the pages to the code. They read the files themselves, so
// that the test cache notices when one changes.

func TestErrorsPage(t *testing.T) {
	page := read(t, "docs/errors.md")
	known := map[string]bool{}
	for _, file := range []string{"protocol/errors.go", "internal/auth/token_error.go"} {
		for name, value := range constants(t, file) {
			switch {
			case strings.HasPrefix(name, "Code"):
				known[value] = true
			case strings.HasPrefix(name, "Close") && !strings.Contains(page, "\n| "+value+" |"):
				t.Errorf("docs/errors.md has no row for close code %s (%s in %s)", value, name, file)
			}
		}
	}
	for name, value := range constants(t, "client/errors.go") {
		if strings.HasPrefix(name, "Code") {
			known[value] = true
		}
	}
	for _, code := range clientCodes(t) {
		known[code] = true
	}
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)`").FindAllStringSubmatch(page, -1) {
		code := row[1]
		named[code] = true
		if !known[code] && !strings.HasPrefix(code, "close_") {
			t.Errorf("docs/errors.md explains %q, which nothing raises", code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(known)) {
		if !named[code] {
			t.Errorf("docs/errors.md has no row for %q", code)
		}
	}
}

// constants returns the constants of a file with a literal value, by name.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	out := map[string]string{}
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if lit, ok := spec.Values[i].(*ast.BasicLit); ok {
					out[name.Name] = unquoted(lit)
				}
			}
		}
		return true
	})
	return out
}

// clientCodes are the codes that the TypeScript client makes itself.
func clientCodes(t *testing.T) []string {
	t.Helper()
	raised := regexp.MustCompile(`(?:ChoraleError\(|asError\(error,|super\(|code: [^,\n]*?)\s*"([a-z_]+)"`)
	var out []string
	for _, file := range files(t, "web/client/src", func(name string) bool {
		return strings.HasSuffix(name, ".ts") && !strings.Contains(name, "/testing/")
	}) {
		for _, found := range raised.FindAllStringSubmatch(read(t, file), -1) {
			out = append(out, found[1])
		}
	}
	if len(out) == 0 {
		t.Fatal("web/client/src raises no error: the pattern of this test is out of date")
	}
	return out
}

func TestOperationsPage(t *testing.T) {
	page := read(t, "docs/operations.md")
	for _, flag := range serveFlags(t) {
		if !strings.Contains(page, "| `--"+flag+"` |") {
			t.Errorf("docs/operations.md has no row for --%s", flag)
		}
	}
	for _, metric := range metricNames(t) {
		if !strings.Contains(page, "| `chorale_"+metric+"` |") {
			t.Errorf("docs/operations.md has no row for chorale_%s", metric)
		}
	}
}

// serveFlags are the flags of chorale serve, by the names that kong gives them.
func serveFlags(t *testing.T) []string {
	t.Helper()
	var out []string
	ast.Inspect(parse(t, "cmd/chorale/serve.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "serveCmd" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			tag := reflect.StructTag(unquoted(field.Tag))
			if _, many := tag.Lookup("embed"); many {
				continue // the limits, which have a page and a test of their own
			}
			name, ok := tag.Lookup("name")
			if !ok {
				name = kebab(field.Names[0].Name)
			}
			if tag.Get("env") == "" {
				t.Errorf("--%s cannot be set in the environment, and docs/operations.md says that every flag can", name)
			}
			out = append(out, name)
		}
		return false
	})
	if len(out) == 0 {
		t.Fatal("cmd/chorale/serve.go declares no flags in serveCmd")
	}
	return out
}

func kebab(name string) string {
	var out strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// metricNames are the names that metrics.go registers, without the namespace.
func metricNames(t *testing.T) []string {
	t.Helper()
	var out []string
	ast.Inspect(parse(t, "internal/metrics/metrics.go"), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.Ident); ok && slices.Contains([]string{"counter", "gauge", "counterBy"}, f.Name) {
			out = append(out, leading(call.Args[0]))
		}
		return true
	})
	if len(out) == 0 {
		t.Fatal("internal/metrics/metrics.go registers nothing that this test understands")
	}
	return out
}

// elsewhere are names with a slash that are no files of this repository.
var elsewhere = map[string]string{
	"gobwas/ws":                "a module",
	"bin/chorale":              "made by make build",
	"application/json":         "a media type",
	"application/octet-stream": "a media type",
	"text/event-stream":        "a media type",
	"testing/synctest":         "a package of the standard library",
}

func TestPathsInPagesExist(t *testing.T) {
	var (
		fenced = regexp.MustCompile("(?s)```.*?```")
		link   = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
		code   = regexp.MustCompile("`([A-Za-z0-9_.][A-Za-z0-9_.@*-]*(?:/[A-Za-z0-9_.@*-]+)+/?)`")
	)
	for _, page := range pages(t) {
		text := fenced.ReplaceAllString(read(t, page), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if target := found[1]; !strings.Contains(target, "://") && !exists(path.Join(path.Dir(page), target)) {
				t.Errorf("%s links to %s, which is not there", page, target)
			}
		}
		for _, found := range code.FindAllStringSubmatch(text, -1) {
			name := found[1]
			first, _, _ := strings.Cut(name, "/")
			if strings.Contains(strings.TrimPrefix(first, "."), ".") || elsewhere[name] != "" {
				continue // a module or a host
			}
			if !exists(name) {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
}

func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "docs/guides/go.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

func exists(name string) bool {
	found, err := filepath.Glob(filepath.FromSlash(strings.TrimSuffix(name, "/")))
	return err == nil && len(found) > 0
}

// TestGoSamplesAreRun: each sample in Go of a guide is a piece of a file that is
// compiled, and run by a test.
func TestGoSamplesAreRun(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"client", "examples"} {
		for _, file := range files(t, dir, func(name string) bool { return strings.HasSuffix(name, ".go") }) {
			sources.WriteString(unindented(read(t, file)))
		}
	}
	guides, err := filepath.Glob("docs/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	samples := 0
	for _, guide := range guides {
		for _, found := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, guide), -1) {
			samples++
			if !strings.Contains(sources.String(), unindented(found[1])) {
				t.Errorf("%s: this sample is in no file below client or examples:\n%s", guide, found[1])
			}
		}
	}
	if samples == 0 {
		t.Error("no guide has a sample in Go: the pattern of this test is out of date")
	}
}

func unindented(code string) string {
	var out strings.Builder
	for line := range strings.Lines(code) {
		out.WriteString(strings.TrimSpace(line) + "\n")
	}
	return out.String()
}

func TestCodeMapHasTheLayers(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| ([0-9]+) \\| `([^`]+)` \\|")
	got := make([][]string, len(layers))
	for _, found := range row.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil || n >= len(layers) {
			t.Fatalf("ARCHITECTURE.md has a row %s; layers_test.go has rows 0 to %d", found[1], len(layers)-1)
		}
		got[n] = append(got[n], found[2])
	}
	for n, want := range layers {
		if slices.Sort(got[n]); !slices.Equal(got[n], slices.Sorted(slices.Values(want))) {
			t.Errorf("ARCHITECTURE.md, row %d: %v; layers_test.go says %v", n, got[n], want)
		}
	}
}

func TestDecisionsAreIndexed(t *testing.T) {
	index := read(t, "docs/adr/README.md")
	decisions, err := filepath.Glob("docs/adr/[0-9]*.md")
	if err != nil || len(decisions) == 0 {
		t.Fatalf("docs/adr has no decisions (%v)", err)
	}
	for i, file := range decisions {
		name := path.Base(filepath.ToSlash(file))
		if number, _, _ := strings.Cut(name, "-"); number != strconv.Itoa(10001 + i)[1:] {
			t.Errorf("%s: number %d is due", name, i+1)
		}
		if !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
		text := read(t, file)
		for _, part := range []string{"\nDate: 20", "\nStatus: ", "\n## Context\n", "\n## Decision\n", "\n## What we gave up\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %q", name, strings.TrimSpace(part))
			}
		}
	}
}

// untested are rules without a test of their own, each with the reason.
var untested = map[string]string{}

func TestEveryRuleHasATest(t *testing.T) {
	known := map[string]bool{}
	for file, pattern := range map[string]string{
		"docs/protocol.md":       `\*\*([A-Z][0-9]+)\*\*`,
		"internal/engine/doc.go": `(?m)^//   - (E[0-9]+): `,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1)
		if len(found) == 0 {
			t.Fatalf("%s has no rules: the pattern of this test is out of date", file)
		}
		for _, rule := range found {
			known[rule[1]] = true
		}
	}
	tested := map[string]bool{}
	for file, names := range testNames(t) {
		for _, name := range names {
			for _, id := range rulesOf(name) {
				tested[id] = true
				if !known[id] {
					t.Errorf("%s: %q names rule %s, which no page has", file, name, id)
				}
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		switch why := untested[id]; {
		case !tested[id] && why == "":
			t.Errorf("no test carries rule %s in its name, such as \"[%s] what it promises\"", id, id)
		case tested[id] && why != "":
			t.Errorf("rule %s has a test now: take it out of untested", id)
		}
	}
}

// rulesOf are the ids in brackets that a test's name begins with.
func rulesOf(name string) []string {
	var out []string
	id := regexp.MustCompile(`^\[([A-Z][0-9]+)\] ?`)
	for found := id.FindStringSubmatch(name); found != nil; found = id.FindStringSubmatch(name) {
		out = append(out, found[1])
		name = name[len(found[0]):]
	}
	return out
}

// testNames returns the names of tests that begin with a bracket, by file.
func testNames(t *testing.T) map[string][]string {
	t.Helper()
	script := regexp.MustCompile("[(\\[{,:]\\s*[\"'`](\\[[A-Z][0-9]+\\][^\"'`\n]*)")
	isScript := regexp.MustCompile(`\.test\.(ts|tsx|js|mjs)$`)
	out := map[string][]string{}
	for _, file := range files(t, ".", func(string) bool { return true }) {
		switch {
		case isScript.MatchString(file):
			for _, found := range script.FindAllStringSubmatch(read(t, file), -1) {
				out[file] = append(out[file], found[1])
			}
		case strings.HasSuffix(file, "_test.go"), strings.HasSuffix(file, ".go") && path.Base(path.Dir(file)) == "enginetest":
			out[file] = goTestNames(parse(t, file))
		}
	}
	return out
}

// goTestNames finds names where tests have them: the first argument of Run, and
// the tables that feed it. A failure's text may begin with a rule as well and
// is no test.
func goTestNames(f *ast.File) []string {
	var out []string
	add := func(e ast.Expr) {
		if name := leading(e); strings.HasPrefix(name, "[") {
			out = append(out, name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Run" && len(n.Args) > 0 {
				add(n.Args[0])
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					add(kv.Key)
					e = kv.Value
				}
				add(e)
			}
		}
		return true
	})
	return out
}

// leading is the string that an expression begins with; "" when it is no string.
func leading(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.BinaryExpr:
			e = x.X
		case *ast.BasicLit:
			if x.Kind == token.STRING {
				return unquoted(x)
			}
			return ""
		default:
			return ""
		}
	}
}

// unquoted is a literal's value as text: a string without its quotes.
func unquoted(lit *ast.BasicLit) string {
	if s, err := strconv.Unquote(lit.Value); err == nil {
		return s
	}
	return lit.Value
}

// files returns the files below a directory that keep accepts, with slashes.
func files(t *testing.T, dir string, keep func(name string) bool) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != dir && (base == "node_modules" || base == "dist" || base == "testdata" || base[0] == '.') {
			return fs.SkipDir
		}
		if name = filepath.ToSlash(name); !d.IsDir() && keep(name) {
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(name), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
