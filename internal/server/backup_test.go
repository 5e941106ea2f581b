package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/server"
)

// startUnlimited is start for tests that write as fast as they can.
func startUnlimited(t *testing.T, dir string) *running {
	t.Helper()
	srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: dir, Dev: true, Drain: 50 * time.Millisecond, Limits: limit.Unlimited()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return run(t, srv)
}

func (r *running) backup() []byte {
	r.t.Helper()
	token, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "root", Role: "service_role"})
	if err != nil {
		r.t.Fatal(err)
	}
	status, body := r.request("GET", "/api/v1/admin/backup", nil, "Authorization", "Bearer "+token)
	if status != http.StatusOK {
		r.t.Fatalf("%d %s", status, body)
	}
	return []byte(body)
}

func TestBackup(t *testing.T) {
	r := startUnlimited(t, t.TempDir())
	conn := r.connect("ada")
	send(t, conn, join("interview:1", notes("a")))
	joined := until(t, conn, "synced")

	// Ada writes without a pause; her mutations are numbered, so what of them is in
	// the backup must be all up to some number.
	var acked atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	enough := make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 1; ctx.Err() == nil; n++ {
			send(t, conn, put("interview:1", "a", n, fmt.Sprint("note ", n)))
			until(t, conn, fmt.Sprintf(`"m%d"`, n), `"applied"`)
			acked.Store(int64(n))
			if n == 100 {
				close(enough)
			}
		}
	}()
	select {
	case <-enough:
	case <-stopped:
		t.Fatal("Ada cannot write")
	}
	before := acked.Load()
	whole := r.backup()
	cancel()
	<-stopped
	after := int(acked.Load())

	dir := t.TempDir()
	if _, err := embedded.Restore(server.LogDir(dir), bytes.NewReader(whole), nil); err != nil {
		t.Fatal(err)
	}
	again := startUnlimited(t, dir)
	last := 0
	conn = again.connect("ada")
	t.Run("[S2] a client that comes back to an older history is told that it is another log, and loads anew", func(t *testing.T) {
		epoch := between(t, joined, `"epoch":"`, `"`)
		resume := fmt.Sprintf(`,"resume":{"epoch":%q,"offset":1}}}`, epoch)
		send(t, conn, join("interview:1", strings.TrimSuffix(notes("a"), "}}")+resume))
		until(t, conn, "phx_reply", `"resumed":false`, `"reason":"epoch"`)
		until(t, conn, "records", `"reset":true`)
		synced := until(t, conn, "synced")
		if _, err := fmt.Sscanf(between(t, synced, `"last":`, ","), "%d", &last); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("[R2] what was acknowledged before the backup began is in it, and nothing is torn", func(t *testing.T) {
		if last < int(before) || last > after {
			t.Errorf("%d mutations are there; %d were acknowledged before, %d in all", last, before, after)
		}
		for n := 1; n <= after; n++ {
			path := fmt.Sprintf("/api/v1/channels/interview:1/collections/notes/records/r%d", n)
			status, record := again.request("GET", path, nil, "Authorization", "Bearer "+again.token("ada"))
			if there := status == http.StatusOK; there != (n <= last) {
				t.Fatalf("record %d: %d %s, and the newest mutation is %d", n, status, record, last)
			}
		}
	})
	t.Run("[R4] the counters are in it: what is sent again has its effect once", func(t *testing.T) {
		for n := max(1, last-20); n <= min(after, last+5); n++ {
			send(t, conn, put("interview:1", "a", n, fmt.Sprint("note ", n)))
			reply := until(t, conn, fmt.Sprintf(`"m%d"`, n), `"applied"`)
			if repeated := strings.Contains(reply, `"duplicate":true`); repeated != (n <= last) {
				t.Errorf("mutation %d of %d: %s", n, last, reply)
			}
		}
		next := min(after, last+5) + 2
		send(t, conn, put("interview:1", "a", next, "ahead"))
		until(t, conn, fmt.Sprintf(`"m%d"`, next), `"out_of_order"`, fmt.Sprintf(`"expect":%d`, next-1))
	})
}

func between(t *testing.T, s, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, before)
	if !ok {
		t.Fatalf("no %s in %s", before, s)
	}
	out, _, _ := strings.Cut(rest, after)
	return out
}
