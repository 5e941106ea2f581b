package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
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
    join: 'claims.role == "authenticated"'
    publish: 'claims.sub != "mute"'
    history: {messages: 100, durability: os}
    collections:
      notes:
        schema: {type: object, properties: {content: {type: string, minLength: 1}}, required: [content]}
        write: 'record == null || record.createdBy == claims.sub'
  - match: "keep:{id}"
    join: 'true'
    publish: 'true'
    persist: 'claims.sub != "guest"'
    history: {messages: 2}
  - match: "room:{id}"
    join: 'true'
    publish: 'true'
    history: {messages: 10}
`

var secret = []byte("a secret of thirty-two bytes or more")

// flaky is an engine that can be made to refuse appends, as a full disk does.
type flaky struct {
	engine.Engine
	mu   sync.Mutex
	fail error
}

func (f *flaky) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *flaky) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	f.mu.Lock()
	err := f.fail
	f.mu.Unlock()
	if err != nil {
		return engine.Receipt{}, fmt.Errorf("append %s: %w", channel, err)
	}
	return f.Engine.Append(ctx, channel, w)
}

// world is everything of a server but its sockets.
type world struct {
	t      *testing.T
	deps   *session.Deps
	engine *flaky
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, embedded.Options{})
}

func newWorldOn(t *testing.T, o embedded.Options) *world {
	t.Helper()
	eng, err := embedded.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &flaky{Engine: eng}
	return &world{t: t, engine: f, deps: newDeps(t, f, []byte(rulesYAML), fstest.MapFS{})}
}

// newDeps is what the sessions over an engine share, under these rules.
func newDeps(tb testing.TB, eng engine.Engine, rulesText []byte, schemas fs.FS) *session.Deps {
	tb.Helper()
	rules, err := auth.ParseRules("rules.yaml", rulesText, schemas)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: secret})
	if err != nil {
		tb.Fatal(err)
	}
	m := metrics.New()
	return &session.Deps{
		Hub: hub.New(eng, m), Engine: eng, Collections: collection.New(eng, collection.Options{}), Verifier: verifier,
		Policy: func() *policy.Policy { return p }, Metrics: m, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

func token(t *testing.T, sub string, ttl time.Duration) string {
	t.Helper()
	tok, err := auth.Mint(secret, auth.MintOptions{Subject: sub, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// client is a session's other end: what it was sent, in order.
type client struct {
	*session.Session
	t    *testing.T
	v    protocol.Version
	mu   sync.Mutex
	in   []string
	read int

	queued []string
	pieces []int // how many frames came at once, each time
	wake   chan struct{}
	ref    int

	closedWith int
	closes     chan struct{} // is told when closedWith is set
}

func (w *world) connect(sub string) *client {
	w.t.Helper()
	return w.connectAs(protocol.V2, token(w.t, sub, time.Hour))
}

func (w *world) connectAs(v protocol.Version, tok string) *client {
	c := &client{t: w.t, v: v, wake: make(chan struct{}, 1), closes: make(chan struct{}, 1)}
	c.Session = session.New(w.deps, c, v, tok)
	w.t.Cleanup(c.Session.Close)
	return c
}

// Send implements session.Conn.
func (c *client) Send(frames ...protocol.Message) {
	c.Queue(frames...)
	c.Flush()
}

// Queue implements session.Conn.
func (c *client) Queue(frames ...protocol.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		c.queued = append(c.queued, string(f.Payload()))
	}
}

// Flush implements session.Conn.
func (c *client) Flush() {
	c.mu.Lock()
	if len(c.queued) > 0 {
		c.in = append(c.in, c.queued...)
		c.pieces = append(c.pieces, len(c.queued))
		c.queued = nil
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Close implements session.Conn; it shadows the session's own.
func (c *client) Close(code int, _ string) {
	c.mu.Lock()
	c.closedWith = code
	c.mu.Unlock()
	select {
	case c.closes <- struct{}{}:
	default:
	}
}

// frame is what the client was sent, with its payload decoded.
type frame struct {
	joinRef, ref, topic, event string
	payload                    map[string]any
	raw                        string
}

// next is the next frame; it fails when none comes.
func (c *client) next() frame {
	c.t.Helper()
	for {
		c.mu.Lock()
		if c.read < len(c.in) {
			raw := c.in[c.read]
			c.read++
			c.mu.Unlock()
			return c.decode(raw)
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-time.After(10 * time.Second):
			c.t.Fatalf("no frame; so far:\n%s", strings.Join(c.in, "\n"))
		}
	}
}

func (c *client) decode(raw string) frame {
	c.t.Helper()
	if raw[0] == '[' {
		var parts [5]any
		if err := json.Unmarshal([]byte(raw), &parts); err != nil {
			c.t.Fatalf("%s: %v", raw, err)
		}
		text := func(v any) string { s, _ := v.(string); return s }
		payload, _ := parts[4].(map[string]any)
		return frame{text(parts[0]), text(parts[1]), text(parts[2]), text(parts[3]), payload, raw}
	}
	var o struct {
		Topic, Event, Ref string
		Payload           map[string]any
	}
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		c.t.Fatalf("%s: %v", raw, err)
	}
	return frame{"", o.Ref, o.Topic, o.Event, o.Payload, raw}
}

// quiet says that nothing was sent that was not read.
func (c *client) quiet() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read < len(c.in) {
		c.t.Errorf("unexpected frames:\n%s", strings.Join(c.in[c.read:], "\n"))
	}
}

func (c *client) push(joinRef, topic, event, payload string) string {
	c.ref++
	ref := fmt.Sprint(c.ref)
	if event == "phx_join" {
		joinRef = ref
	}
	if c.v == protocol.V1 {
		c.Receive(false, fmt.Appendf(nil, `{"topic":%q,"event":%q,"payload":%s,"ref":%q,"join_ref":%q}`, topic, event, payload, ref, joinRef))
	} else {
		c.Receive(false, fmt.Appendf(nil, `[%q,%q,%q,%q,%s]`, joinRef, ref, topic, event, payload))
	}
	return ref
}

// reply is the answer to the newest push.
func (c *client) reply() map[string]any {
	c.t.Helper()
	f := c.next()
	if f.event != "phx_reply" || f.ref != fmt.Sprint(c.ref) {
		c.t.Fatalf("got %s, want the reply to %d", f.raw, c.ref)
	}
	return f.payload
}

func (c *client) ok() map[string]any {
	c.t.Helper()
	p := c.reply()
	if p["status"] != "ok" {
		c.t.Fatalf("refused: %v", p)
	}
	r, _ := p["response"].(map[string]any)
	return r
}

func (c *client) refused(code string) map[string]any {
	c.t.Helper()
	p := c.reply()
	r, _ := p["response"].(map[string]any)
	if p["status"] != "error" || r["code"] != code {
		c.t.Fatalf("got %v, want a refusal with %s", p, code)
	}
	return r
}

func (c *client) want(event string) map[string]any {
	c.t.Helper()
	f := c.next()
	if f.event != event {
		c.t.Fatalf("got %s, want %s", f.raw, event)
	}
	return f.payload
}

// join joins without presence and returns response.chorale, nil without.
func (c *client) join(topic, config string) map[string]any {
	c.t.Helper()
	c.push("", topic, "phx_join", `{"config":`+config+`}`)
	chorale, _ := c.ok()["chorale"].(map[string]any)
	return chorale
}

const (
	plain   = `{"presence":{"enabled":false},"broadcast":{"ack":true}}`
	records = `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true},"chorale":{"v":1,"client":"%s","collections":["notes"]%s}}`
)

func mutation(client string, n int, op, record, rest string) string {
	return fmt.Sprintf(`{"client":%q,"n":%d,"id":"%s-%d","at":"0192f0c12b3c%04x","op":%q,"collection":"notes","record":%q%s}`, client, n, client, n, n, op, record, rest)
}
