package httpapi_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/httpapi"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

const persistRules = `channels: [{match: "room:{id}", join: 'true', publish: 'claims.sub != "mute"', persist: 'claims.sub != "guest"', history: {messages: 1}}]`

// publisher posts broadcasts for one person to an API over an engine.
type publisher struct {
	t      *testing.T
	engine *embedded.Engine
	routes *http.ServeMux
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	eng, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	rules, err := auth.ParseRules("rules.yaml", []byte(persistRules), fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: persistSecret})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	httpapi.New(httpapi.Options{
		Engine: eng, Verifier: verifier, Policy: func() *policy.Policy { return p }, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Register(mux)
	return &publisher{t, eng, mux}
}

var persistSecret = []byte("a secret of thirty-two bytes or more")

func (p *publisher) post(sub, path, contentType, body string) *httptest.ResponseRecorder {
	p.t.Helper()
	token, err := auth.Mint(persistSecret, auth.MintOptions{Subject: sub})
	if err != nil {
		p.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.routes.ServeHTTP(w, r)
	return w
}

func TestPersistOverREST(t *testing.T) {
	const path = "/api/broadcast/room:1/events/e?private=true"
	t.Run("[B6] a persisted message stays although its channel keeps one", func(t *testing.T) {
		p := newPublisher(t)
		for _, query := range []string{"&persist=true", "&persist%5Bttl%5D=60", "", "&persist=false", ""} {
			if w := p.post("ada", path+query, "application/json", `{"query":"`+query+`"}`); w.Code != http.StatusAccepted || w.Body.Len() > 0 {
				t.Fatalf("%s: %d %s", query, w.Code, w.Body)
			}
		}
		if w := p.post("ada", path+"&persist=true", "application/octet-stream", "\x00\xff"); w.Code != http.StatusAccepted {
			t.Fatal(w.Code)
		}
		if w := p.post("ada", path, "application/json", `"the newest"`); w.Code != http.StatusAccepted {
			t.Fatal(w.Code)
		}
		kept, err := p.engine.Since(t.Context(), "p:room:1", 0, 10)
		if err != nil || len(kept) != 4 {
			t.Fatalf("%d messages are kept, want 4 (%v)", len(kept), err)
		}
		if kept[2].Kind != engine.KindBinary || !bytes.Contains(kept[0].Data, []byte("persist=true")) || !bytes.Contains(kept[1].Data, []byte("ttl")) {
			t.Errorf("kept are %q, %q and %q", kept[0].Data, kept[1].Data, kept[2].Data)
		}
	})
	for name, tt := range map[string]struct {
		sub, path string
		status    int
		says      string
	}{
		"in a public channel":      {"ada", "/api/broadcast/room:1/events/e?persist=true", 422, "can only be used on private channels"},
		"with a ttl, in a public":  {"ada", "/realtime/v1/api/broadcast/room:1/events/e?persist%5Bttl%5D=60", 422, "can only be used on private channels"},
		"with a ttl of nothing":    {"ada", path + "&persist[ttl]=0", 422, "must be true, or have a ttl of 1 to 2592000 seconds"},
		"with a ttl in words":      {"ada", path + "&persist[ttl]=long", 422, "must be true, or have a ttl of 1 to 2592000 seconds"},
		"with words":               {"ada", path + "&persist=please", 422, "must be true, or have a ttl of 1 to 2592000 seconds"},
		"whom the rule denies it":  {"guest", path + "&persist=true", 403, ""},
		"who may not even publish": {"mute", path + "&persist=true", 403, ""},
	} {
		t.Run("[B6] persist is refused "+name, func(t *testing.T) {
			p := newPublisher(t)
			w := p.post(tt.sub, tt.path, "application/json", `{}`)
			var body struct{ Errors struct{ Persist []string } }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != tt.status || strings.Join(body.Errors.Persist, "") != tt.says {
				t.Errorf("%d %s, want %d %q", w.Code, w.Body, tt.status, tt.says)
			}
			if at, err := p.engine.Head(t.Context(), "p:room:1"); err != nil || at.Offset != 0 {
				t.Errorf("something was published: %v %v", at, err)
			}
		})
	}
	t.Run("[B7] a message that is too large is refused", func(t *testing.T) {
		p := newPublisher(t)
		large := strings.Repeat("x", protocol.MaxMessageBytes)
		for path, body := range map[string]string{
			"/api/broadcast": `{"messages":[{"topic":"x","event":"e","payload":{"x":"` + large + `"}}]}`,
			path:             `"` + large + `"`,
		} {
			if w := p.post("ada", path, "application/json", body); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Payload size exceeds tenant limit") {
				t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
			}
		}
	})
}
