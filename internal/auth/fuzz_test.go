package auth

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzVerify holds that no token panics, that only what our secret signed is an
// identity, and that errors are complete and do not repeat the token.
func FuzzVerify(f *testing.F) {
	good := sign(f, "HS256", testSecret, claimsWith(nil), nil)
	f.Add(good)
	f.Add(" " + good[:30] + "%2E" + good[30:])
	f.Add(sign(f, "none", jwt.UnsafeAllowNoneSignatureType, claimsWith(nil), nil))
	f.Add(sign(f, "ES256", testKeys()["p256"], claimsWith(nil), map[string]any{"kid": "k"}))
	f.Add(rawToken(`{"alg":"HS256","crit":["x"]}`, `{"exp":1e400,"role":{}}`))
	f.Add("..")
	v := newTestVerifier(f, func(o *VerifierOptions) { o.CacheSize = 16 })
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Verify(token)
		if err == nil {
			normal, _ := normalize(token)
			_, err := jwt.NewParser(jwt.WithoutClaimsValidation()).Parse(normal, func(t *jwt.Token) (any, error) {
				if !strings.HasPrefix(t.Method.Alg(), "HS") {
					return nil, errors.New("not by our secret")
				}
				return testSecret, nil
			})
			if err != nil || id.Role == "" || id.Expired(noon) != nil {
				t.Fatalf("%q is %v: %v", token, id, err)
			}
			return
		}
		e, ok := errors.AsType[*TokenError](err)
		if !ok || id != nil || e.Code == "" || e.HTTPText() == "" || e.SystemText() == "" || e.Reason() == "" {
			t.Fatalf("%q: %+v with %v", token, err, id)
		}
		if len(token) > 100 && strings.Contains(err.Error(), token) {
			t.Fatalf("the error repeats the token: %v", err)
		}
	})
}

// FuzzParseRules holds that no file panics, that an error names the file, and
// that rules which were taken can be asked.
func FuzzParseRules(f *testing.F) {
	f.Add(exampleRules)
	f.Add("channels: [{match: x, history: {messages: 1, bytes: 1B, age: 1d, durability: disk, read: 'claims.role == channel'}, collections: {n: {schema: {}}}}]")
	f.Add("channels: [{match: 'a{b}', join: b == channel}, {match: '{c*}', <<: {join: 'true'}}]")
	f.Add("a: &a [*a]")
	f.Add("#")
	files := fstest.MapFS{"schemas/note.json": {Data: []byte(`{}`)}}
	id := identity("authenticated", nil)
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 4096 {
			return // compiling is not what is being tested
		}
		rules, err := ParseRules("rules.yaml", []byte(src), files)
		if err != nil {
			if rules != nil || !strings.HasPrefix(err.Error(), "rules.yaml:") {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		for _, channel := range []string{"interview:42", "x", "ab", "user:user-7:x"} {
			m, ok := rules.Match(channel)
			if !ok {
				continue
			}
			for _, op := range []Op{Join, Publish, Presence} {
				checkDecision(t, m.May(op, id))
			}
			if len(m.Rule().Collections) > 0 && m.Rule().History.Durability == "memory" {
				t.Fatalf("[R2] %q: collections in memory", src)
			}
			for name := range m.Rule().Collections {
				checkDecision(t, m.MayRead(name, id))
				checkDecision(t, m.MayWrite(name, id, nil, Mutation{}))
			}
		}
	})
}

func checkDecision(t *testing.T, d Decision) {
	t.Helper()
	if d.Allowed && (d.Err != nil || d.Reason() != "") || !d.Allowed && d.Reason() == "" || d.Line == 0 || d.String() == "" {
		t.Fatalf("decision is %+v", d)
	}
}
