package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

const (
	interview = "/api/v1/channels/interview%3A1"
	room      = "/api/v1/channels/room:1"
)

func TestPublish(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	t.Run("[A1] what is published is in the log where the answer says", func(t *testing.T) {
		first := into[published](r.do("POST", interview+"/messages", ada, `{"event":"saved","payload":{"n":1},"id":"m1"}`).want(201))
		second := into[published](r.do("POST", interview+"/messages", ada, `{"event":"saved"}`).want(201))
		if first.ID != "m1" || first.Offset != 1 || first.Epoch == "" || first.Duplicate || second.Offset != 2 || second.ID == "" {
			t.Errorf("%+v, %+v", first, second)
		}
		entries, err := r.engine.Read(context.Background(), "p:interview:1", engine.Position{Epoch: first.Epoch}, 10)
		if err != nil || len(entries) != 2 || string(entries[0].Data) != `{"type":"broadcast","event":"saved","payload":{"n":1}}` {
			t.Errorf("%v %v", entries, err)
		}
	})
	t.Run("[B2] the same id is logged once", func(t *testing.T) {
		again := into[published](r.do("POST", interview+"/messages", ada, `{"event":"saved","id":"m1"}`).want(201))
		if again.Offset != 1 || !again.Duplicate {
			t.Errorf("%+v", again)
		}
	})
	t.Run("public and private are two channels", func(t *testing.T) {
		got := into[published](r.do("POST", interview+"/messages", ada, `{"event":"e","private":false}`).want(201))
		if got.Offset != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("[B6] what is persisted outlives the channel's history", func(t *testing.T) {
		kept := into[published](r.do("POST", interview+"/messages", ada, `{"event":"kept","persist":{"ttl":60}}`).want(201))
		for range 25 { // the rule keeps 20
			r.do("POST", interview+"/messages", ada, `{"event":"e"}`).want(201)
		}
		page := into[historyPage](r.do("GET", interview+"/messages?limit=1000", ada, "").want(200))
		if first := page.Messages[0]; first.Offset != kept.Offset || first.Event != "kept" {
			t.Errorf("%+v", first)
		}
	})
	for _, tt := range []struct {
		name, body string
		status     int
		code, path string
	}{
		{"[B6] to persist in a public channel", `{"event":"e","private":false,"persist":true}`, 422, "persist_needs_private", "/persist"},
		{"[B6] to persist for no time", `{"event":"e","persist":{"ttl":0}}`, 400, "invalid_payload", "/persist"},
		{"[B6] to persist somehow", `{"event":"e","persist":"long"}`, 400, "invalid_payload", "/persist"},
		{"a misspelt member", `{"event":"e","privat":false}`, 400, "invalid_payload", ""},
		{"no event", `{"payload":1}`, 400, "invalid_payload", "/event"},
		{"an event of 256 bytes", `{"event":"` + strings.Repeat("e", 256) + `"}`, 400, "invalid_payload", "/event"},
		{"an id of 129 bytes", `{"event":"e","id":"` + strings.Repeat("e", 129) + `"}`, 400, "invalid_payload", "/id"},
		{"something behind the body", `{"event":"e"} {}`, 400, "invalid_payload", ""},
		{"no UTF-8", "{\"event\":\"\xff\"}", 400, "invalid_payload", ""},
		{"[B7] a payload that is too large", `{"event":"e","payload":"` + strings.Repeat("x", protocol.MaxMessageBytes) + `"}`, 413, "payload_size_exceeded", "/payload"},
	} {
		t.Run("[R7] refused: "+tt.name, func(t *testing.T) {
			if got := r.do("POST", interview+"/messages", ada, tt.body).problem(tt.status, tt.code); got.Path != tt.path {
				t.Errorf("path %q", got.Path)
			}
		})
	}
	t.Run("[A4] another kind of body is named", func(t *testing.T) {
		r.do("POST", interview+"/messages", ada, `{"event":"e"}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
	})
}

func TestHistory(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	var at []published
	for i := range 5 {
		at = append(at, into[published](r.do("POST", interview+"/messages", ada, fmt.Sprintf(`{"event":"e%d","payload":%d}`, i, i)).want(201)))
	}
	epoch := at[0].Epoch
	read := func(t *testing.T, query string) historyPage {
		t.Helper()
		return into[historyPage](r.do("GET", interview+"/messages?"+query, ada, "").want(200))
	}
	t.Run("[A3] pages go on from position to position without a hole", func(t *testing.T) {
		var events []string
		for after, more := uint64(0), true; more; {
			page := read(t, fmt.Sprintf("after=%d&epoch=%s&limit=2", after, epoch))
			for _, m := range page.Messages {
				events = append(events, m.Event+string(m.Payload))
			}
			after, more = page.Offset, page.More
		}
		if got := strings.Join(events, " "); got != "e00 e11 e22 e33 e44" {
			t.Error(got)
		}
	})
	t.Run("the newest are read without a position, and name one to go on from", func(t *testing.T) {
		page := read(t, "limit=2")
		if len(page.Messages) != 2 || page.Messages[0].Event != "e3" || page.Offset != 5 || page.Epoch != epoch {
			t.Errorf("%+v", page)
		}
		if page := read(t, fmt.Sprintf("since=%d", time.Now().Add(time.Hour).UnixMilli())); len(page.Messages) != 0 || page.Offset != 5 {
			t.Errorf("%+v", page)
		}
	})
	for name, tt := range map[string]struct {
		query  string
		status int
		code   string
	}{
		"another epoch":            {"after=1&epoch=another", 410, "epoch"},
		"ahead of the log":         {"after=99&epoch=" + epoch, 410, "future"},
		"an offset with no epoch":  {"after=1", 400, "invalid_payload"},
		"after and since together": {"after=1&since=1&epoch=" + epoch, 400, "invalid_payload"},
		"a limit of 0":             {"limit=0", 400, "invalid_payload"},
		"a limit of 1001":          {"limit=1001", 400, "invalid_payload"},
		"a negative offset":        {"after=-1&epoch=" + epoch, 400, "invalid_payload"},
	} {
		t.Run("[A3] refused: "+name, func(t *testing.T) {
			r.do("GET", interview+"/messages?"+tt.query, ada, "").problem(tt.status, tt.code)
		})
	}
	t.Run("[A3] what retention has dropped is said and not left out", func(t *testing.T) {
		for range 30 {
			r.do("POST", interview+"/messages", ada, `{"event":"more"}`).want(201)
		}
		if got := r.do("GET", interview+"/messages?after=1&epoch="+epoch, ada, "").problem(410, "truncated"); got.Retryable {
			t.Error("retryable")
		}
	})
}

func TestHistoryOfAllKinds(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	r.do("POST", "/api/broadcast/interview:1/events/raw?private=true", ada, "\x00\x01", "Content-Type", "application/octet-stream").want(202)
	r.do("PUT", interview+"/collections/notes/records/r1", ada, `{"content":"x"}`).want(201)
	if _, err := r.engine.Append(context.Background(), "p:interview:1", engine.Write{Kind: engine.KindMessage, Data: []byte(`{"event":7}`)}); err != nil {
		t.Fatal(err)
	}
	page := into[historyPage](r.do("GET", interview+"/messages?after=0", ada, "").want(200))
	t.Run("raw bytes are a string in base64", func(t *testing.T) {
		m := page.Messages[0]
		if want := `"` + base64.StdEncoding.EncodeToString([]byte{0, 1}) + `"`; string(m.Payload) != want || m.Encoding != "base64" || m.Event != "raw" {
			t.Errorf("%+v", m)
		}
	})
	t.Run("changes are read as records, and counted over", func(t *testing.T) {
		if len(page.Messages) != 2 || page.Messages[1].Offset != 3 || page.Offset != 3 {
			t.Errorf("%+v", page)
		}
	})
	t.Run("a broadcast of another shape is read as far as it goes", func(t *testing.T) {
		if m := page.Messages[1]; m.Event != "" || string(m.Payload) != "null" {
			t.Errorf("%+v", m)
		}
	})
}

func TestPagesEndBeforeTheyAreLarge(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	large := `{"event":"e","payload":"` + strings.Repeat("x", 2500<<10) + `"}`
	r.do("POST", room+"/messages", ada, large).want(201)
	r.do("POST", room+"/messages", ada, large).want(201)
	page := into[historyPage](r.do("GET", room+"/messages?after=0", ada, "").want(200))
	if len(page.Messages) != 1 || !page.More || page.Offset != 1 {
		t.Errorf("%d messages, more %v, offset %d", len(page.Messages), page.More, page.Offset)
	}
	newest := into[historyPage](r.do("GET", room+"/messages", ada, "").want(200))
	if len(newest.Messages) != 1 || newest.Messages[0].Offset != 2 {
		t.Errorf("%d messages, offset %d", len(newest.Messages), newest.Offset)
	}
}

func TestPresence(t *testing.T) {
	r := newRig(t)
	ada := r.token("ada", "member")
	for _, key := range []string{"ada", "ben", "eve"} {
		r.join("interview:1", key)
	}
	t.Run("who is there, and what they say of themselves", func(t *testing.T) {
		page := into[presencePage](r.do("GET", interview+"/presence", ada, "").want(200))
		if page.Entries != 3 || page.Cursor != "" || !strings.Contains(string(page.Presence), `"ben":{"metas":[{"name":"ben","phx_ref":"ref-ben"}]}`) {
			t.Errorf("%+v %s", page, page.Presence)
		}
	})
	t.Run("[R7] in pages", func(t *testing.T) {
		first := into[presencePage](r.do("GET", interview+"/presence?limit=2", ada, "").want(200))
		second := into[presencePage](r.do("GET", interview+"/presence?limit=2&cursor="+first.Cursor, ada, "").want(200))
		if first.Entries != 2 || second.Entries != 1 || second.Cursor != "" || !strings.Contains(string(second.Presence), "eve") {
			t.Errorf("%+v %+v", first, second)
		}
	})
}

func TestOtherPathsAndMethods(t *testing.T) {
	r := newRig(t)
	t.Run("[A4] an unknown path", func(t *testing.T) { r.do("GET", "/api/v1/nothing", "", "").problem(404, "not_found") })
	t.Run("[A4] another method, with those that there are", func(t *testing.T) {
		got := r.do("DELETE", interview+"/messages", "", "")
		if got.problem(405, "method_not_allowed"); got.header.Get("Allow") != "GET, POST" {
			t.Error(got.header)
		}
	})
	t.Run("[R7] another method on a path of upstream's clients", func(t *testing.T) {
		for path, allow := range map[string]string{
			"/api/broadcast": "POST", "/realtime/v1/api/broadcast/room:1/events/e": "POST", "/realtime/v1/api/ping": "GET",
		} {
			if got := r.do("DELETE", path, "", "").want(http.StatusMethodNotAllowed); got.header.Get("Allow") != allow {
				t.Errorf("%s: %v", path, got.header)
			}
		}
	})
	t.Run("browsers may ask first", func(t *testing.T) {
		got := r.do("OPTIONS", interview+"/collections/notes/records/r1", "", "").want(http.StatusNoContent)
		if !strings.Contains(got.header.Get("Access-Control-Allow-Methods"), "PATCH") {
			t.Error(got.header)
		}
	})
	t.Run("[R7] a name that is no UTF-8", func(t *testing.T) {
		r.do("GET", "/api/v1/channels/%ff", r.token("ada", "member"), "").problem(400, "topic_name_required")
	})
	t.Run("[A4] a token's fault is named", func(t *testing.T) {
		got := r.do("GET", interview, "x", "")
		if got.problem(401, "token_malformed"); got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Error(got.header)
		}
		r.do("GET", interview, "", "").problem(401, "api_key_missing")
		r.do("GET", interview, "", "", "apikey", r.token("ada", "member")).want(200)
	})
}
