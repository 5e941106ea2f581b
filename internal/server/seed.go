package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/protocol"
	"github.com/chorale-rt/chorale/web/notes"
)

// sample is the sample project of the app (web/notes/seed.json).
type sample struct {
	Projects   []sampleRecord `json:"projects"`
	Interviews []sampleRecord `json:"interviews"`
	Notes      []sampleNote   `json:"notes"`
}

// sampleRecord is a project or an interview: ids, and fields beside them.
type sampleRecord map[string]json.RawMessage

func (r sampleRecord) text(name string) string {
	var s string
	_ = json.Unmarshal(r[name], &s) // what is not a string is "", which no record may have as id
	return s
}

// fields are what is not an id.
func (r sampleRecord) fields() map[string]json.RawMessage {
	out := maps.Clone(r)
	delete(out, "id")
	delete(out, "projectId")
	return out
}

type sampleNote struct {
	ID          string   `json:"id"`
	InterviewID string   `json:"interviewId"`
	AuthorSub   string   `json:"authorSub"`
	AuthorName  string   `json:"authorName"`
	MinutesAgo  int64    `json:"minutesAgo"`
	Content     string   `json:"content"`
	TimestampMs int64    `json:"timestampMs"`
	Kind        string   `json:"kind"`
	Tags        []string `json:"tags"`
}

// seed writes the sample project into an empty log, through the same door as
// everybody's mutations. It is exactly-once by its client id: a start that was
// cut short is finished by the next.
func (s *Server) seed(ctx context.Context) error {
	if !s.hasApp() {
		return nil
	}
	_, projects, err := s.records.Load(ctx, workspace.Log(), "projects", 0)
	if err != nil {
		return fmt.Errorf("sample project: %w", err)
	}
	if len(projects) > 0 {
		return nil
	}
	var data sample
	if err := json.Unmarshal(notes.Seed(), &data); err != nil {
		return fmt.Errorf("sample project: %w", err)
	}
	w := seeder{server: s, ctx: ctx, now: time.Now(), counts: make(map[string]uint64)}
	w.at = w.now
	w.records = collection.New(s.engine, collection.Options{Clock: func() time.Time { return w.at }})
	for _, n := range data.Notes {
		w.note(n)
	}
	for _, i := range data.Interviews {
		w.put("project:"+i.text("projectId"), "interviews", i.text("id"), "sample", w.now, i.fields(), nil)
	}
	// Last, because their presence says that the sample is whole.
	for _, p := range data.Projects {
		w.put(workspace.Name, "projects", p.text("id"), "sample", w.now, p.fields(), nil)
	}
	return w.err
}

// hasApp says whether the rules are the app's, or leave it its collections.
func (s *Server) hasApp() bool {
	for channel, kind := range map[string]string{workspace.Name: "projects", "project:1": "interviews", "interview:1": "notes"} {
		target := s.policy.Load().Channel(protocol.Channel{Name: channel, Private: true}).Target(&auth.Identity{})
		if _, ok := target.Specs[kind]; !ok {
			s.opts.Logger.Info("no sample project: the rules have no such collection", "channel", channel, "collection", kind)
			return false
		}
	}
	return true
}

var workspace = protocol.Channel{Name: "workspace:main", Private: true}

type seeder struct {
	server  *Server
	ctx     context.Context
	now     time.Time
	at      time.Time // the moment that the sample pretends to be written at
	records *collection.Store
	counts  map[string]uint64 // of mutations, per channel and author
	err     error             // the first
}

func (w *seeder) note(n sampleNote) {
	fields := map[string]any{"content": n.Content, "timestampMs": n.TimestampMs, "authorName": n.AuthorName, "kind": n.Kind}
	raw := make(map[string]json.RawMessage, len(fields))
	for name, value := range fields {
		encoded, err := json.Marshal(value)
		if err != nil {
			w.err = err
			return
		}
		raw[name] = encoded
	}
	tags := make(map[string]bool, len(n.Tags))
	for _, t := range n.Tags {
		tags[t] = true
	}
	at := w.now.Add(-time.Duration(n.MinutesAgo) * time.Minute)
	w.put("interview:"+n.InterviewID, "notes", n.ID, n.AuthorSub, at, raw, map[string]map[string]bool{"tags": tags})
}

func (w *seeder) put(channel, kind, id, author string, at time.Time, fields map[string]json.RawMessage, sets map[string]map[string]bool) {
	if w.err != nil {
		return
	}
	identity := &auth.Identity{Subject: author, Role: "editor", Claims: map[string]any{"sub": author, "role": "editor"}}
	name := protocol.Channel{Name: channel, Private: true}
	client := "sample-" + author
	w.counts[channel+"\x00"+client]++
	m := protocol.Mutation{
		Client: client, N: w.counts[channel+"\x00"+client], ID: id, At: protocol.FormatTime(at.UnixMilli(), 0),
		Op: protocol.OpPut, Collection: kind, Record: id, Fields: fields, Sets: sets,
	}
	w.at = at
	outcome, fault := w.records.Apply(w.ctx, w.server.policy.Load().Channel(name).Target(identity), &m, collection.Author{Subject: author})
	switch {
	case fault != nil:
		w.err = fmt.Errorf("sample project: %s %s: %w", kind, id, fault)
	case outcome.Status == protocol.StatusRejected:
		w.err = fmt.Errorf("sample project: %s %s: %w", kind, id, outcome.Error)
	}
}
