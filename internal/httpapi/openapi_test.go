package httpapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A document is openapi.yaml as this test walks it.
type document struct {
	t       *testing.T
	root    map[string]any
	schemas *jsonschema.Compiler
}

func openDocument(t *testing.T) *document {
	t.Helper()
	data, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("https://chorale.test/openapi.json", root); err != nil {
		t.Fatal(err)
	}
	return &document{t: t, root: root.(map[string]any), schemas: compiler}
}

// at follows a JSON pointer, and the references on the way. It returns where
// the value stands as well; nil when there is none.
func (d *document) at(pointer string) (any, string) {
	var here any = d.root
	path := ""
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch v := here.(type) {
		case map[string]any:
			here = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return nil, ""
			}
			here = v[i]
		default:
			return nil, ""
		}
		path += "/" + step
		if m, ok := here.(map[string]any); ok && m["$ref"] != nil {
			return d.at(strings.TrimPrefix(m["$ref"].(string), "#") + strings.TrimPrefix(pointer, path))
		}
	}
	return here, path
}

func escape(step string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(step) }

// check fails unless the JSON satisfies the schema at a pointer.
func (d *document) check(pointer, body string) {
	d.t.Helper()
	_, pointer = d.at(pointer)
	schema, err := d.schemas.Compile("https://chorale.test/openapi.json#" + pointer)
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		d.t.Fatalf("%v in %s", err, body)
	}
	if err := schema.Validate(value); err != nil {
		d.t.Errorf("%v\nin %s", err, body)
	}
}

// An operation is one method of one path.
type operation struct {
	*document
	id, method, path string
	pointer          string
	prefixes         []string
	open             bool // takes no token
	parameters       []map[string]any
}

func (d *document) operations() []operation {
	var out []operation
	paths := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			op, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			o := operation{document: d, id: op["operationId"].(string), method: strings.ToUpper(method), path: path,
				pointer: "/paths/" + escape(path) + "/" + method, prefixes: []string{""}}
			if servers, ok := item["servers"].([]any); ok {
				o.prefixes = nil
				for _, s := range servers {
					o.prefixes = append(o.prefixes, strings.TrimSuffix(s.(map[string]any)["url"].(string), "/"))
				}
			}
			security, ok := op["security"].([]any)
			o.open = ok && len(security) == 0
			for _, list := range []string{"/paths/" + escape(path), o.pointer} {
				found, _ := d.at(list + "/parameters")
				parameters, _ := found.([]any)
				for i := range parameters {
					p, _ := d.at(list + "/parameters/" + strconv.Itoa(i))
					o.parameters = append(o.parameters, p.(map[string]any))
				}
			}
			out = append(out, o)
		}
	}
	return out
}

// url fills the path's parameters from their examples, but for those given.
func (o *operation) url(given map[string]string) string {
	path := o.path
	for _, p := range o.parameters {
		if p["in"] == "path" {
			name := p["name"].(string)
			value, ok := given[name]
			if !ok {
				value = p["example"].(string)
			}
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		}
	}
	return path
}

// example is the body of the good request; "" without one.
func (o *operation) example() string {
	found, pointer := o.at(o.pointer + "/requestBody/content/application~1json")
	if found == nil {
		return ""
	}
	example, err := json.Marshal(found.(map[string]any)["example"])
	if err != nil {
		o.t.Fatal(err)
	}
	o.check(pointer+"/schema", string(example))
	return string(example)
}

// answered fails unless the document says that this may be answered.
func (o *operation) answered(got reply) {
	o.t.Helper()
	at := o.pointer + "/responses/" + strconv.Itoa(got.status)
	if found, _ := o.at(at); found == nil {
		at = o.pointer + "/responses/default"
		if found, _ := o.at(at); found == nil || got.status < 400 {
			o.t.Fatalf("answers %d %s, which is not documented", got.status, got.body)
		}
	}
	content, _ := o.at(at + "/content")
	if content == nil {
		if got.body != "" {
			o.t.Errorf("answers %d with a body: %s", got.status, got.body)
		}
		return
	}
	kind := got.header.Get("Content-Type")
	if content.(map[string]any)[kind] == nil {
		o.t.Fatalf("answers %d as %s: %s", got.status, kind, got.body)
	}
	if kind != "application/octet-stream" {
		o.check(at+"/content/"+escape(kind)+"/schema", got.body)
	}
}

// wrong are requests that differ from the good one in one thing.
func (o *operation) wrong() map[string]func(r *rig, base, token string) reply {
	out := map[string]func(r *rig, base, token string) reply{}
	if body := o.example(); body != "" {
		out["a body that is no JSON"] = func(r *rig, base, token string) reply { return r.do(o.method, base, token, "{") }
		out["a body of another kind"] = func(r *rig, base, token string) reply { return r.do(o.method, base, token, `"text"x`) }
		out["a body of ten megabytes"] = func(r *rig, base, token string) reply {
			return r.do(o.method, base, token, `{"x":"`+strings.Repeat("x", 10<<20)+`"}`)
		}
	}
	for _, p := range o.parameters {
		name := p["name"].(string)
		schema, _ := p["schema"].(map[string]any)
		switch kind := schema["type"]; {
		case p["in"] == "path" && name == "name":
			out["a channel's name of 300 bytes"] = func(r *rig, _, token string) reply {
				return r.do(o.method, o.url(map[string]string{"name": strings.Repeat("x", 300)}), token, o.example())
			}
		case p["in"] == "query" && kind == "integer":
			out["?"+name+"=x"] = func(r *rig, base, token string) reply { return r.do(o.method, base+"?"+name+"=x", token, o.example()) }
			out["?"+name+" too large"] = func(r *rig, base, token string) reply {
				return r.do(o.method, base+"?"+name+"=18446744073709551615", token, o.example())
			}
		case p["in"] == "query" && name == "private" && strings.HasPrefix(o.path, "/api/v1"):
			out["?private=perhaps"] = func(r *rig, base, token string) reply {
				return r.do(o.method, base+"?private=perhaps", token, o.example())
			}
		case p["in"] == "header" && name != "Idempotency-Key":
			out[name+" that is none"] = func(r *rig, base, token string) reply { return r.do(o.method, base, token, o.example(), name, "x") }
		}
	}
	return out
}

func TestOpenAPI(t *testing.T) {
	for _, o := range openDocument(t).operations() {
		for _, prefix := range o.prefixes {
			t.Run(prefix+" "+o.id, func(t *testing.T) {
				t.Parallel() // a refused body makes net/http linger for half a second
				o := o
				o.document = openDocument(t)
				r := newRig(t)
				admin := r.token("backend", "service_role")
				given := prepare(r, &o)
				base := prefix + o.url(given)
				got := r.do(o.method, base, admin, o.example())
				if got.status >= 300 {
					t.Fatalf("the good request: %d %s", got.status, got.body)
				}
				o.answered(got)
				if !o.open {
					got := r.do(o.method, base, "", o.example())
					o.answered(got.want(http.StatusUnauthorized))
				}
				wrong := o.wrong()
				for _, name := range slices.Sorted(maps.Keys(wrong)) {
					got := wrong[name](r, base, admin)
					if got.status < 400 || got.status > 499 {
						t.Errorf("%s: %d %s", name, got.status, got.body)
					}
					o.answered(got)
				}
			})
		}
	}
}

// prepare brings about what the good request of an operation speaks of, and
// returns the path's parameters that are not those of the example.
func prepare(r *rig, o *operation) map[string]string {
	admin := r.token("backend", "service_role")
	r.join("interview:1", "ada")
	switch o.id {
	case "getRecord", "getRecordHistory", "patchRecord", "listRecords":
		r.do("PUT", "/api/v1/channels/interview:1/collections/notes/records/r1", admin, `{"content":"x","tags":["a"]}`).want(201)
	case "history":
		r.do("POST", "/api/v1/channels/interview:1/messages", admin, `{"event":"e","payload":[1]}`).want(201)
	case "listRevocations", "deleteRevocation":
		made := into[revocation](r.do("POST", "/api/v1/admin/revocations", admin, `{"sub":"mallory","issuedBefore":1764000000000}`).want(201))
		return map[string]string{"id": made.ID}
	}
	return nil
}

// recorder is a Router that only notes what it is told.
type recorder []string

func (r *recorder) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	*r = append(*r, pattern)
}

func TestEveryRouteIsDocumented(t *testing.T) {
	r := newRig(t)
	var registered recorder
	r.api.Register(&registered)
	documented := map[string]bool{}
	for _, o := range openDocument(t).operations() {
		for _, prefix := range o.prefixes {
			documented[o.method+" "+prefix+o.path] = true
		}
	}
	// Preflights, and the answer for paths that are no route, are none.
	none := regexp.MustCompile(`^OPTIONS |/$`)
	for _, pattern := range registered {
		if !none.MatchString(pattern) && !documented[pattern] {
			t.Errorf("openapi.yaml does not have %s", pattern)
		}
		delete(documented, pattern)
	}
	for pattern := range documented {
		t.Errorf("openapi.yaml has %s, which is not served", pattern)
	}
}

func TestEverythingInTheDocumentIsUsed(t *testing.T) {
	data, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	for kind, all := range openDocument(t).root["components"].(map[string]any) {
		for name := range all.(map[string]any) {
			if kind != "securitySchemes" && !bytes.Contains(data, []byte(`"#/components/`+kind+"/"+name+`"`)) {
				t.Errorf("nothing refers to %s/%s", kind, name)
			}
		}
	}
}
