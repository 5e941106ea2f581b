package client_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "a secret of the tests, 32 bytes or more"
	rules  = `
channels:
  - match: "room:{id}"
    join: 'true'
    publish: 'true'
    persist: 'true'
    history: {messages: 1000}
  - match: "interview:{id}"
    join: 'true'
    publish: 'true'
    history: {durability: os}
    collections:
      notes:
        write: '!("content" in mutation.fields) || mutation.fields.content != "forbidden"'
  - match: "closed:{id}"
    join: 'claims.role == "editor"'
`
)

// A world is a server in this process, which can be stopped and started again on
// the same data and port.
type world struct {
	t    testing.TB
	dir  string
	addr string
	url  string
	stop func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	if err := os.WriteFile(filepath.Join(w.dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return w
}

func (w *world) start() {
	w.t.Helper()
	srv, err := server.New(server.Options{
		Addr: w.addr, Data: filepath.Join(w.dir, "data"), Secret: []byte(secret), RulesFile: filepath.Join(w.dir, "rules.yaml"),
		Drain: 50 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = srv.Addr().String()
	w.url = "http://" + w.addr
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	w.stop = func() {
		w.stop = func() {}
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run: %v", err)
		}
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func token(sub string, ttl time.Duration, role string) string {
	tok, err := auth.Mint([]byte(secret), auth.MintOptions{Subject: sub, Role: role, TTL: ttl})
	if err != nil {
		panic(err)
	}
	return tok
}

func tokensOf(sub string) client.TokenProvider {
	return func(context.Context, client.TokenReason) (string, error) {
		return token(sub, time.Hour, "authenticated"), nil
	}
}

// within bounds what a test waits for: only a failure takes so long.
func within(t interface{ Cleanup(func()) }) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) dial(sub string) *client.Client {
	w.t.Helper()
	c, err := client.Dial(within(w.t), w.url, &client.Options{Token: tokensOf(sub)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// join claims a channel and waits until it is joined.
func join(t testing.TB, c *client.Client, name string, o *client.ChannelOptions) *client.Channel {
	t.Helper()
	ch, err := c.Channel(name, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	return ch
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
