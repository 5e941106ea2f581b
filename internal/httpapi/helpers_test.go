package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rulesYAML = `
channels:
  - match: "interview:{id}"
    join: 'claims.role in ["member", "reader", "service_role"]'
    publish: 'claims.role in ["member", "service_role"]'
    presence: 'claims.role != "reader"'
    history: {messages: 20, durability: os}
    collections:
      notes:
        schema:
          type: object
          required: [content]
          properties:
            content: {type: string, minLength: 1}
            tags: {type: array, x-chorale: set, items: {type: string}}
            votes: {type: number, x-chorale: counter}
        write: 'claims.role in ["member", "service_role"] && (mutation.op != "delete" || record == null || record.createdBy == claims.sub)'
      diary:
        read: 'claims.role == "service_role"'
        write: 'claims.role in ["member", "service_role"]'
  - match: "vault:{id}"
    join: 'claims.role in ["member", "reader"]'
    history: {read: 'claims.role == "member"', durability: os}
    collections:
      papers:
        write: 'true'
  - match: "room:{id}"
    join: 'true'
    publish: 'true'
`

var testSecret = []byte("a secret of thirty-two bytes or more")

// A rig is the API over real parts, served over HTTP.
type rig struct {
	t       testing.TB
	engine  engine.Engine
	hub     *hub.Hub
	records *collection.Store
	api     *API
	handler http.Handler
	client  *http.Client
	base    string
}

func newRig(t testing.TB) *rig { return newRigOn(t, embedded.Options{}) }

func newRigOn(t testing.TB, o embedded.Options) *rig {
	t.Helper()
	eng, err := embedded.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, engine: eng, hub: hub.New(eng, metrics.New())}
	r.wire(eng)
	srv := httptest.NewServer(r.handler)
	r.base, r.client = srv.URL, srv.Client()
	t.Cleanup(func() {
		srv.Close()
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) wire(eng engine.Engine) {
	r.t.Helper()
	rules, err := auth.ParseRules("rules.yaml", []byte(rulesYAML), fstest.MapFS{})
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		r.t.Fatal(err)
	}
	revoked := new(auth.Revocations)
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: testSecret, Revocations: revoked})
	if err != nil {
		r.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	revocations, err := NewRevocationLog(context.Background(), RevocationOptions{Engine: eng, Set: revoked, Recheck: func() {}, Now: time.Now, Logger: quiet})
	if err != nil {
		r.t.Fatal(err)
	}
	r.records = collection.New(eng, collection.Options{})
	r.api = New(Options{
		Engine: eng, Hub: r.hub, Collections: r.records, Verifier: verifier, Policy: func() *policy.Policy { return p },
		Sessions: session.NewRegistry(), Revocations: revocations, Logger: quiet, Now: time.Now, DevSecret: testSecret,
	})
	mux := http.NewServeMux()
	r.api.Register(mux)
	r.handler = mux
}

// token is one of a sub with a role, and with a jti that is the sub.
func (r *rig) token(sub, role string) string {
	r.t.Helper()
	token, err := auth.Mint(testSecret, auth.MintOptions{Subject: sub, Role: role})
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// do sends a request. body "" is none; headers are names and values in turn.
func (r *rig) do(method, path, token, body string, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{r.t, res.StatusCode, res.Header, string(data)}
}

// want fails unless the reply has the status; it returns the reply.
func (p reply) want(status int) reply {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("status %d %s, want %d", p.status, p.body, status)
	}
	return p
}

// problem fails unless the reply is that problem.
func (p reply) problem(status int, code string) problem {
	p.t.Helper()
	got := into[problem](p)
	if kind := p.header.Get("Content-Type"); p.status != status || got.Status != status || got.Code != code || kind != "application/problem+json" {
		p.t.Fatalf("%d %s %s, want %d with code %s", p.status, kind, p.body, status, code)
	}
	return got
}

func into[T any](p reply) (v T) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.body), &v); err != nil {
		p.t.Fatalf("%v in %d %s", err, p.status, p.body)
	}
	return v
}

// sink is a member's session that looks at nothing.
type sink struct{}

func (sink) Queue(...protocol.Message) {}
func (sink) Flush()                    {}

// join makes a member of a private channel, who tracks itself under the key.
func (r *rig) join(channel, key string) {
	r.t.Helper()
	name := protocol.Channel{Name: channel, Private: true}
	member, err := r.hub.Join(context.Background(), name, sink{}, hub.Options{Version: protocol.V2, Origin: "session-" + key + "/1"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(member.Leave)
	value := `{"key":"` + key + `","meta":{"name":"` + key + `","phx_ref":"ref-` + key + `"}}`
	if err := r.engine.PutLease(context.Background(), name.Log(), "session-"+key+"/1", []byte(value)); err != nil {
		r.t.Fatal(err)
	}
}
