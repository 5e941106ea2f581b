package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/server"
)

func TestMain(m *testing.M) {
	if serveChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// running is a server in dev mode, on a port of its own.
type running struct {
	t    *testing.T
	base string // host:port
	srv  *server.Server
	stop func()
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	return startWith(t, server.Options{Data: dir})
}

func startWith(t *testing.T, o server.Options) *running {
	t.Helper()
	o.Addr, o.Dev, o.Drain = "127.0.0.1:0", true, 50*time.Millisecond
	srv, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	stopped := false
	r := &running{t: t, base: srv.Addr().String(), srv: srv}
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(r.stop)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return r
}

func (r *running) token(sub string) string {
	r.t.Helper()
	tok, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: sub, Role: "guest"})
	if err != nil {
		r.t.Fatal(err)
	}
	return tok
}

func (r *running) request(method, path string, body io.Reader, headers ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.base+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func (r *running) dial(query string) (net.Conn, error) {
	conn, br, _, err := ws.Dial(context.Background(), "ws://"+r.base+"/socket/websocket?vsn=2.0.0&"+query)
	if br != nil { // what came right behind the handshake
		return &buffered{conn, br}, err
	}
	return conn, err
}

type buffered struct {
	net.Conn
	from io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.from.Read(p) }

func (r *running) connect(sub string) net.Conn {
	r.t.Helper()
	conn, err := r.dial("apikey=" + r.token(sub))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, frame string) {
	t.Helper()
	if err := wsutil.WriteClientText(conn, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// until reads frames up to one that contains all of what is given.
func until(t *testing.T, conn net.Conn, parts ...string) string {
	t.Helper()
	var seen []string
next:
	for {
		data, err := wsutil.ReadServerText(conn)
		if err != nil {
			t.Fatalf("waiting for %q: %v; so far:\n%s", parts, err, strings.Join(seen, "\n"))
		}
		seen = append(seen, string(data))
		for _, part := range parts {
			if !bytes.Contains(data, []byte(part)) {
				continue next
			}
		}
		return string(data)
	}
}

// closeFrame reads up to the close frame.
func closeFrame(t *testing.T, conn net.Conn) (int, string) {
	t.Helper()
	for {
		f, err := ws.ReadFrame(conn)
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		if f.Header.OpCode == ws.OpClose {
			return int(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
		}
	}
}

const heartbeat = `[null,"h","phoenix","heartbeat",{}]`

func join(topic, config string) string {
	return fmt.Sprintf(`["1","1",%q,"phx_join",{"config":%s}]`, "realtime:"+topic, config)
}

func notes(client string) string {
	return fmt.Sprintf(`{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"client":%q,"collections":["notes"]}}`, client)
}

func put(topic, client string, n int, content string) string {
	return fmt.Sprintf(`["1","m%d",%q,"mutate",{"client":%q,"n":%d,"id":"%s-%d","at":"0192f0c12b3c%04x","op":"put","collection":"notes","record":"r%d","fields":{"content":%q,"timestampMs":1,"authorName":"Ada","kind":"note"}}]`,
		n, "realtime:"+topic, client, n, client, n, n, n, content)
}

func TestHandshake(t *testing.T) {
	r := start(t, t.TempDir())
	expired, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "ada", TTL: time.Second, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/socket/websocket", "/realtime/v1/websocket"} {
		for _, tt := range []struct {
			name, query string
			status      int
			text        string
		}{
			{"no token", "", 401, "API key is missing"},
			{"no JWT", "apikey=x", 401, "The token provided is not a valid JWT"},
			{"expired", "apikey=" + expired, 401, "Token has expired"},
			{"another vsn", "vsn=3.0.0&apikey=" + r.token("ada"), 403, ""},
		} {
			t.Run("[R7] "+path+": "+tt.name, func(t *testing.T) {
				status, body := r.request("GET", path+"?"+tt.query, nil)
				var said struct{ Error string }
				if tt.text != "" && json.Unmarshal([]byte(body), &said) != nil {
					t.Errorf("not JSON: %s", body)
				}
				if status != tt.status || said.Error != tt.text {
					t.Errorf("%d %q, want %d %q", status, body, tt.status, tt.text)
				}
			})
		}
	}
	t.Run("the header goes before the query", func(t *testing.T) {
		status, body := r.request("GET", "/socket/websocket?apikey="+r.token("ada"), nil, "X-Api-Key", "x")
		if status != 401 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("[C1] a Chorale client is told by a close code", func(t *testing.T) {
		conn, err := r.dial("chorale=1&apikey=x")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if code, reason := closeFrame(t, conn); code != 4101 || reason != "The token provided is not a valid JWT" {
			t.Errorf("%d %q", code, reason)
		}
	})
}

func TestBadInputOverASocket(t *testing.T) {
	r := start(t, t.TempDir())
	t.Run("[F5] garbage leaves the connection as it was", func(t *testing.T) {
		conn := r.connect("ada")
		for _, garbage := range []string{"garbage", "[]", `{"a":1}`, strings.Repeat("[", 50_000)} {
			send(t, conn, garbage)
			if err := wsutil.WriteClientBinary(conn, []byte(garbage)); err != nil {
				t.Fatal(err)
			}
		}
		send(t, conn, heartbeat)
		until(t, conn, "phx_reply", `"ok"`)
	})
	t.Run("[F5] a frame of six megabytes closes with 1009, and nobody else notices", func(t *testing.T) {
		other := r.connect("ben")
		conn := r.connect("ada")
		// The server closes on the header; writing the rest may fail, which is its right.
		_ = wsutil.WriteClientText(conn, bytes.Repeat([]byte("x"), 6_000_000))
		if code, _ := closeFrame(t, conn); code != 1009 {
			t.Errorf("code %d", code)
		}
		send(t, other, heartbeat)
		until(t, other, "phx_reply", `"ok"`)
	})
	t.Run("[M5] a note that is too large is refused by name, and the next one passes", func(t *testing.T) {
		conn := r.connect("ada")
		send(t, conn, join("interview:big", notes("big")))
		until(t, conn, "synced")
		send(t, conn, put("interview:big", "big", 1, strings.Repeat("x", 1_000_000)))
		until(t, conn, `"m1"`, `"rejected"`, "at most 20000 characters")
		send(t, conn, put("interview:big", "big", 2, "small"))
		until(t, conn, `"m2"`, `"applied"`)
	})
	t.Run("[J3] an unknown collection is named", func(t *testing.T) {
		conn := r.connect("ada")
		send(t, conn, join("interview:1", strings.Replace(notes("x"), `"notes"`, `"cats"`, 1)))
		until(t, conn, "unknown_collection", "cats")
	})
}

func TestREST(t *testing.T) {
	r := start(t, t.TempDir())
	bearer := "Bearer " + r.token("backend")
	t.Run("[R1] what REST publishes reaches sockets, in the one order", func(t *testing.T) {
		conn := r.connect("ada")
		send(t, conn, join("room:1", `{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"client":"a"}}`))
		until(t, conn, "synced")
		status, body := r.request("POST", "/realtime/v1/api/broadcast", strings.NewReader(
			`{"messages":[{"topic":"room:1","event":"a","payload":{"n":1},"private":true,"id":"m1"},{"topic":"room:1","event":"a","payload":{"n":2},"private":true}]}`), "Authorization", bearer)
		if status != 202 || body != "" {
			t.Fatalf("%d %s", status, body)
		}
		until(t, conn, `"n":1`, `"id":"m1"`, `"offset":1`)
		until(t, conn, `"n":2`, `"offset":2`)
		status, body = r.request("POST", "/api/broadcast/room%3A1/events/b%2Fc?private=true", strings.NewReader(`[3]`), "apikey", r.token("backend"))
		if status != 202 {
			t.Fatalf("%d %s", status, body)
		}
		until(t, conn, `"event":"b/c"`, `"payload":[3]`, `"offset":3`)
	})
	for _, tt := range []struct {
		name, path, body string
		headers          []string
		status           int
		says             string
	}{
		{"no token", "/api/broadcast", `{}`, nil, 401, "Unauthorized"},
		{"a wrong token", "/api/broadcast", `{}`, []string{"Authorization", "Bearer x"}, 401, "Unauthorized"},
		{"no JSON", "/api/broadcast", `{`, []string{"Authorization", bearer}, 422, "messages"},
		{"a payload that is no object", "/api/broadcast", `{"messages":[{"topic":"x","event":"e","payload":1}]}`, []string{"Authorization", bearer}, 422, "must be an object"},
		{"no messages", "/api/broadcast", `{}`, []string{"Authorization", bearer}, 422, `{"messages":["can't be blank"]}`},
		{"messages that are none", "/api/broadcast", `{"messages":[7]}`, []string{"Authorization", bearer}, 422, "messages has the wrong type: number"},
		{"a private that may be a slip", "/api/broadcast", `{"messages":[{"topic":"x","event":"e","payload":{},"private":"yes"}]}`, []string{"Authorization", bearer}, 422, "private must be true or false"},
		{"no topic", "/api/broadcast", `{"messages":[{"event":"e","payload":{}}]}`, []string{"Authorization", bearer}, 422, "topic"},
		{"another media type", "/api/broadcast/x/events/e", `<x/>`, []string{"Authorization", bearer, "Content-Type", "text/xml"}, 415, "Unsupported Media Type"},
		{"a body that is no JSON", "/api/broadcast/x/events/e", `{`, []string{"Authorization", bearer}, 422, "payload"},
		{"a body of ten megabytes", "/api/broadcast/x/events/e", strings.Repeat(" ", 10_000_000), []string{"Authorization", bearer}, 422, "Payload size exceeds"},
	} {
		t.Run("[R7] refused: "+tt.name, func(t *testing.T) {
			status, body := r.request("POST", tt.path, strings.NewReader(tt.body), tt.headers...)
			if status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%d %s, want %d with %q", status, body, tt.status, tt.says)
			}
		})
	}
	t.Run("the scheme's name is in any case, and booleans may be strings", func(t *testing.T) {
		body := `{"messages":[{"topic":"room:2","event":"a","payload":{},"private":"TRUE"}]}`
		if status, body := r.request("POST", "/api/broadcast", strings.NewReader(body), "Authorization", "bearer "+r.token("backend")); status != 202 {
			t.Errorf("%d %s", status, body)
		}
		status, got := r.request("GET", "/api/v1/channels/room:2/messages", nil, "Authorization", bearer)
		if status != 200 || !strings.Contains(got, `"event":"a"`) {
			t.Errorf("%d %s", status, got)
		}
	})
	t.Run("a path that is no route is not a page of the app", func(t *testing.T) {
		for _, path := range []string{"/api/nothing", "/realtime/v1/nothing", "/realtime/v1/api/broadcast/x", "/socket/nothing"} {
			if status, body := r.request("GET", path, nil); status != 404 || !strings.Contains(body, `"code":"not_found"`) {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		if status, body := r.request("POST", "/realtime/v1/api/nothing", nil); status != 404 || !strings.Contains(body, `"code":"not_found"`) {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("a preflight is answered", func(t *testing.T) {
		if status, _ := r.request("OPTIONS", "/realtime/v1/api/broadcast", nil); status != 204 {
			t.Errorf("status %d", status)
		}
	})
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	conn := r.connect("ada")
	send(t, conn, join("interview:1", notes("a")))
	until(t, conn, "synced")
	send(t, conn, put("interview:1", "a", 1, "kept"))
	until(t, conn, `"m1"`, `"applied"`)
	r.stop()
	t.Run("clients are told to come back, and when", func(t *testing.T) {
		if code, reason := closeFrame(t, conn); code != 1012 || !strings.Contains(reason, "drainMs=") {
			t.Errorf("%d %q", code, reason)
		}
	})
	again := start(t, dir)
	t.Run("[R2] what was acknowledged is there", func(t *testing.T) {
		conn := again.connect("ada")
		send(t, conn, join("interview:1", notes("a")))
		until(t, conn, "records", `"kept"`)
	})
	t.Run("[R4] and is not done again", func(t *testing.T) {
		conn := again.connect("ada")
		send(t, conn, join("interview:1", notes("a")))
		until(t, conn, "synced", `"last":1`)
		send(t, conn, put("interview:1", "a", 1, "kept"))
		until(t, conn, `"m1"`, `"duplicate":true`, `"offset":1`)
	})
	t.Run("the sample project is there once", func(t *testing.T) {
		conn := again.connect("ada")
		send(t, conn, join("workspace:main", strings.Replace(notes("a"), "notes", "projects", 1)))
		if page := until(t, conn, "records"); strings.Count(page, `"createdBy":"sample"`) != 2 {
			t.Error(page)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options server.Options
		field   string
	}{
		{"[R7] no start without a secret outside dev mode", server.Options{Addr: "127.0.0.1:0", Data: t.TempDir()}, "jwt-secret"},
		{"dev mode listens on loopback only", server.Options{Addr: "0.0.0.0:0", Data: t.TempDir(), Dev: true}, "addr"},
		{"data is needed", server.Options{Addr: "127.0.0.1:0", Dev: true}, "data"},
		{"profiles stay on loopback", server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Dev: true, PprofAddr: ":6060"}, "pprof"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := server.New(tt.options)
			var field *server.FieldError
			if f, ok := err.(*server.FieldError); ok {
				field = f
			}
			if field == nil || field.Field != tt.field {
				t.Errorf("got %v, want a fault of %s", err, tt.field)
			}
		})
	}
}

func TestDevModeWithOtherRules(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte("channels:\n  - match: 'room:{id}'\n    join: 'true'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: dir, Dev: true, RulesFile: rules, Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // serves, and drains at once
	if err := srv.Run(ctx); err != nil {
		t.Errorf("run: %v", err)
	}
}
