package httpapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/protocol"
)

const notes = interview + "/collections/notes/records"

func record(r *rig, token, id string) protocol.Record {
	r.t.Helper()
	return into[protocol.Record](r.do("GET", notes+"/"+id, token, "").want(200))
}

func TestSimpleForms(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	t.Run("PUT makes a record of plain values", func(t *testing.T) {
		got := r.do("PUT", notes+"/r1", ada, `{"content":"one","tags":["b","a"],"votes":{"increment":2},"extra":[1]}`).want(201)
		if w := into[written](got); w.Status != "applied" || w.Offset != 1 || w.Duplicate || got.header.Get("ETag") != `"1"` {
			t.Errorf("%+v %v", w, got.header)
		}
		rec := record(r, ada, "r1")
		if fmt.Sprint(rec.Sets["tags"]) != "[a b]" || rec.Counters["votes"] != 2 || string(rec.Fields["extra"]) != "[1]" || rec.CreatedBy != "ada" || rec.Version != 1 {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("PUT of a record that is there changes it", func(t *testing.T) {
		r.do("PUT", notes+"/r1", ada, `{"tags":["b","c"],"votes":{"increment":1}}`).want(200)
		rec := record(r, ada, "r1")
		if fmt.Sprint(rec.Sets["tags"]) != "[b c]" || rec.Counters["votes"] != 3 || string(rec.Fields["content"]) != `"one"` {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("PATCH changes parts", func(t *testing.T) {
		r.do("PATCH", notes+"/r1", ada, `{"content":"two","tags":{"add":["d"],"remove":["b"]}}`).want(200)
		rec := record(r, ada, "r1")
		if fmt.Sprint(rec.Sets["tags"]) != "[c d]" || string(rec.Fields["content"]) != `"two"` {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("DELETE deletes, and once more is no error", func(t *testing.T) {
		r.do("DELETE", notes+"/r1", ada, "").want(200)
		r.do("GET", notes+"/r1", ada, "").problem(410, "record_deleted")
		if w := into[written](r.do("DELETE", notes+"/r1", ada, "").want(200)); w.Status != "noop" {
			t.Errorf("%+v", w)
		}
		r.do("PATCH", notes+"/r1", ada, `{"content":"x"}`).problem(410, "record_deleted")
	})
	t.Run("PUT brings a deleted record back", func(t *testing.T) {
		r.do("PUT", notes+"/r1", ada, `{"content":"back"}`).want(200)
		if rec := record(r, ada, "r1"); string(rec.Fields["content"]) != `"back"` || rec.Counters["votes"] != 3 {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("PATCH of what was never there", func(t *testing.T) {
		r.do("PATCH", notes+"/nobody", ada, `{"content":"x"}`).problem(404, "record_unknown")
		r.do("GET", notes+"/nobody", ada, "").problem(404, "record_unknown")
	})
	for name, tt := range map[string]struct {
		body   string
		status int
		code   string
		path   string
	}{
		"[M5] a value that the schema does not allow": {`{"content":""}`, 422, "schema_violation", "/content"},
		"[M6] a name of the server's":                 {`{"createdBy":"me"}`, 422, "invalid_mutation", "/fields/createdBy"},
		"a number for a counter":                      {`{"votes":1}`, 422, "invalid_mutation", "/votes"},
		"a body that is no object":                    {`[1]`, 400, "invalid_payload", ""},
		"null":                                        {`null`, 400, "invalid_payload", ""},
		"[R7] a record above the limit":               {`{"content":"` + strings.Repeat("x", protocol.MaxRecordBytes) + `"}`, 413, "record_too_large", ""},
		"[R7] a body far above it":                    {`{"content":"` + strings.Repeat("x", 2*protocol.MaxRecordBytes) + `"}`, 413, "payload_size_exceeded", ""},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if got := r.do("PATCH", notes+"/r1", ada, tt.body).problem(tt.status, tt.code); got.Path != tt.path {
				t.Errorf("path %q", got.Path)
			}
		})
	}
	t.Run("[J3] an unknown collection", func(t *testing.T) {
		r.do("PUT", interview+"/collections/cats/records/r1", ada, `{}`).problem(404, "unknown_collection")
		r.do("PUT", room+"/collections/notes/records/r1", ada, `{}`).problem(404, "unknown_collection")
		r.do("POST", room+"/mutations", ada, `{}`).problem(404, "unknown_collection")
	})
}

func TestPreconditions(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	r.do("PUT", notes+"/r1", ada, `{"content":"one"}`, "If-None-Match", "*").want(201)
	t.Run("[M4] a record that must not be there, and is", func(t *testing.T) {
		got := r.do("PUT", notes+"/r1", ada, `{"content":"two"}`, "If-None-Match", "*").problem(412, "version_conflict")
		if got.Record == nil || got.Record.Version != 1 {
			t.Errorf("%+v", got.Record)
		}
	})
	t.Run("[M4] the version that was read", func(t *testing.T) {
		etag := r.do("GET", notes+"/r1", ada, "").want(200).header.Get("ETag")
		r.do("PATCH", notes+"/r1", ada, `{"content":"two"}`, "If-Match", etag).want(200)
		r.do("PATCH", notes+"/r1", ada, `{"content":"three"}`, "If-Match", etag).problem(412, "version_conflict")
		r.do("DELETE", notes+"/r1", ada, "", "If-Match", etag).problem(412, "version_conflict")
	})
	t.Run("the current record is not for those who may not read", func(t *testing.T) {
		diary := interview + "/collections/diary/records/d1"
		r.do("PUT", diary, ada, `{"secret":1}`).want(201)
		got := r.do("PUT", diary, ada, `{"secret":2}`, "If-None-Match", "*").problem(412, "version_conflict")
		if got.Record != nil {
			t.Errorf("%+v", got.Record)
		}
		push := `{"client":"c","n":1,"at":"0192f0c12b3c0001","op":"put","collection":"diary","record":"d1"}`
		if o := into[mutatedList](r.do("POST", interview+"/mutations", ada, push).want(200)).Results[0].Outcome; o.Status != "exists" || o.State != nil {
			t.Errorf("%+v", o)
		}
	})
	for _, header := range []string{`W/"1"`, "*", `"x"`, "-1"} {
		t.Run("refused: If-Match: "+header, func(t *testing.T) {
			r.do("PATCH", notes+"/r1", ada, `{}`, "If-Match", header).problem(400, "invalid_payload")
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	vote := func(token, key string) reply {
		return r.do("PATCH", notes+"/r1", token, `{"votes":{"increment":1}}`, "Idempotency-Key", key)
	}
	r.do("PUT", notes+"/r1", ada, `{"content":"one"}`).want(201)
	t.Run("[A2] [R4] the same key has its effect once, and the first answer", func(t *testing.T) {
		first := into[written](vote(ada, "k1").want(200))
		got := vote(ada, "k1").want(200)
		again := into[written](got)
		if !again.Duplicate || again.Offset != first.Offset || first.Duplicate || got.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%+v %+v", first, again)
		}
		if n := record(r, ada, "r1").Counters["votes"]; n != 1 {
			t.Errorf("%v votes", n)
		}
	})
	t.Run("[A2] at once, too", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := vote(ada, "k2"); got.status != 200 {
					t.Error(got.status, got.body)
				}
			})
		}
		wg.Wait()
		if n := record(r, ada, "r1").Counters["votes"]; n != 2 {
			t.Errorf("%v votes", n)
		}
	})
	t.Run("[A2] keys are each identity's own", func(t *testing.T) {
		vote(r.token("ben", "member"), "k1").want(200)
		vote(r.token("ada", "service_role"), "k1").want(200)
		if n := record(r, ada, "r1").Counters["votes"]; n != 4 {
			t.Errorf("%v votes", n)
		}
	})
	t.Run("[A2] a refusal is repeated as well", func(t *testing.T) {
		put := func() reply { return r.do("PATCH", notes+"/r1", ada, `{"content":""}`, "Idempotency-Key", "bad") }
		put().problem(422, "schema_violation")
		put().problem(422, "schema_violation")
	})
	t.Run("without a key each request is a write of its own", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := r.do("PATCH", notes+"/r1", ada, `{"votes":{"increment":1}}`); got.status != 200 {
					t.Error(got.status, got.body)
				}
			})
		}
		wg.Wait()
		if n := record(r, ada, "r1").Counters["votes"]; n != 12 {
			t.Errorf("%v votes", n)
		}
	})
	t.Run("[R7] a key of 256 bytes is refused", func(t *testing.T) { vote(ada, strings.Repeat("k", 256)).problem(400, "invalid_payload") })
}

func TestIdempotencyKeyAfterARestart(t *testing.T) {
	dir := t.TempDir()
	vote := func(r *rig) written {
		return into[written](r.do("PUT", notes+"/r1", r.token("ada", "member"), `{"content":"x","votes":{"increment":1}}`, "Idempotency-Key", "k"))
	}
	t.Run("before", func(t *testing.T) { vote(newRigOn(t, embedded.Options{Dir: dir})) })
	t.Run("[A2] [R4] a repeat after a restart is found", func(t *testing.T) {
		r := newRigOn(t, embedded.Options{Dir: dir})
		if again := vote(r); !again.Duplicate || again.Offset != 1 {
			t.Errorf("%+v", again)
		}
		r.do("PATCH", notes+"/r1", r.token("ada", "member"), `{"votes":{"increment":1}}`).want(200)
		if n := record(r, r.token("ada", "member"), "r1").Counters["votes"]; n != 2 {
			t.Errorf("%v votes", n)
		}
	})
}

func TestAWriteThatIsOvertaken(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	t.Run("a clock that is behind what it has seen still writes newer", func(t *testing.T) {
		ahead := protocol.FormatTime(time.Now().Add(50*time.Second).UnixMilli(), 0xffff)
		push := fmt.Sprintf(`{"client":"c","n":1,"at":%q,"op":"put","collection":"notes","record":"r2","fields":{"content":"ahead"},"sets":{"tags":{"a":true}}}`, ahead)
		r.do("POST", interview+"/mutations", ada, push).want(200)
		w := into[written](r.do("PATCH", notes+"/r2", ada, `{"content":"newer","tags":[]}`).want(200))
		if rec := record(r, ada, "r2"); w.Status != "applied" || len(w.Lost) > 0 || string(rec.Fields["content"]) != `"newer"` || len(rec.Sets["tags"]) != 0 {
			t.Errorf("%+v %+v", w, rec)
		}
	})
	for name, tt := range map[string]struct {
		outcome protocol.Outcome
		op      protocol.Op
		method  string
		want    bool
	}{
		"PUT finds the record made meanwhile":     {protocol.Outcome{Status: "exists"}, "put", "PUT", true},
		"PUT finds the record deleted meanwhile":  {protocol.Outcome{Status: "gone"}, "patch", "PUT", true},
		"PUT finds the record restored meanwhile": {protocol.Outcome{Status: "noop"}, "restore", "PUT", true},
		"PUT has nothing to do":                   {protocol.Outcome{Status: "noop"}, "patch", "PUT", false},
		"PUT repeats and cannot know":             {protocol.Outcome{Status: "noop", Duplicate: true}, "patch", "PUT", true},
		"PATCH finds no record":                   {protocol.Outcome{Status: "gone"}, "patch", "PATCH", false},
		"PATCH was too old":                       {protocol.Outcome{Status: "superseded"}, "patch", "PATCH", true},
		"DELETE finds no record":                  {protocol.Outcome{Status: "noop"}, "delete", "DELETE", false},
		"PUT is refused":                          {protocol.Outcome{Status: "rejected"}, "put", "PUT", false},
	} {
		t.Run(name, func(t *testing.T) {
			if w := (&write{method: tt.method}); w.overtaken(tt.op, tt.outcome) != tt.want {
				t.Errorf("want %v", tt.want)
			}
		})
	}
}

func TestAfter(t *testing.T) {
	at := func(ms int64, counter uint16) protocol.Stamp {
		return protocol.MakeStamp(protocol.FormatTime(ms, counter), "c")
	}
	for _, tt := range []struct {
		name   string
		record *protocol.Record
		want   string
	}{
		{"no record", nil, protocol.FormatTime(1000, 0)},
		{"an older record", &protocol.Record{Stamps: map[string]protocol.Stamp{"a": at(999, 7)}}, protocol.FormatTime(1000, 0)},
		{"one of the same moment", &protocol.Record{Stamps: map[string]protocol.Stamp{"a": at(1000, 0)}}, protocol.FormatTime(1000, 1)},
		{"a set that is ahead", &protocol.Record{SetStamps: map[string]map[string]string{"s": {"e": "-" + string(at(2000, 3))}}}, protocol.FormatTime(2000, 4)},
		{"a deletion whose counter is full", &protocol.Record{Deleted: at(2000, 0xffff)}, protocol.FormatTime(2001, 0)},
	} {
		t.Run("[M2] newer than "+tt.name, func(t *testing.T) {
			if got := after(tt.record, 1000); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestListRecords(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	for i := range 5 {
		r.do("PUT", fmt.Sprintf("%s/r%d", notes, i), ada, `{"content":"x"}`).want(201)
	}
	list := func(t *testing.T, query string) recordPage {
		t.Helper()
		return into[recordPage](r.do("GET", notes+"?"+query, ada, "").want(200))
	}
	all := func(t *testing.T, query string) (ids []string, last recordPage) {
		t.Helper()
		for last = list(t, query); ; last = list(t, "limit=2&cursor="+last.Cursor) {
			for _, raw := range last.Records {
				ids = append(ids, idOf(protocol.StoredRecord{Data: raw}))
			}
			if last.Cursor == "" {
				return ids, last
			}
		}
	}
	ids, last := all(t, "limit=2")
	t.Run("all pages together are all records", func(t *testing.T) {
		if got := fmt.Sprint(ids); got != "[r0 r1 r2 r3 r4]" || last.Offset != 5 {
			t.Error(got, last.Offset)
		}
	})
	t.Run("[S3] what changed since then, deleted ones too", func(t *testing.T) {
		r.do("DELETE", notes+"/r1", ada, "").want(200)
		r.do("PATCH", notes+"/r3", ada, `{"content":"y"}`).want(200)
		page := list(t, fmt.Sprintf("since=%d&epoch=%s", last.Offset, last.Epoch))
		var first protocol.Record
		if err := json.Unmarshal(page.Records[0], &first); err != nil || len(page.Records) != 2 || first.ID != "r1" || first.Deleted == "" || page.Offset != 7 {
			t.Errorf("%v %+v", err, page)
		}
	})
	t.Run("[A3] what changes between two pages comes with the next position", func(t *testing.T) {
		first := list(t, "limit=2")
		r.do("PATCH", notes+"/r0", ada, `{"content":"z"}`).want(200)
		_, end := all(t, "limit=2&cursor="+first.Cursor)
		if end.Offset != first.Offset {
			t.Fatalf("offset %d, want %d", end.Offset, first.Offset)
		}
		page := list(t, fmt.Sprintf("since=%d&epoch=%s", end.Offset, end.Epoch))
		if len(page.Records) != 1 || idOf(protocol.StoredRecord{Data: page.Records[0]}) != "r0" {
			t.Errorf("%s", page.Records)
		}
	})
	for name, tt := range map[string]struct {
		query  string
		status int
		code   string
	}{
		"another epoch":           {"since=1&epoch=another", 410, "epoch"},
		"ahead of the log":        {"since=99&epoch=" + last.Epoch, 410, "future"},
		"an offset with no epoch": {"since=1", 400, "invalid_payload"},
		"a cursor of one's own":   {"cursor=abc", 400, "invalid_payload"},
		"a cursor of another log": {"cursor=" + cursor{Epoch: "x", After: "r1"}.String(), 410, "epoch"},
		"a limit of 501":          {"limit=501", 400, "invalid_payload"},
	} {
		t.Run("[A3] refused: "+name, func(t *testing.T) { r.do("GET", notes+"?"+tt.query, ada, "").problem(tt.status, tt.code) })
	}
	t.Run("[R7] a page ends before it is large", func(t *testing.T) {
		for i := range 20 {
			r.do("PUT", fmt.Sprintf("%s/large%02d", notes, i), ada, `{"content":"`+strings.Repeat("x", 250<<10)+`"}`).want(201)
		}
		if page := list(t, ""); page.Cursor == "" || len(page.Records) > 25 {
			t.Errorf("%d records, cursor %q", len(page.Records), page.Cursor)
		}
	})
	t.Run("ids of any characters can be named", func(t *testing.T) {
		id := `a/b?c#"%`
		r.do("PUT", notes+"/"+url.PathEscape(id), ada, `{"content":"x"}`).want(201)
		if rec := record(r, ada, url.PathEscape(id)); rec.ID != id {
			t.Error(rec.ID)
		}
	})
}

func TestMutations(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	push := func(n int, op, record, fields string) string {
		return fmt.Sprintf(`{"client":"c1","n":%d,"id":"i%d","at":"0192f0c12b3c%04x","op":%q,"collection":"notes","record":%q,"fields":%s}`, n, n, n, op, record, fields)
	}
	send := func(t *testing.T, token, body string) []mutated {
		t.Helper()
		return into[mutatedList](r.do("POST", interview+"/mutations", token, body).want(200)).Results
	}
	t.Run("[A1] one mutation, with the client's own numbers", func(t *testing.T) {
		got := send(t, ada, push(1, "put", "r1", `{"content":"one"}`))
		if len(got) != 1 || got[0].Outcome.Status != "applied" || got[0].Outcome.Offset != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("[M1] a list has a result for each, and a repeat its first outcome", func(t *testing.T) {
		got := send(t, ada, "["+push(1, "put", "r1", `{}`)+","+push(2, "patch", "r1", `{"content":""}`)+","+push(4, "patch", "r1", `{}`)+","+push(3, "put", "r1", `{}`)+"]")
		if !got[0].Outcome.Duplicate || got[1].Outcome.Error.Code != "schema_violation" || got[2].Refused.Expect != 3 || got[2].Outcome != nil || got[3].Outcome.Status != "exists" {
			t.Errorf("%+v", got)
		}
		if got[3].Outcome.State == nil {
			t.Error("the current record does not come along")
		}
	})
	t.Run("[M1] a client id of another sub", func(t *testing.T) {
		if got := send(t, r.token("ben", "member"), push(4, "patch", "r1", `{}`)); got[0].Refused.Code != "forbidden_client" {
			t.Errorf("%+v", got)
		}
	})
	for name, body := range map[string]string{
		"none":                     `[]`,
		"null":                     `null`,
		"null in a list":           `[null]`,
		"a text":                   `"x"`,
		"a number that is a text":  `{"n":"1"}`,
		"[R7] more than a hundred": "[" + strings.Repeat("{},", 100) + "{}]",
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			r.do("POST", interview+"/mutations", ada, body).problem(400, "invalid_payload")
		})
	}
}
