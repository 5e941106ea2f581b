package notes_test

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/web/notes"
)

func TestRules(t *testing.T) {
	t.Run("every schema that the rules name is there and is JSON", func(t *testing.T) {
		named := regexp.MustCompile(`schema: (\S+)`).FindAllStringSubmatch(string(notes.Rules()), -1)
		if len(named) != 3 {
			t.Fatalf("rules name %d schemas, want 3", len(named))
		}
		for _, m := range named {
			text, err := fs.ReadFile(notes.Schemas(), m[1])
			if err != nil {
				t.Errorf("read: %v", err)
				continue
			}
			if !json.Valid(text) {
				t.Errorf("%s is not JSON", m[1])
			}
		}
	})
	t.Run("a caller cannot change what the next one gets", func(t *testing.T) {
		notes.Rules()[0] = '?'
		if notes.Rules()[0] == '?' {
			t.Error("rules are shared between callers")
		}
	})
}

// schema is as much of a JSON Schema as the seed can break by a slip of the pen.
type schema struct {
	Required   []string `json:"required"`
	Properties map[string]struct {
		Enum      []string `json:"enum"`
		MaxLength int      `json:"maxLength"`
	} `json:"properties"`
}

// check reports fields that the schema does not know, misses, or does not allow.
func (s schema) check(t *testing.T, record map[string]any, notFields ...string) {
	t.Helper()
	for _, name := range notFields {
		if record[name] == nil {
			t.Errorf("%v: no %s", record["id"], name)
		}
		delete(record, name)
	}
	for _, name := range s.Required {
		if record[name] == nil {
			t.Errorf("no %s in %v", name, record)
		}
	}
	for name, value := range record {
		p, ok := s.Properties[name]
		if !ok {
			t.Errorf("%s is not in the schema", name)
			continue
		}
		text, _ := value.(string)
		if p.Enum != nil && !strings.Contains(" "+strings.Join(p.Enum, " ")+" ", " "+text+" ") {
			t.Errorf("%s is %q, want one of %q", name, text, p.Enum)
		}
		if p.MaxLength > 0 && len(text) > p.MaxLength {
			t.Errorf("%s has %d bytes, more than %d", name, len(text), p.MaxLength)
		}
	}
}

func load(t *testing.T, path string) (s schema) {
	t.Helper()
	text, err := fs.ReadFile(notes.Schemas(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeed(t *testing.T) {
	var seed struct{ Projects, Interviews, Notes []map[string]any }
	if err := json.Unmarshal(notes.Seed(), &seed); err != nil {
		t.Fatal(err)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	seen := map[any]bool{}
	isNew := func(t *testing.T, record map[string]any) {
		t.Helper()
		id, _ := record["id"].(string)
		if !uuid.MatchString(id) || seen[id] {
			t.Errorf("id %q is no UUID or is used twice", id)
		}
		seen[id] = true
	}

	t.Run("every record has an id of its own and satisfies its schema", func(t *testing.T) {
		project, interview, note := load(t, "schemas/project.json"), load(t, "schemas/interview.json"), load(t, "schemas/note.json")
		for _, p := range seed.Projects {
			isNew(t, p)
			project.check(t, p, "id")
		}
		for _, i := range seed.Interviews {
			isNew(t, i)
			if !seen[i["projectId"]] {
				t.Errorf("interview %v is in no project", i["id"])
			}
			interview.check(t, i, "id", "projectId")
		}
		for _, n := range seed.Notes {
			isNew(t, n)
			if !seen[n["interviewId"]] {
				t.Errorf("note %v is in no interview", n["id"])
			}
			note.check(t, n, "id", "interviewId", "authorSub", "minutesAgo")
		}
	})
	t.Run("there is a study to look at", func(t *testing.T) {
		if len(seed.Projects) < 2 || len(seed.Interviews) < 3 || len(seed.Notes) < 40 {
			t.Errorf("%d projects, %d interviews, %d notes", len(seed.Projects), len(seed.Interviews), len(seed.Notes))
		}
	})
}

func TestApp(t *testing.T) {
	t.Run("an app that is said to be there has a page", func(t *testing.T) {
		app, ok := notes.App()
		if !ok {
			return // built without Node: there is nothing to serve, and App says so
		}
		page, err := fs.ReadFile(app, "index.html")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), `<div id="root">`) {
			t.Error("index.html has no root element")
		}
	})
}
