package server_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/server"
)

// logged collects a log that several goroutines write.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

const publicRoom = `{"presence":{"enabled":false}}`

// The log of a server that was talked to on every way in, at the level that says
// most, holds neither its secret, nor a token, nor what a token says of a person.
func TestTheLogIsSilentAboutSecrets(t *testing.T) {
	var log logged
	r := startWith(t, server.Options{Data: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	secret := r.srv.Secret()
	mint := func(secret []byte, sub string, ttl time.Duration) string {
		t.Helper()
		token, err := auth.Mint(secret, auth.MintOptions{
			Subject: sub, Role: "service_role", TTL: time.Minute, Extra: map[string]any{"email": "ada@example.com"},
			Now: func() time.Time { return time.Now().Add(ttl - time.Minute) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	tokens := map[string]string{
		"good":    mint(secret, "ada", time.Minute),
		"expired": mint(secret, "ada", -time.Hour),
		"forged":  mint(bytes.Repeat([]byte("x"), 32), "ada", time.Minute),
		"broken":  "eyJhbGciOiJIUzI1NiJ9.bm90IGpzb24.c2lnbmF0dXJl",
		"revoked": mint(secret, "ben", time.Minute),
	}
	for _, token := range tokens {
		for _, path := range []string{"/socket/websocket", "/realtime/v1/websocket", "/socket/sse?vsn=3"} {
			mark := "?"
			if strings.Contains(path, "?") {
				mark = "&"
			}
			r.request(http.MethodGet, path+mark+"apikey="+token, nil)
			r.request(http.MethodGet, path, nil, "X-Api-Key", token)
		}
		r.request(http.MethodPost, "/api/broadcast", strings.NewReader(`{"messages":[]}`), "Authorization", "Bearer "+token)
		r.request(http.MethodGet, "/api/v1/channels", nil, "apikey", token)
		conn := r.connect("ada")
		send(t, conn, `["1","1","realtime:room:1","phx_join",{"config":`+publicRoom+`,"access_token":"`+token+`"}]`)
		until(t, conn, "phx_reply", "room:1")
		send(t, conn, `["1","2","realtime:room:1","access_token",{"access_token":"`+token+`"}]`)
		send(t, conn, `["1","3","realtime:room:1",{"access_token":"`+token+`"}]`) // is no frame: dropped, and said so at this level
		send(t, conn, heartbeat)
		until(t, conn, "phx_reply", "phoenix")
	}
	revoked := r.connectWith(tokens["revoked"])
	send(t, revoked, join("room:1", publicRoom))
	until(t, revoked, "phx_reply", `"ok"`)
	if status, body := r.admin(http.MethodPost, "/admin/revocations", `{"sub":"ben"}`); status != http.StatusCreated {
		t.Fatal(status, body)
	}
	until(t, revoked, "phx_close")
	r.stop()

	said := log.String()
	if !strings.Contains(said, "token revoked") || !strings.Contains(said, "frame dropped") {
		t.Fatalf("not the log of all that:\n%s", said)
	}
	private := map[string]string{"secret": string(secret), "e-mail address": "ada@example.com"}
	for name, token := range tokens {
		private[name+" token"] = token[strings.LastIndex(token, ".")+1:]
	}
	for name, text := range private {
		if strings.Contains(said, text) {
			t.Errorf("[R7] the %s is in the log:\n%s", name, said)
		}
	}
}
