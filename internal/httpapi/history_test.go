package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

// A told is a history as its reader decodes it.
type told struct {
	Epoch    string
	Complete bool
	Changes  []protocol.Change
}

func TestRecordHistory(t *testing.T) {
	r := newRig(t)
	ada, ben, reader := r.token("ada", "member"), r.token("ben", "member"), r.token("eve", "reader")
	history := func(t *testing.T, id, query, token string) told {
		t.Helper()
		return into[told](r.do("GET", notes+"/"+id+"/history"+query, token, "").want(200))
	}
	r.do("PUT", notes+"/r1", ada, `{"content":"one","tags":["a"]}`).want(201)
	r.do("PUT", notes+"/r2", ada, `{"content":"another"}`).want(201)
	r.do("PATCH", notes+"/r1", ben, `{"content":"two","tags":{"add":["b"]},"votes":{"increment":2}}`).want(200)
	r.do("PATCH", notes+"/r1", ada, `{"content":""}`).want(422)
	r.do("POST", interview+"/messages", ada, `{"event":"e","payload":1}`).want(201)
	r.do("DELETE", notes+"/r1", ada, "").want(200)

	t.Run("[A6] who changed what and when, in the log's order, also of a deleted record", func(t *testing.T) {
		got := history(t, "r1", "", reader)
		if !got.Complete || got.Epoch == "" || len(got.Changes) != 3 {
			t.Fatalf("%+v", got)
		}
		made, changed, deleted := got.Changes[0], got.Changes[1], got.Changes[2]
		if made.Op != protocol.OpPut || made.By != "ada" || made.State == nil || string(made.State.Fields["content"]) != `"one"` || made.State.Version != made.Offset {
			t.Errorf("%+v", made)
		}
		if changed.By != "ben" || string(changed.Fields["content"]) != `"two"` || !changed.Sets["tags"]["b"] || changed.Counters["votes"] != 2 || changed.Time == 0 {
			t.Errorf("%+v", changed)
		}
		if deleted.Op != protocol.OpDelete || deleted.By != "ada" || deleted.Offset <= changed.Offset {
			t.Errorf("%+v", deleted)
		}
	})
	t.Run("[A6] the newest when there are more than were asked for", func(t *testing.T) {
		got := history(t, "r1", "?limit=2", ada)
		if got.Complete || len(got.Changes) != 2 || got.Changes[1].Op != protocol.OpDelete {
			t.Errorf("%+v", got)
		}
	})
	t.Run("[A6] what the rule keeps no more is not there, and that is said", func(t *testing.T) {
		for i := range 20 { // as many as the rule keeps
			r.do("PATCH", notes+"/r2", ada, fmt.Sprintf(`{"content":"version %d"}`, i)).want(200)
		}
		if got := history(t, "r2", "", ada); got.Complete || len(got.Changes) != 20 {
			t.Errorf("%d changes, complete %v", len(got.Changes), got.Complete)
		}
		if got := history(t, "r1", "", ada); got.Complete || len(got.Changes) != 0 || got.Changes == nil {
			t.Errorf("of a tombstone whose changes are gone: %+v", got)
		}
	})
	t.Run("[A6] whoever may not read the collection gets none", func(t *testing.T) {
		diary := interview + "/collections/diary/records/d1"
		r.do("PUT", diary, ada, `{"content":"secret"}`).want(201)
		if got := r.do("GET", diary+"/history", ada, ""); got.status < 400 || strings.Contains(got.body, "secret") {
			t.Errorf("%d %s", got.status, got.body)
		}
		r.do("GET", notes+"/nobody/history", ada, "").problem(404, "record_unknown")
		r.do("GET", notes+"/r1/history?limit=0", ada, "").problem(400, "invalid_payload")
	})
}
