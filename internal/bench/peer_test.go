package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// plainPeer is a peer without a protocol, for TestMain: it ends with ctx.
func plainPeer(ctx context.Context, l net.Listener) error {
	var mu sync.Mutex // guards members, and writes to them
	members := map[string][]net.Conn{}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		mu.Lock()
		members[r.URL.Path] = append(members[r.URL.Path], conn)
		_ = wsutil.WriteServerText(conn, []byte(`{"joined":true}`))
		mu.Unlock()
		for {
			data, err := wsutil.ReadClientText(conn)
			if err != nil {
				return
			}
			mu.Lock()
			for _, other := range members[r.URL.Path] {
				if other != conn {
					_ = wsutil.WriteServerText(other, data)
				}
			}
			mu.Unlock()
		}
	})}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func TestPeers(t *testing.T) {
	t.Run("a peer is started, measured between floor and Chorale, and stopped", func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		report, err := Run(t.Context(), Options{
			Executable: self(t), Dir: dir, Runs: 1, Log: &log, Peers: []Peer{{Name: "mine", Kind: "ws", Path: self(t)}},
		}, Rooms{Mode: Broadcast, Rooms: 5, Members: 4, Rate: 300, Duration: 200 * time.Millisecond, TextSize: 200, Seed: 1})
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		var names []string
		for _, c := range report.Columns {
			names = append(names, c.Subject)
			if c.Median.Operations == 0 || len(c.Runs) != 1 {
				t.Errorf("%s: %+v", c.Subject, c.Median)
			}
		}
		if !slices.Equal(names, []string{"mine", "chorale"}) || report.Err() != nil {
			t.Errorf("columns %v, %v", names, report.Err())
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})

	t.Run("a peer that ends instead of listening is an error with its path", func(t *testing.T) {
		_, err := Run(t.Context(), Options{Executable: self(t), Runs: 1, Peers: []Peer{{Name: "nats", Path: "/bin/false"}}},
			Latency{Mode: Broadcast, Count: 1, TextSize: 100})
		if err == nil || !strings.Contains(err.Error(), "/bin/false") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("what peers do not have is said before they are blamed for it", func(t *testing.T) {
		_, err := Run(t.Context(), Options{Executable: self(t), Runs: 1, Peers: []Peer{{Name: "ws", Path: self(t)}}},
			Latency{Mode: Notes, Count: 1, TextSize: 100})
		if err == nil || !strings.Contains(err.Error(), "--mode broadcast") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("names and paths are read, and others refused", func(t *testing.T) {
		if p, err := ParsePeer("nats=bin/a=b"); err != nil || p != (Peer{Name: "nats", Kind: "nats", Path: "bin/a=b"}) {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err := ParsePeer("mine:ws=bin/x"); err != nil || p != (Peer{Name: "mine", Kind: "ws", Path: "bin/x"}) {
			t.Errorf("%+v, %v", p, err)
		}
		for _, text := range []string{"nats", "nats=", "mqtt=bin/x", "mine:mqtt=bin/x", ":ws=bin/x", "ws:=bin/x", "chorale:ws=bin/x", ""} {
			if _, err := ParsePeer(text); err == nil || !strings.Contains(err.Error(), "centrifugo") {
				t.Errorf("%q: error %v", text, err)
			}
		}
		for name := range peerKinds {
			if !slices.Contains(PeerKinds, name) {
				t.Errorf("%s is not in PeerKinds", name)
			}
		}
	})
}

// TestInstalledPeers needs what `make peers` builds; what is not there is skipped.
func TestInstalledPeers(t *testing.T) {
	for name, file := range map[string]string{
		"centrifugo": "compare/bin/centrifugo", "nats": "compare/bin/nats-server",
		"postgres-changes": "postgres-changes/bin/postgres-changes", "ws": "compare/ws.mjs", "socketio": "compare/socketio.mjs",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("..", "..", "bench", filepath.FromSlash(file))
			needed := path
			if strings.HasSuffix(file, ".mjs") {
				needed = filepath.Join(filepath.Dir(path), "node_modules")
			}
			if _, err := os.Stat(needed); err != nil {
				t.Skip("not built: make peers")
			}
			var log bytes.Buffer
			report, err := Run(t.Context(), Options{Executable: self(t), Runs: 1, Patience: enough, Log: &log, Peers: []Peer{{Name: name, Path: path}}},
				Rooms{Mode: Broadcast, Rooms: 3, Members: 3, Rate: 50, Duration: 300 * time.Millisecond, TextSize: 200, Seed: 1})
			if err != nil {
				t.Fatalf("%v\n%s", err, &log)
			}
			if err := report.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEars(t *testing.T) {
	type heard struct {
		messages []string
		answers  []string
		err      error
	}
	hear := func(e ear, frames ...string) (h heard) {
		for _, frame := range frames {
			answer, err := e.hear([]byte(frame), func(m []byte) { h.messages = append(h.messages, string(m)) })
			if answer != nil {
				h.answers = append(h.answers, string(answer))
			}
			if err != nil {
				h.err = err
			}
		}
		return h
	}
	check := func(t *testing.T, h heard, messages, answers string, refused bool) {
		t.Helper()
		if strings.Join(h.messages, "|") != messages || strings.Join(h.answers, "|") != answers || (h.err != nil) != refused {
			t.Errorf("heard %q, answers %q, error %v; want %q, %q, refused %t", h.messages, h.answers, h.err, messages, answers, refused)
		}
	}

	t.Run("NATS: a stream means the same wherever frames cut it", func(t *testing.T) {
		const stream = "PING\r\nMSG a 1 5\r\nhe\r\no\r\n+OK\r\nMSG a 1 reply 2\r\nok\r\nMSG a 1 0\r\n\r\n"
		for cut := range len(stream) {
			for second := cut; second < len(stream); second += 7 {
				h := hear(&natsEar{}, stream[:cut], stream[cut:second], stream[second:])
				check(t, h, "he\r\no|ok|", "PONG\r\n", false)
			}
		}
	})

	t.Run("NATS: a refusal and what is not its protocol are errors", func(t *testing.T) {
		check(t, hear(&natsEar{}, "-ERR 'Authorization Violation'\r\n"), "", "", true)
		check(t, hear(&natsEar{}, "MSG a 1 many\r\nMSG"), "", "", true)
		check(t, hear(&natsEar{}, "MSG a 1 -3\r\nMSG"), "", "", true)
	})

	t.Run("Centrifugo: a frame holds several lines", func(t *testing.T) {
		check(t, hear(centrifugoEar{}, `{"id":1,"publish":{}}`+"\n"+`{"push":{"a":1}}`+"\n{}\n"+`{"push":{"a":2}}`), `{"push":{"a":1}}|{"push":{"a":2}}`, "{}", false)
		check(t, hear(centrifugoEar{}, `{"id":1,"error":{"code":103}}`), "", "", true)
	})

	t.Run("Socket.IO: events are heard, pings answered, refusals errors", func(t *testing.T) {
		check(t, hear(socketIOEar{}, `42["note",{}]`, "2", `430[]`), `42["note",{}]`, "3", false)
		check(t, hear(socketIOEar{}, `44{"message":"unauthorized"}`), "", "", true)
	})
}

func TestForeignPush(t *testing.T) {
	s := seat{mode: Broadcast, run: "t", index: 3, textSize: 60}
	for _, numbered := range []string{"", `{"id":1`} {
		w := foreignPush(s, numbered, `,"text":"`, `"}`)
		for i := range 2 {
			frame := w.next(17, 0, 0)
			got, ok := stampIn(frame)
			if want := (stamp{at: 17, writer: 3, seq: uint32(i + 1)}); !ok || got != want {
				t.Errorf("stamp %+v, want %+v", got, want)
			}
			if number := fmt.Sprintf("%s%d,", numbered, i+1); (numbered != "") != bytes.Contains(frame, []byte(number)) {
				t.Errorf("frame %q", frame)
			}
		}
	}
}
