package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("[R7] a good token is an identity with all its claims", func(t *testing.T) {
		v := newTestVerifier(t, nil)
		token := sign(t, "HS256", testSecret, claimsWith(map[string]any{
			"jti": "t-1", "iat": noon.Unix(), "team": map[string]any{"id": 9007199254740993, "share": 0.5},
		}), nil)
		id, err := v.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		if id.Subject != "user-7" || id.Role != "authenticated" || id.TokenID != "t-1" ||
			!id.IssuedAt.Equal(noon) || !id.ExpiresAt.Equal(noon.Add(time.Hour)) {
			t.Errorf("identity is %+v", id)
		}
		team := id.Claims["team"].(map[string]any)
		if team["id"] != int64(9007199254740993) || team["share"] != 0.5 {
			t.Errorf("numbers lost their value: %v", team)
		}
	})

	t.Run("[R7] every algorithm verifies with the key of its kind", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) {
			for _, name := range []string{"rsa", "p256", "p384", "ed25519"} {
				o.PublicKeys = append(o.PublicKeys, publicPEM(t, name))
			}
		})
		for alg, name := range map[string]string{
			"HS256": "", "HS384": "", "HS512": "", "RS256": "rsa", "RS384": "rsa", "RS512": "rsa",
			"ES256": "p256", "ES384": "p384", "EdDSA": "ed25519",
		} {
			var key any = testSecret
			if name != "" {
				key = testKeys()[name]
			}
			if _, err := v.Verify(sign(t, alg, key, claimsWith(nil), nil)); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
	})

	t.Run("whitespace is stripped and percent-escapes are decoded", func(t *testing.T) {
		v := newTestVerifier(t, nil)
		token := sign(t, "HS256", testSecret, claimsWith(nil), nil)
		for _, form := range []string{
			" " + token + "\n", token[:20] + "\r\n " + token[20:], strings.ReplaceAll(token, ".", "%2E"), token + "%0A",
		} {
			if _, err := v.Verify(form); err != nil {
				t.Errorf("%q: %v", form, err)
			}
		}
	})

	t.Run("issuer and audience are checked when they are set", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) { o.Issuer, o.Audience = "https://id.example", "chorale" })
		for _, c := range []struct {
			iss, aud any
			code     string
		}{
			{"https://id.example", "chorale", ""},
			{"https://id.example", []string{"other", "chorale"}, ""},
			{"https://id.example", []string{"other"}, CodeAudienceInvalid},
			{"https://id.example", nil, CodeAudienceInvalid},
			{"https://id.example", 7, CodeAudienceInvalid},
			{"https://elsewhere.example", "chorale", CodeIssuerInvalid},
			{map[string]any{}, "chorale", CodeIssuerInvalid},
			{nil, "chorale", CodeIssuerInvalid},
		} {
			_, err := v.Verify(sign(t, "HS256", testSecret, claimsWith(map[string]any{"iss": c.iss, "aud": c.aud}), nil))
			wantCode(t, err, c.code)
		}
	})
}

func TestVerifyRefusals(t *testing.T) {
	t.Parallel()
	hs := func(changes map[string]any) string { return sign(t, "HS256", testSecret, claimsWith(changes), nil) }
	good := hs(nil)
	const signer = "Failed to generate JWT signer, check your JWT secret or JWKS configuration"
	const fields = "Fields `role` and `exp` are required in JWT"

	for _, c := range []struct {
		name, token, code, http, reason string
	}{
		{"no token", "", CodeAPIKeyMissing, "API key is missing", "MissingAPIKey: API key is missing"},
		{"whitespace only", " %20\n", CodeAPIKeyMissing, "API key is missing", "MissingAPIKey: API key is missing"},
		{"not a token", "hello", CodeTokenMalformed, "The token provided is not a valid JWT", "MalformedJWT: The token provided is not a valid JWT"},
		{"three words", "a.b.c", CodeTokenMalformed, "The token provided is not a valid JWT", "MalformedJWT: The token provided is not a valid JWT"},
		{"broken escape", good + "%G", CodeTokenMalformed, "The token provided is not a valid JWT", ""},
		{"too long", strings.Repeat("a", maxTokenBytes+1), CodeTokenMalformed, "The token provided is not a valid JWT", ""},
		{"claims that are a list", rawToken(`{"alg":"HS256"}`, `[]`), CodeTokenMalformed, "The token provided is not a valid JWT", ""},
		{"a kid that is a number", rawToken(`{"alg":"HS256","kid":1}`, `{}`), CodeTokenMalformed, "The token provided is not a valid JWT", ""},
		{"an extension we do not know", rawToken(`{"alg":"HS256","crit":["b64"],"b64":false}`, `{}`), CodeTokenMalformed, "The token provided is not a valid JWT", ""},
		{"one bit more in the last digit", good[:len(good)-1] + nextDigit(good[len(good)-1]), CodeTokenMalformed, "The token provided is not a valid JWT", ""},

		{"no algorithm", rawToken(`{}`, `{}`), CodeAlgorithmUnsupported, signer, "JwtSignerError: " + signer},
		{"alg none", sign(t, "none", jwt.UnsafeAllowNoneSignatureType, claimsWith(nil), nil), CodeAlgorithmUnsupported, signer, "JwtSignerError: " + signer},
		{"alg None", rawToken(`{"alg":"None"}`, `{}`), CodeAlgorithmUnsupported, signer, ""},
		{"an algorithm that is not offered", sign(t, "PS256", testKeys()["rsa"], claimsWith(nil), nil), CodeAlgorithmUnsupported, signer, ""},
		{"an algorithm without a key", sign(t, "ES256", testKeys()["p256"], claimsWith(nil), nil), CodeKeyUnknown, signer, "JwtSignerError: " + signer},
		{"another secret", sign(t, "HS256", bytes.Repeat([]byte("x"), 32), claimsWith(nil), nil), CodeSignatureInvalid, "Failed to validate JWT signature", "JwtSignatureError: Failed to validate JWT signature"},

		{"no exp", hs(map[string]any{"exp": nil}), CodeClaimsMissing, fields, "InvalidJWTToken: " + fields},
		{"exp null", rawToken(`{"alg":"HS256"}`, `{"exp":null,"role":"a"}`), CodeClaimsMissing, fields, ""},
		{"no role", hs(map[string]any{"role": nil}), CodeClaimsMissing, fields, "InvalidJWTToken: " + fields},
		{"an empty role", hs(map[string]any{"role": ""}), CodeClaimsMissing, fields, ""},
		{"a role that is a number", hs(map[string]any{"role": 1}), CodeClaimsMissing, fields, ""},
		{"exp in words", hs(map[string]any{"exp": "tomorrow"}), CodeExpirationInvalid, "Token expiration time is invalid", "InvalidJWTToken: Token expiration time is invalid"},
		{"expired", hs(map[string]any{"exp": noon.Unix() - 5}), CodeTokenExpired, "Token has expired", "InvalidJWTToken: Token has expired 5 seconds ago"},
		{"expired and without role", hs(map[string]any{"exp": noon.Unix() - 5, "role": nil}), CodeTokenExpired, "Token has expired", ""},
		{"expired in another age", hs(map[string]any{"exp": -1e300}), CodeTokenExpired, "Token has expired", ""},
		{"not valid yet", hs(map[string]any{"nbf": noon.Unix() + 1}), CodeTokenNotYetValid, "Token is not valid yet", "InvalidJWTToken: Token is not valid yet"},
		{"nbf in words", hs(map[string]any{"nbf": "now"}), CodeClaimInvalid, "Claim `nbf` must be a number", ""},
		{"iat in words", hs(map[string]any{"iat": "now"}), CodeClaimInvalid, "Claim `iat` must be a number", "InvalidJWTToken: Claim `iat` must be a number"},
		{"sub that is a number", hs(map[string]any{"sub": 7}), CodeClaimInvalid, "Claim `sub` must be a string", ""},
		{"jti that is a list", hs(map[string]any{"jti": []int{}}), CodeClaimInvalid, "Claim `jti` must be a string", ""},
	} {
		t.Run("[R7] "+c.name+" is refused with "+c.code, func(t *testing.T) {
			id, err := newTestVerifier(t, nil).Verify(c.token)
			e := wantCode(t, err, c.code)
			if id != nil {
				t.Error("an identity came with the error")
			}
			if got := e.HTTPText(); got != c.http {
				t.Errorf("HTTPText is %q, want %q", got, c.http)
			}
			if got := e.Reason(); c.reason != "" && got != c.reason {
				t.Errorf("Reason is %q, want %q", got, c.reason)
			}
			if !strings.HasSuffix(e.Reason(), ": "+e.SystemText()) {
				t.Errorf("Reason %q does not end in SystemText %q", e.Reason(), e.SystemText())
			}
		})
	}
}

// nextDigit returns the base64url digit after d, wrapping around within the
// digits that differ in their unused low bits only.
func nextDigit(d byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, d)^1])
}

func TestVerifyKeyConfusion(t *testing.T) {
	t.Parallel()

	t.Run("[R7] a public key never serves as HMAC secret", func(t *testing.T) {
		for _, name := range []string{"rsa", "p256", "ed25519"} {
			public := publicPEM(t, name)
			v := newTestVerifier(t, func(o *VerifierOptions) { o.Secret, o.PublicKeys = nil, [][]byte{public} })
			der := must(x509.MarshalPKIXPublicKey(testKeys()[name].Public()))
			for _, secret := range [][]byte{public, bytes.TrimSpace(public), der} {
				_, err := v.Verify(sign(t, "HS256", secret, claimsWith(nil), nil))
				wantCode(t, err, CodeKeyUnknown)
			}
		}
	})

	t.Run("[R7] a public key in the place of the secret stops the start", func(t *testing.T) {
		if _, err := NewVerifier(VerifierOptions{Secret: publicPEM(t, "rsa")}); err == nil || !strings.Contains(err.Error(), "PublicKeys") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("[R7] a curve verifies its own algorithm only", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) { o.PublicKeys = [][]byte{publicPEM(t, "p384")} })
		token := sign(t, "ES384", testKeys()["p384"], claimsWith(nil), map[string]any{"alg": "ES256"})
		_, err := v.Verify(token)
		wantCode(t, err, CodeKeyUnknown)
	})
}

func TestVerifyExpiry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		exp    any
		leeway time.Duration
		now    time.Duration // after noon
		code   string
	}{
		{"a token is good until just before exp", noon.Unix() + 10, 0, 10*time.Second - 1, ""},
		{"a token is refused from exp on", noon.Unix() + 10, 0, 10 * time.Second, CodeTokenExpired},
		{"decimals of exp count", float64(noon.Unix()) + 0.5, 0, 499 * time.Millisecond, ""},
		{"and so they do afterwards", float64(noon.Unix()) + 0.5, 0, 500 * time.Millisecond, CodeTokenExpired},
		{"leeway is added", noon.Unix(), 3 * time.Second, 3*time.Second - 1, ""},
		{"leeway ends too", noon.Unix(), 3 * time.Second, 3 * time.Second, CodeTokenExpired},
		{"an absurd exp is far away and nothing worse", math.MaxFloat64, 0, 0, ""},
	} {
		t.Run("[R7] "+c.name, func(t *testing.T) {
			now := noon.Add(c.now)
			v := newTestVerifier(t, func(o *VerifierOptions) {
				o.Leeway, o.Now = c.leeway, func() time.Time { return now }
			})
			id, err := v.Verify(sign(t, "HS256", testSecret, claimsWith(map[string]any{"exp": c.exp}), nil))
			wantCode(t, err, c.code)
			if id != nil {
				wantCode(t, id.Expired(now), "")
				wantCode(t, id.Expired(id.ExpiresAt), CodeTokenExpired)
				_ = must(id.ExpiresAt.MarshalJSON()) // a year that JSON can carry
			}
		})
	}

	t.Run("[R7] an identity tells how long it is over", func(t *testing.T) {
		id := &Identity{ExpiresAt: noon}
		e := wantCode(t, id.Expired(noon.Add(7900*time.Millisecond)), CodeTokenExpired)
		if want := "Token has expired 7 seconds ago"; e.SystemText() != want {
			t.Errorf("SystemText is %q, want %q", e.SystemText(), want)
		}
	})
}

func TestVerifyCache(t *testing.T) {
	t.Parallel()

	t.Run("a token that comes again is the same identity", func(t *testing.T) {
		v := newTestVerifier(t, nil)
		token := sign(t, "HS256", testSecret, claimsWith(nil), nil)
		if must(v.Verify(token)) != must(v.Verify(" "+token)) {
			t.Error("it was verified again")
		}
	})

	t.Run("[R7] a remembered token ends at its exp", func(t *testing.T) {
		now := noon
		v := newTestVerifier(t, func(o *VerifierOptions) { o.Now = func() time.Time { return now } })
		token := sign(t, "HS256", testSecret, claimsWith(nil), nil)
		must(v.Verify(token))
		now = noon.Add(time.Hour)
		_, err := v.Verify(token)
		wantCode(t, err, CodeTokenExpired)
	})

	t.Run("[R7] however many tokens come, the cache keeps its size", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) { o.CacheSize = 64 })
		for i := range 1000 {
			must(v.Verify(sign(t, "HS256", testSecret, claimsWith(map[string]any{"sub": fmt.Sprint(i)}), nil)))
		}
		kept := 0
		for i := range v.cache.shards {
			s := &v.cache.shards[i]
			kept += len(s.byHash)
			if len(s.byHash) != len(s.clock) {
				t.Errorf("shard %d: %d by hash, %d on the clock", i, len(s.byHash), len(s.clock))
			}
			for at, c := range s.clock {
				if c.at != at || s.byHash[c.hash] != c {
					t.Errorf("shard %d: place %d is not what it says", i, at)
				}
			}
		}
		if kept > 64 {
			t.Errorf("%d tokens are kept", kept)
		}
	})

	t.Run("a token in use outlives those that came once", func(t *testing.T) {
		c := newTokenCache(cacheShards * 4)
		ring, id := new(keyring), &Identity{ExpiresAt: noon}
		c.put(tokenHash{0, 1}, ring, id)
		for i := range byte(200) {
			if c.get(tokenHash{0, 1}, ring, noon.Add(-1)) == nil {
				t.Fatalf("forgotten after %d others", i)
			}
			c.put(tokenHash{0, 2, i}, ring, id)
		}
	})

	t.Run("no cache works as well", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) { o.CacheSize = -1 })
		token := sign(t, "HS256", testSecret, claimsWith(nil), nil)
		if must(v.Verify(token)) == must(v.Verify(token)) {
			t.Error("it was remembered")
		}
	})

	t.Run("many readers and writers agree", func(t *testing.T) {
		v := newTestVerifier(t, func(o *VerifierOptions) { o.CacheSize = 16 })
		tokens := make([]string, 40)
		for i := range tokens {
			tokens[i] = sign(t, "HS256", testSecret, claimsWith(map[string]any{"sub": fmt.Sprint(i)}), nil)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 400 {
					if id, err := v.Verify(tokens[i%40]); err != nil || id.Subject != fmt.Sprint(i%40) {
						t.Errorf("token %d is %v, %v", i%40, id, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestSecrecy(t *testing.T) {
	t.Parallel()

	t.Run("[R7] neither secret nor token is ever printed", func(t *testing.T) {
		o := VerifierOptions{Secret: testSecret, Now: atNoon}
		v := must(NewVerifier(o))
		token := sign(t, "HS256", bytes.Repeat([]byte("y"), 32), claimsWith(nil), nil)
		id := must(v.Verify(sign(t, "HS256", testSecret, claimsWith(map[string]any{"email": "ada@example.com"}), nil)))
		_, err := v.Verify(token)

		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("all", "options", o, "verifier", v, "err", err, "id", id)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&log, verb+verb, o, v)
		}
		fmt.Fprintln(&log, err, id)
		for _, private := range []string{string(testSecret), fmt.Sprint(testSecret), token[len(token)-20:], "ada@example.com"} {
			if strings.Contains(log.String(), private) {
				t.Errorf("%q was printed:\n%s", private, log.String())
			}
		}
	})
}

func TestNewVerifier(t *testing.T) {
	t.Parallel()
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(testKeys()["p256"]))})
	for name, o := range map[string]VerifierOptions{
		"no key: give":                {},
		"HMAC secret of 31 bytes":     {Secret: testSecret[:31]},
		"Leeway -1s":                  {Secret: testSecret, Leeway: -time.Second},
		"JWKSInterval 1s":             {Secret: testSecret, JWKSInterval: time.Second},
		"PublicKeys[1]: no PEM block": {PublicKeys: [][]byte{publicPEM(t, "rsa"), []byte("rsa")}},
		`PEM block "PRIVATE KEY"`:     {PublicKeys: [][]byte{private}},
		"no such file":                {JWKS: t.TempDir() + "/none.json"},
		"want https://host/path":      {JWKS: "ftp://id.example/keys"},
	} {
		t.Run("the start stops at: "+name, func(t *testing.T) {
			_, err := NewVerifier(o)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMint(t *testing.T) {
	t.Parallel()

	t.Run("a minted token says what was asked", func(t *testing.T) {
		token := must(Mint(testSecret, MintOptions{
			Subject: "guest-1", Name: "Ada", TTL: time.Minute, Extra: map[string]any{"team": "red"}, Now: atNoon,
		}))
		id := must(newTestVerifier(t, nil).Verify(token))
		if id.Subject != "guest-1" || id.Role != "authenticated" || id.TokenID == "" ||
			!id.ExpiresAt.Equal(noon.Add(time.Minute)) || id.Claims["name"] != "Ada" || id.Claims["team"] != "red" {
			t.Errorf("identity is %+v", id)
		}
	})

	t.Run("[R7] a claim cannot be set from two sides", func(t *testing.T) {
		extra := map[string]any{"role": "service_role"}
		if _, err := Mint(testSecret, MintOptions{Extra: extra}); err == nil {
			t.Error("it was taken")
		}
		if len(extra) != 1 {
			t.Errorf("the caller's map was changed: %v", extra)
		}
	})

	t.Run("what cannot be verified is not minted", func(t *testing.T) {
		if _, err := Mint(testSecret[:8], MintOptions{}); err == nil {
			t.Error("a short secret was taken")
		}
		if _, err := Mint(testSecret, MintOptions{TTL: time.Millisecond}); err == nil {
			t.Error("a token without a life was made")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	token := sign(b, "HS256", testSecret, claimsWith(map[string]any{"name": "Ada", "app_metadata": map[string]any{"team": "red"}}), nil)
	b.Run("remembered", func(b *testing.B) {
		v := newTestVerifier(b, nil)
		b.ReportAllocs()
		for b.Loop() {
			must(v.Verify(token))
		}
	})
	b.Run("HS256", func(b *testing.B) {
		v := newTestVerifier(b, func(o *VerifierOptions) { o.CacheSize = -1 })
		b.ReportAllocs()
		for b.Loop() {
			must(v.Verify(token))
		}
	})
}
