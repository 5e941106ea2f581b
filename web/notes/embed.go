package notes

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

//go:embed rules.yaml
var rules string

//go:embed schemas/*.json
var schemas embed.FS

//go:embed seed.json
var seed string

// App returns the built web app, rooted at its index.html, and whether there
// is one: it is false when the binary was built without `npm run build`.
//
// File names under assets/ carry a hash of their content and may be cached for
// ever; index.html may not. Unknown paths are the app's own routes and get
// index.html.
func App() (fs.FS, bool) {
	app, err := fs.Sub(dist, "dist")
	if err != nil { // only an invalid path is an error, and "dist" is valid
		return nil, false
	}
	if _, err := fs.Stat(app, "index.html"); err != nil {
		return nil, false
	}
	return app, true
}

// Rules returns the rules of the app's channels, in YAML. The schema paths in
// it are paths of [Schemas].
func Rules() []byte { return []byte(rules) }

// Schemas returns the JSON Schemas (draft 2020-12) of the app's collections
// under the paths that the rules name them by: schemas/project.json,
// schemas/interview.json and schemas/note.json. They describe a record's
// fields, sets (as arrays) and counters side by side in one object.
func Schemas() fs.FS { return schemas }

// Seed returns a study to show in an empty workspace, in JSON:
//
//	{"projects":   [{"id", …fields}],
//	 "interviews": [{"id", "projectId", …fields}],
//	 "notes":      [{"id", "interviewId", "authorSub", "authorName", "minutesAgo",
//	                 "content", "timestampMs", "kind", "tags"}]}
//
// Ids are UUIDs. minutesAgo says how long ago a note was made, so that the
// study is as young as the data directory.
func Seed() []byte { return []byte(seed) }
