package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/wire.txt with the wire as it is now")

const instructions = `The wire is not what testdata/wire.txt says. Every client that was ever published lives with such a change.
If it is meant:
  1. see that an unmodified Supabase or Phoenix client, and an older @chorale/client, go on working with it;
  2. describe it in docs/protocol.md, and show it in conformance/frames and conformance/sessions;
  3. run: go test ./protocol -run TestWire -update
  4. add a line to "History of the wire" in docs/protocol.md, with the hash %s.
The change (-written +now):
%s`

// TestWire fails when a frame, a code, a limit or a shape of a payload changes
// without being written down.
func TestWire(t *testing.T) {
	file := filepath.Join("testdata", "wire.txt")
	now := describeWire(t)
	sum := sha256.Sum256([]byte(now))
	hash := hex.EncodeToString(sum[:6])
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(written), "\n"), strings.Split(now, "\n")); d != "" {
		t.Errorf(instructions, hash, d)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, history, found := strings.Cut(string(page), "## 11. History of the wire")
	if rows := strings.Split(strings.TrimSpace(history), "\n"); !found || !strings.Contains(rows[len(rows)-1], "`"+hash+"`") {
		t.Errorf("the last line of \"History of the wire\" in docs/protocol.md does not have the hash `%s` of testdata/wire.txt", hash)
	}
}

// describeWire is everything in this package that two sides must agree on, as
// text: its constants as they are written, and the shapes of its payloads.
func describeWire(t *testing.T) string {
	var out strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			describeConstants(t, &out, file)
		}
	}
	for _, shape := range []any{
		Mutation{}, Record{}, Change{}, Outcome{}, Error{}, ChoraleJoin{}, JoinReply{}, RecordsPage{}, Synced{},
	} {
		fmt.Fprintf(&out, "\n%s\n", reflect.TypeOf(shape).Name())
		describeShape(&out, reflect.TypeOf(shape), "  ")
	}
	return out.String()
}

// ours are constants that nobody outside can see.
var ours = []string{"headroom", "hexDigits"}

func describeConstants(t *testing.T, out *strings.Builder, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			for i, name := range v.Names {
				if slices.Contains(ours, name.Name) {
					continue
				}
				var value bytes.Buffer
				if i < len(v.Values) {
					if err := format.Node(&value, token.NewFileSet(), v.Values[i]); err != nil {
						t.Fatal(err)
					}
				}
				fmt.Fprintf(out, "%s = %s\n", name.Name, value.String())
			}
		}
	}
}

// describeShape writes the keys of a struct as encoding/json has them, each with
// the type of its value.
func describeShape(out *strings.Builder, t reflect.Type, indent string) {
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		if strings.Contains(options, "omitempty") {
			key += "?"
		}
		fmt.Fprintf(out, "%s%s: %s\n", indent, key, jsonType(f.Type))
		if inner := f.Type; inner.Kind() == reflect.Pointer && inner.Elem().Name() == "" {
			describeShape(out, inner.Elem(), indent+"  ")
		}
	}
}

// jsonType is what a value of a Go type is in JSON.
func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return "any"
	case t.PkgPath() == "github.com/chorale-rt/chorale/protocol" && t.Kind() == reflect.Struct:
		return t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		return "array of " + jsonType(t.Elem())
	case reflect.Map:
		return "object of " + jsonType(t.Elem())
	case reflect.Struct:
		return "object"
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	}
	return "whole number"
}
