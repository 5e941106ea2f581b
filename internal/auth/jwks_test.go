package auth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A keyServer serves a key set, as an http.Handler and, for tests with fake
// time, as an http.RoundTripper.
type keyServer struct {
	mu     sync.Mutex // guards the following
	body   []byte
	status int           // 0 means 200
	delay  time.Duration // of each answer
	asked  int
}

func (s *keyServer) set(change func(*keyServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *keyServer) answer() (status int, body []byte, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	status = s.status
	if status == 0 {
		status = http.StatusOK
	}
	return status, s.body, s.delay
}

func (s *keyServer) askedSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	status, body, _ := s.answer()
	w.WriteHeader(status)
	w.Write(body)
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body, delay := s.answer()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(delay):
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// inBubble runs a test with fake time against a verifier whose only keys are
// those of server. Run is under way and has made its first attempt.
func inBubble(t *testing.T, server *keyServer, test func(t *testing.T, v *Verifier, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		v := must(NewVerifier(VerifierOptions{
			JWKS: "https://id.example/keys", HTTPClient: &http.Client{Transport: server},
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		}))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = v.Run(ctx) })
		synctest.Wait()
		test(t, v, log)
		cancel()
		running.Wait()
	})
}

// token is signed by the named key, with kid, and good for a day of fake time.
func tokenOf(t testing.TB, name, kid string) string {
	alg := map[string]string{"rsa": "RS256", "p256": "ES256", "p384": "ES384", "ed25519": "EdDSA"}[name]
	header := map[string]any{}
	if kid != "" {
		header["kid"] = kid
	}
	return sign(t, alg, testKeys()[name], claimsWith(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()}), header)
}

func TestJWKS(t *testing.T) {
	t.Parallel()

	t.Run("[R7] keys come from a server, and a token of a new key brings it in", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"old": "rsa"})}
		s := httptest.NewServer(server)
		defer s.Close()
		v := must(NewVerifier(VerifierOptions{JWKS: s.URL}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- v.Run(ctx) }()
		waitFor(t, func() bool { return v.Healthy() == nil })

		must(v.Verify(tokenOf(t, "rsa", "old")))
		server.set(func(s *keyServer) { s.body = jwksOf(t, map[string]string{"old": "rsa", "new": "ed25519"}) })
		must(v.Verify(tokenOf(t, "ed25519", "new")))
		must(v.Verify(tokenOf(t, "rsa", "old")))

		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	t.Run("[R7] every kind of key verifies, with and without kid", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"r": "rsa", "e": "p256", "f": "p384", "d": "ed25519"})}
		inBubble(t, server, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			for name, kid := range map[string]string{"rsa": "r", "p256": "e", "p384": "f", "ed25519": "d"} {
				must(v.Verify(tokenOf(t, name, kid)))
				must(v.Verify(tokenOf(t, name, "")))
			}
		})
	})

	t.Run("[R7] a symmetric key counts for its kid only", func(t *testing.T) {
		jwk := map[string]any{"kty": "oct", "kid": "s", "alg": "HS256", "k": base64.RawURLEncoding.EncodeToString(testSecret)}
		server := &keyServer{body: must(json.Marshal(map[string]any{"keys": []any{jwk}}))}
		inBubble(t, server, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			for _, c := range []struct{ alg, kid, code string }{
				{"HS256", "s", ""}, {"HS512", "s", CodeKeyUnknown}, {"HS256", "other", CodeKeyUnknown},
			} {
				_, err := v.Verify(sign(t, c.alg, testSecret, claimsWith(nil), map[string]any{"kid": c.kid}))
				wantCode(t, err, c.code)
			}
		})
	})

}

func TestJWKSUnknownKeys(t *testing.T) {
	t.Parallel()

	t.Run("[R7] strangers with invented key ids cause one load in 30 seconds", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"k": "p256"}), delay: time.Second}
		inBubble(t, server, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			time.Sleep(2 * time.Second) // the first load
			stranger := tokenOf(t, "p256", "invented")
			for range 3 {
				var wg sync.WaitGroup
				begin, before := time.Now(), server.askedSoFar()
				for range 10 {
					wg.Go(func() {
						_, err := v.Verify(stranger)
						wantCode(t, err, CodeKeyUnknown)
					})
				}
				wg.Wait()
				_, err := v.Verify(stranger) // within the pause: at once
				wantCode(t, err, CodeKeyUnknown)
				if loads, took := server.askedSoFar()-before, time.Since(begin); loads != 1 || took != time.Second {
					t.Errorf("%d loads in %s", loads, took)
				}
				time.Sleep(unknownKeyPause)
			}
		})
	})

	t.Run("[R7] Verify waits two seconds for a key server that does not answer, not longer", func(t *testing.T) {
		inBubble(t, &keyServer{delay: time.Hour}, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			begin := time.Now()
			_, err := v.Verify(tokenOf(t, "p256", "k"))
			e := wantCode(t, err, CodeKeysUnavailable)
			if took := time.Since(begin); took != unknownKeyWait || !e.Retryable() || v.Healthy() == nil {
				t.Errorf("took %s, retryable %v, healthy %v", took, e.Retryable(), v.Healthy())
			}
		})
	})

	t.Run("without Run nobody waits for keys", func(t *testing.T) {
		v := must(NewVerifier(VerifierOptions{JWKS: "https://id.example/keys"}))
		_, err := v.Verify(tokenOf(t, "p256", "k"))
		wantCode(t, err, CodeKeysUnavailable)
	})

}

func TestJWKSRefresh(t *testing.T) {
	t.Parallel()

	t.Run("[R7] a key that is withdrawn takes its tokens along, remembered ones too", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"a": "p256", "b": "rsa"})}
		inBubble(t, server, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			token := tokenOf(t, "p256", "a")
			must(v.Verify(token))
			server.set(func(s *keyServer) { s.body = jwksOf(t, map[string]string{"b": "rsa"}) })
			time.Sleep(11 * time.Minute)
			_, err := v.Verify(token)
			wantCode(t, err, CodeKeyUnknown)
		})
	})

	t.Run("a set that did not change keeps the remembered tokens", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"a": "p256"})}
		inBubble(t, server, func(t *testing.T, v *Verifier, _ *bytes.Buffer) {
			token := tokenOf(t, "p256", "a")
			first := must(v.Verify(token))
			time.Sleep(time.Hour)
			if must(v.Verify(token)) != first || server.askedSoFar() < 6 {
				t.Errorf("verified again, after %d loads", server.askedSoFar())
			}
		})
	})

	t.Run("failures are backed off, logged, and leave the keys", func(t *testing.T) {
		server := &keyServer{body: jwksOf(t, map[string]string{"a": "p256"})}
		inBubble(t, server, func(t *testing.T, v *Verifier, log *bytes.Buffer) {
			server.set(func(s *keyServer) { s.status = http.StatusBadGateway })
			before := server.askedSoFar()
			time.Sleep(20 * time.Minute)
			// The next load, after 8 to 10 minutes, fails. Then 1 + 2 + 4 + … + 256
			// seconds, less jitter, bring 9 more; the 512 seconds after that lead beyond the end.
			if attempts := server.askedSoFar() - before; attempts != 10 {
				t.Errorf("%d attempts in twenty minutes", attempts)
			}
			must(v.Verify(tokenOf(t, "p256", "a")))
			synctest.Wait() // the log is quiet
			if !strings.Contains(log.String(), "502") && !strings.Contains(log.String(), "Bad Gateway") {
				t.Errorf("log is %s", log)
			}
			server.set(func(s *keyServer) { s.status, s.body = 0, jwksOf(t, map[string]string{"b": "rsa"}) })
			time.Sleep(10 * time.Minute)
			must(v.Verify(tokenOf(t, "rsa", "b")))
		})
	})

	t.Run("a file is read at the start and again later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.json")
			write := func(id, name string) {
				if err := os.WriteFile(file, jwksOf(t, map[string]string{id: name}), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("a", "p256")
			v := must(NewVerifier(VerifierOptions{JWKS: file, JWKSInterval: time.Minute}))
			must(v.Verify(tokenOf(t, "p256", "a")))
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = v.Run(ctx) })
			write("b", "rsa")
			time.Sleep(time.Minute + time.Second)
			must(v.Verify(tokenOf(t, "rsa", "b")))
			cancel()
			running.Wait()
		})
	})
}

func TestParseJWKS(t *testing.T) {
	t.Parallel()
	good := string(jwksOf(t, map[string]string{"good": "p256"}))
	with := func(key string) string { return strings.Replace(good, `[`, `[`+key+`,`, 1) }

	t.Run("[R7] keys that are not for us are skipped by name", func(t *testing.T) {
		for name, key := range map[string]string{
			"encryption":    `{"kid":"bad","use":"enc","kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}`,
			"short secret":  `{"kid":"bad","kty":"oct","k":"c2VjcmV0"}`,
			"unknown kind":  `{"kid":"bad","kty":"new"}`,
			"unknown curve": `{"kid":"bad","kty":"OKP","crv":"Ed448","x":"AA"}`,
			"broken":        `{"kid":"bad","kty":"RSA","n":"!","e":"AQAB"}`,
			"wrong alg":     strings.Replace(good[len(`{"keys":[`):len(good)-len(`]}`)], `"kid":"good"`, `"kid":"bad","alg":"HS256"`, 1),
		} {
			keys, skipped, err := parseJWKS([]byte(with(key)))
			if err != nil || len(keys) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0].Error(), `kid "bad"`) {
				t.Errorf("%s: %d keys, skipped %v, %v", name, len(keys), skipped, err)
			}
		}
	})

	t.Run("[R7] a private key that was published serves as its public half", func(t *testing.T) {
		b64 := base64.RawURLEncoding.EncodeToString
		private := testKeys()["ed25519"].(ed25519.PrivateKey)
		jwk := map[string]any{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": b64(private[32:]), "d": b64(private.Seed()), "alg": "Ed25519"}
		keys, _, err := parseJWKS(must(json.Marshal(map[string]any{"keys": []any{jwk}})))
		if err != nil || len(keys) != 1 || !private.Public().(ed25519.PublicKey).Equal(keys[0].use.(ed25519.PublicKey)) {
			t.Errorf("keys are %v, %v", keys, err)
		}
	})

	t.Run("[R7] a set without a usable key, or with too many, is refused", func(t *testing.T) {
		many := `{"keys":[` + strings.Repeat(`{},`, maxJWKSKeys) + `{}]}`
		for _, set := range []string{`{"keys":[]}`, `{}`, `[]`, `x`, many, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`} {
			if _, _, err := parseJWKS([]byte(set)); err == nil {
				t.Errorf("%.40s was taken", set)
			} else if strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("a key was printed: %v", err)
			}
		}
	})
}

func TestFetchJWKS(t *testing.T) {
	t.Parallel()

	t.Run("[R7] a key set that does not end is not read to its end", func(t *testing.T) {
		client := &http.Client{Transport: &keyServer{body: make([]byte, maxJWKSBytes+1)}}
		if _, err := fetchJWKS(t.Context(), client, "https://id.example/"); err == nil || !strings.Contains(err.Error(), "larger") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("[R7] a redirect to http is not followed", func(t *testing.T) {
		plain := httptest.NewServer(&keyServer{body: jwksOf(t, map[string]string{"evil": "p256"})})
		defer plain.Close()
		secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
		defer secure.Close()
		client := secure.Client()
		client.CheckRedirect = refuseDowngrade
		if _, err := fetchJWKS(t.Context(), client, secure.URL); err == nil || !strings.Contains(err.Error(), "redirects to http") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("[R7] redirects end", func(t *testing.T) {
		var s *httptest.Server
		s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, s.URL, http.StatusFound) }))
		defer s.Close()
		_, err := fetchJWKS(t.Context(), &http.Client{CheckRedirect: refuseDowngrade}, s.URL)
		if err == nil || !strings.Contains(err.Error(), "in circles") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a server that is away is an error and no key", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := fetchJWKS(ctx, http.DefaultClient, s.URL); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// waitFor polls until ok, which must become true soon.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within ten seconds")
		}
		time.Sleep(time.Millisecond)
	}
}
