package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/server"
)

func TestReload(t *testing.T) {
	const before = "channels:\n  - match: 'room:{id}'\n    join: 'true'\n"
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(t *testing.T, text string) {
		t.Helper()
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, before)
	secret := []byte("a secret of thirty-two bytes or more")
	srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Secret: secret, RulesFile: rules})
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, srv)
	conn := r.connect("ada")
	join := func(t *testing.T, topic, want string) {
		t.Helper()
		send(t, conn, `["1","1","realtime:`+topic+`","phx_join",{"config":{"private":true}}]`)
		until(t, conn, `"phx_reply"`, topic, want)
	}
	join(t, "room:1", `"status":"ok"`)
	join(t, "hall:1", `"status":"error"`)

	t.Run("new rules are asked from then on", func(t *testing.T) {
		write(t, before+"  - match: 'hall:{id}'\n    join: 'true'\n")
		if err := srv.Reload(); err != nil {
			t.Fatal(err)
		}
		join(t, "hall:1", `"status":"ok"`)
	})
	t.Run("broken rules change nothing, and each fault is named with its line", func(t *testing.T) {
		write(t, before+"    publish: 'nobody.knows'\n  - match: 'hall:{id'\n")
		err := srv.Reload()
		if err == nil || !strings.Contains(err.Error(), "rules.yaml:4: ") || !strings.Contains(err.Error(), "rules.yaml:5: ") {
			t.Errorf("got %v", err)
		}
		join(t, "hall:2", `"status":"ok"`)
	})
	t.Run("a file that is gone changes nothing", func(t *testing.T) {
		if err := os.Remove(rules); err != nil {
			t.Fatal(err)
		}
		if err := srv.Reload(); err == nil {
			t.Error("no error")
		}
		join(t, "hall:3", `"status":"ok"`)
	})
	t.Run("each attempt is counted by its result", func(t *testing.T) {
		_, body := r.request("GET", "/metrics", nil)
		for _, line := range []string{`chorale_rules_reloads_total{result="ok"} 1`, `chorale_rules_reloads_total{result="error"} 2`} {
			if !strings.Contains(body, line) {
				t.Errorf("metrics do not say %s", line)
			}
		}
	})
}

func TestServerLimits(t *testing.T) {
	t.Run("[L2] [L5] limits of the options are those of the sockets and of their sessions, and all are in the metrics", func(t *testing.T) {
		srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Secret: []byte("a secret of thirty-two bytes or more"), Limits: limit.Settings{
			Sockets: 1, Messages: limit.Rate{PerSecond: 1, Burst: 1}, FrameBytes: 1 << 20,
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, srv)
		conn := r.connect("ada")
		if _, err := r.dial("apikey=" + r.token("ben")); err != ws.StatusError(429) {
			t.Errorf("got %v", err)
		}
		send(t, conn, `["1","1","realtime:x","phx_join",{"config":{"broadcast":{"ack":true},"chorale":{"v":1}}}]`)
		until(t, conn, `"phx_reply"`, `"frameBytes":1048576`)
		for _, want := range []string{`"status":"ok"`, `"code":"rate_limit_reached"`} {
			send(t, conn, `["1","2","realtime:x","broadcast",{"event":"e","payload":{}}]`)
			until(t, conn, `"phx_reply"`, want)
		}
		_, body := r.request("GET", "/metrics", nil)
		for _, name := range limit.Names() {
			if !strings.Contains(body, `chorale_limited_total{limit="`+string(name)+`"} `) {
				t.Errorf("metrics have no %s", name)
			}
		}
		for _, line := range []string{`chorale_limited_total{limit="sockets"} 1`, `chorale_limited_total{limit="messages"} 1`} {
			if !strings.Contains(body, line) {
				t.Errorf("metrics do not say %s", line)
			}
		}
	})
	t.Run("a limit that cannot be is refused with the name of its flag", func(t *testing.T) {
		_, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Dev: true, Limits: limit.Settings{FrameBytes: 1}})
		if err == nil || !strings.HasPrefix(err.Error(), "limit-frame: ") {
			t.Errorf("got %v", err)
		}
	})
}

// run runs a server until the test ends.
func run(t *testing.T, srv *server.Server) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return &running{t: t, base: srv.Addr().String(), srv: srv}
}
