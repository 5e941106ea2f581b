package session_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// The authorization matrix: who may do what, where, with which token. Each cell
// is tried from end to end, and each must be in the tables: a role, a kind of
// channel, an operation or a state of a token without its row or column fails
// the test.

// matrixRules are the rules of the private channels. No rule names secret:*.
const matrixRules = `
channels:
  - match: "room:{id}"
    join: 'claims.role in ["guest", "member", "service"]'
    publish: 'claims.role in ["member", "service"]'
    persist: 'claims.role == "service"'
    presence: 'claims.role != "guest"'
    history: {read: 'claims.role != "guest"'}
  - match: "interview:{id}"
    join: 'claims.role in ["guest", "member", "service"]'
    publish: 'claims.role in ["member", "service"]'
    collections:
      notes:
        read: 'claims.role != "guest"'
        write: 'claims.role == "service" || claims.role == "member" && record == null'
`

// matrixAnswers says what rules make of a good token: ok, none (nothing comes, nothing is refused), or a code.
const matrixAnswers = `
role     channel    join          receive       publish       persist                track         see           replay        read                write
anon     public     ok            ok            ok            persist_needs_private  ok            ok            ok            unknown_collection  unknown_collection
guest    public     ok            ok            ok            persist_needs_private  ok            ok            ok            unknown_collection  unknown_collection
member   public     ok            ok            ok            persist_needs_private  ok            ok            ok            unknown_collection  unknown_collection
service  public     ok            ok            ok            persist_needs_private  ok            ok            ok            unknown_collection  unknown_collection
anon     secret     unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
guest    secret     unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
member   secret     unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
service  secret     unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
anon     room       unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
guest    room       ok            ok            unauthorized  unauthorized           unauthorized  none          unauthorized  unknown_collection  unknown_collection
member   room       ok            ok            ok            unauthorized           ok            ok            ok            unknown_collection  unknown_collection
service  room       ok            ok            ok            ok                     ok            ok            ok            unknown_collection  unknown_collection
anon     interview  unauthorized  unauthorized  unauthorized  unauthorized           unauthorized  unauthorized  unauthorized  unauthorized        unauthorized
guest    interview  ok            ok            unauthorized  unauthorized           ok            ok            ok            unauthorized        forbidden
member   interview  ok            ok            ok            ok                     ok            ok            ok            ok                  ok
service  interview  ok            ok            ok            ok                     ok            ok            ok            ok                  ok
`

// matrixStates says what the state of a token makes of that: rules (what stands above), or one answer instead
// wherever the rules would have let the token join. What happens to a token after the join shows in its next push.
const matrixStates = `
token                          join                   receive                publish                persist                track                  see                    replay                 read                   write
good                           rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules
of-the-connection              rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules
replaced-by-a-good-one         rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules                  rules
garbage                        token_malformed        token_malformed        token_malformed        token_malformed        token_malformed        token_malformed        token_malformed        token_malformed        token_malformed
of-another-issuer              signature_invalid      signature_invalid      signature_invalid      signature_invalid      signature_invalid      signature_invalid      signature_invalid      signature_invalid      signature_invalid
without-signature              algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported  algorithm_unsupported
without-role                   claims_missing         claims_missing         claims_missing         claims_missing         claims_missing         claims_missing         claims_missing         claims_missing         claims_missing
not-yet-good                   token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid    token_not_yet_valid
expired                        token_expired          token_expired          token_expired          token_expired          token_expired          token_expired          token_expired          token_expired          token_expired
revoked                        token_revoked          token_revoked          token_revoked          token_revoked          token_revoked          token_revoked          token_revoked          token_revoked          token_revoked
expired-since-the-join         token_expired          none                   unmatched_topic        unmatched_topic        unmatched_topic        token_expired          token_expired          token_expired          unmatched_topic
revoked-since-the-join         token_revoked          none                   unmatched_topic        unmatched_topic        unmatched_topic        token_revoked          token_revoked          token_revoked          unmatched_topic
replaced-by-garbage            ok                     none                   unmatched_topic        unmatched_topic        unmatched_topic        ok                     ok                     ok                     unmatched_topic
replaced-by-one-of-a-stranger  ok                     none                   unmatched_topic        unmatched_topic        unmatched_topic        ok                     ok                     ok                     unmatched_topic
`

// table reads rows of words under a head into answers by "row head/column".
func table(t *testing.T, text string, keys int) (rows, columns []string, cells map[string]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	columns = strings.Fields(lines[0])[keys:]
	cells = make(map[string]string)
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) != keys+len(columns) {
			t.Fatalf("%d words in %q, want %d", len(words), line, keys+len(columns))
		}
		row := strings.Join(words[:keys], " ")
		rows = append(rows, row)
		for i, answer := range words[keys:] {
			cells[row+"/"+columns[i]] = answer
		}
	}
	return rows, columns, cells
}

var (
	matrixRoles    = []string{"anon", "guest", "member", "service"}
	matrixChannels = []string{"public", "secret", "room", "interview"}
)

func TestAuthorizationMatrix(t *testing.T) {
	rows, operations, answers := table(t, matrixAnswers, 2)
	states, columns, effects := table(t, matrixStates, 1)
	if !slices.Equal(operations, columns) {
		t.Fatalf("the tables differ in their columns: %v and %v", operations, columns)
	}
	if got := slices.Sorted(maps.Keys(matrixOperations)); !slices.Equal(got, slices.Sorted(slices.Values(operations))) {
		t.Fatalf("the tables have the operations %v, the test has %v", operations, got)
	}
	if got := slices.Sorted(maps.Keys(matrixTokens)); !slices.Equal(got, slices.Sorted(slices.Values(states))) {
		t.Fatalf("the table has the states %v, the test has %v", states, got)
	}
	if want := len(matrixRoles) * len(matrixChannels); len(rows) != want {
		t.Fatalf("%d rows, want %d", len(rows), want)
	}
	for _, state := range states {
		t.Run("[R7] [J5] a token that is "+strings.ReplaceAll(state, "-", " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMatrix(t)
				for _, role := range matrixRoles {
					for _, channel := range matrixChannels {
						for _, operation := range operations {
							want, known := answers[role+" "+channel+"/"+operation]
							if !known {
								t.Errorf("no cell for %s in a %s channel: %s", role, channel, operation)
								continue
							}
							join := answers[role+" "+channel+"/join"]
							if operation == "read" || operation == "replay" { // which are asked for with the join
								join = want
							}
							want = m.expected(want, effects[state+"/"+operation], join, state)
							if got := m.try(role, channel, operation, state); got != want {
								t.Errorf("%s in a %s channel, %s: %s, want %s", role, channel, operation, got, want)
							}
						}
					}
				}
			})
		})
	}
}

// matrix is a server on which cells are tried, each in a channel of its own.
type matrix struct {
	*world
	revoked *auth.Revocations
	cells   int
}

func newMatrix(t *testing.T) *matrix {
	w := newWorld(t)
	w.setRules(matrixRules)
	m := &matrix{world: w, revoked: &auth.Revocations{}}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: secret, Revocations: m.revoked})
	if err != nil {
		t.Fatal(err)
	}
	w.deps.Verifier = verifier
	w.deps.Registry = session.NewRegistry()
	return m
}

// expected joins the two tables: a token that is refused as such is refused
// before any rule is asked; what happens to one later matters to who has joined.
func (m *matrix) expected(byRules, byState, join, state string) string {
	switch {
	case byState == "rules":
		return byRules
	case !matrixTokens[state].later:
		return byState
	case join != "ok":
		return byRules
	case byState == "ok": // it comes again with its first token
		return byRules
	}
	return byState
}

// cell is one role with one token in one channel.
type cell struct {
	*client
	m         *matrix
	role, sub string
	kind      string
	topic     string
	first     string // access_token of joins; "" for none
	refused   string // the join's code
	witness   *client
}

// matrixToken is a state of a token: what a join brings, and what happens to it
// after the join.
type matrixToken struct {
	make  func(c *cell) string
	later bool
	then  func(c *cell)
}

func (c *cell) mint(o auth.MintOptions) string {
	o.Subject, o.Role = c.sub, c.role
	return must(c.t, o, secret)
}

func must(t *testing.T, o auth.MintOptions, key []byte) string {
	t.Helper()
	tok, err := auth.Mint(key, o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (c *cell) sign(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	tok, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		c.t.Fatal(err)
	}
	return tok
}

func good(c *cell) string { return c.mint(auth.MintOptions{TTL: time.Minute}) }

// replace pushes another token, which is never answered.
func (c *cell) replace(token string) {
	c.push("1", c.topic, "access_token", `{"access_token":"`+token+`"}`)
}

var matrixTokens = map[string]matrixToken{
	"good":              {make: good},
	"of-the-connection": {make: func(*cell) string { return "" }},
	"replaced-by-a-good-one": {make: good, later: true, then: func(c *cell) {
		c.replace(c.mint(auth.MintOptions{TTL: time.Hour}))
	}},
	"garbage": {make: func(*cell) string { return "garbage" }},
	"of-another-issuer": {make: func(c *cell) string {
		return must(c.t, auth.MintOptions{Subject: c.sub, Role: c.role}, []byte("another secret of thirty-two bytes or more"))
	}},
	"without-signature": {make: func(c *cell) string {
		return c.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": c.sub, "role": c.role, "exp": time.Now().Add(time.Hour).Unix()})
	}},
	"without-role": {make: func(c *cell) string {
		return c.sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": c.sub, "exp": time.Now().Add(time.Hour).Unix()})
	}},
	"not-yet-good": {make: func(c *cell) string {
		return c.mint(auth.MintOptions{Extra: map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}})
	}},
	"expired": {make: func(c *cell) string {
		return c.mint(auth.MintOptions{TTL: time.Minute, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	}},
	"revoked": {make: func(c *cell) string { c.revoke(); return good(c) }},
	"expired-since-the-join": {make: good, later: true, then: func(*cell) {
		time.Sleep(2 * time.Minute)
		synctest.Wait()
	}},
	"revoked-since-the-join": {make: good, later: true, then: func(c *cell) {
		c.revoke()
		c.m.deps.Registry.Recheck(func(id *auth.Identity) error { return c.m.revoked.Check(id, time.Now()) })
	}},
	"replaced-by-garbage": {make: good, later: true, then: func(c *cell) { c.replace("garbage") }},
	"replaced-by-one-of-a-stranger": {make: good, later: true, then: func(c *cell) {
		c.replace(must(c.t, auth.MintOptions{Subject: "stranger", Role: "stranger"}, []byte("another secret of thirty-two bytes or more")))
	}},
}

func (c *cell) revoke() {
	c.m.revoked.Replace([]auth.Revocation{{Subject: c.sub}})
}

// try does one thing as one role with one token, and says what came of it: ok,
// none or a code.
func (m *matrix) try(role, kind, operation, state string) string {
	m.cells++
	c := &cell{m: m, role: role, sub: fmt.Sprintf("%s-%d", role, m.cells), kind: kind, topic: fmt.Sprintf("realtime:%s:%d", kind, m.cells)}
	c.witness = m.connectAs(protocol.V2, must(m.t, auth.MintOptions{Subject: "witness", Role: "service", TTL: 1000 * time.Hour}, secret))
	defer c.witness.Session.Close()
	c.client = &client{t: m.t} // for make; replaced below
	tok := matrixTokens[state]
	c.first = tok.make(c)
	own := must(m.t, auth.MintOptions{Subject: "own", Role: "service", TTL: 1000 * time.Hour}, secret)
	if state == "of-the-connection" {
		own = good(c)
	}
	c.prepare()
	c.client = m.connectAs(protocol.V2, own)
	defer c.client.Session.Close()
	op := matrixOperations[operation]
	if code := c.join(op); code != "" {
		return code
	}
	if tok.then != nil {
		tok.then(c)
	}
	return op.do(c)
}

// prepare leaves a message, a presence and a record behind, as far as rules let
// anybody.
func (c *cell) prepare() {
	collections := ""
	if c.kind == "interview" {
		collections = `,"chorale":{"v":1,"client":"witness","collections":["notes"]}`
	}
	c.witness.push("", c.topic, "phx_join", fmt.Sprintf(`{"config":{"private":%t,"presence":{"key":"witness"}%s}}`, c.kind != "public", collections))
	c.witness.push("1", c.topic, "broadcast", `{"event":"e","payload":"before"}`)
	c.witness.push("1", c.topic, "presence", `{"event":"track","payload":{}}`)
	c.witness.push("1", c.topic, "mutate", mutation("witness", 1, "put", "theirs", `,"fields":{"a":1}`))
}

// join joins for an operation, and returns the code of a refusal.
func (c *cell) join(op matrixOperation) string {
	access := ""
	if c.first != "" {
		access = `,"access_token":"` + c.first + `"`
	}
	ref := c.push("", c.topic, "phx_join", fmt.Sprintf(`{"config":{"private":%t,"broadcast":{"ack":true},%s}%s}`, c.kind != "public", strings.ReplaceAll(op.config, "%s", c.sub), access))
	return c.answer(ref)
}

// answer is the code of the reply to a push, "" when it is ok. What else was
// sent stays to be looked for.
func (c *cell) answer(ref string) string {
	c.t.Helper()
	for _, f := range c.sent() {
		if f.event != "phx_reply" || f.ref != ref {
			continue
		}
		response, _ := f.payload["response"].(map[string]any)
		if f.payload["status"] != "ok" {
			code, _ := response["code"].(string)
			return code
		}
		if fault, refused := response["error"].(map[string]any); refused {
			code, _ := fault["code"].(string)
			return code
		}
		return ""
	}
	return "no answer"
}

// sent is everything that the client was sent.
func (c *cell) sent() []frame {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []frame
	for _, raw := range c.in {
		out = append(out, c.decode(raw))
	}
	return out
}

// got says whether the client was sent an event in which is says yes.
func (c *cell) got(event string, is func(payload map[string]any) bool) string {
	for _, f := range c.sent() {
		if f.event == event && is(f.payload) {
			return "ok"
		}
	}
	return "none"
}

// matrixOperation is a join with a config, and what is done then.
type matrixOperation struct {
	config string
	do     func(c *cell) string
}

const absent = `"presence":{"enabled":false}`

// pushed is an operation that is one push.
func pushed(config, event, payload string) matrixOperation {
	return matrixOperation{config, func(c *cell) string {
		return orOK(c.answer(c.push("1", c.topic, event, strings.ReplaceAll(payload, "%s", c.sub))))
	}}
}

func orOK(code string) string {
	if code == "" {
		return "ok"
	}
	return code
}

// atJoin is an operation that a join is for. It joins again, because the token
// may have changed since, and looks at what comes with that.
func atJoin(config, event string, is func(payload map[string]any) bool) matrixOperation {
	op := matrixOperation{config: config}
	op.do = func(c *cell) string {
		c.mu.Lock()
		c.in = nil
		c.mu.Unlock()
		if code := c.join(matrixOperation{config: config}); code != "" {
			return code
		}
		return c.got(event, is)
	}
	return op
}

var matrixOperations = map[string]matrixOperation{
	"join": atJoin(absent, "phx_reply", func(map[string]any) bool { return true }),
	"receive": {absent, func(c *cell) string {
		c.witness.push("1", c.topic, "broadcast", `{"event":"e","payload":"now"}`)
		return c.got("broadcast", func(p map[string]any) bool { return p["payload"] == "now" })
	}},
	"publish": pushed(absent, "broadcast", `{"event":"e","payload":1}`),
	"persist": pushed(absent, "broadcast", `{"event":"e","payload":1,"meta":{"persist":true}}`),
	"track":   pushed(absent, "presence", `{"event":"track","payload":{}}`),
	"see": atJoin(`"presence":{"enabled":true}`, "presence_state", func(p map[string]any) bool {
		return p["witness"] != nil
	}),
	"replay": atJoin(`"presence":{"enabled":false},"broadcast":{"replay":{"since":0}}`, "broadcast", func(p map[string]any) bool {
		return p["payload"] == "before"
	}),
	"read": atJoin(absent+`,"chorale":{"v":1,"client":"reader","collections":["notes"]}`, "records", func(p map[string]any) bool {
		list, _ := p["records"].([]any)
		return len(list) == 1
	}),
	"write": pushed(absent+`,"chorale":{"v":1,"client":"%s"}`, "mutate", mutation("%s", 1, "put", "mine", `,"fields":{"a":1}`)),
}
