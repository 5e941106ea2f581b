package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/server"
	"github.com/chorale-rt/chorale/protocol"
)

// A busy channel: it keeps enough that nobody who was cut has lost anything.
const busyRules = `channels:
  - match: "busy"
    join: 'true'
    publish: 'true'
    history: {messages: 10000, bytes: 256MiB}
`

// heard reads broadcasts until the connection ends or the want-th, and returns
// the highest number and offset. They must count up from one after number.
func heard(t *testing.T, conn net.Conn, number, want int) (last int, offset uint64, ended error) {
	t.Helper()
	for last = number; last < want; {
		data, err := wsutil.ReadServerText(conn)
		if err != nil {
			return last, offset, err
		}
		if !bytes.Contains(data[:min(len(data), 80)], []byte(`"broadcast"`)) {
			continue
		}
		n, at := numberAfter(data, `"n":`), numberAfter(data, `"offset":`) // decoding so much takes its time under the race detector
		if int(n) != last+1 {
			t.Fatalf("message %d came after %d", n, last)
		}
		last, offset = int(n), at
	}
	return last, offset, nil
}

// numberAfter reads the number behind a key; 0 when there is none.
func numberAfter(data []byte, key string) (n uint64) {
	_, rest, _ := bytes.Cut(data, []byte(key))
	for len(rest) > 0 && '0' <= rest[0] && rest[0] <= '9' {
		n = 10*n + uint64(rest[0]-'0')
		rest = rest[1:]
	}
	return n
}

func TestSlowConsumer(t *testing.T) {
	t.Run("[R1] [R3] [S1] who stops reading is cut with 4200, stalls nobody, and resumes without a gap", func(t *testing.T) {
		rules := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(rules, []byte(busyRules), 0o600); err != nil {
			t.Fatal(err)
		}
		srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Secret: []byte(strings.Repeat("k", 32)), RulesFile: rules, Drain: time.Millisecond, Limits: limit.Unlimited()})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, srv)
		const topic = "busy"
		enter := func(resume string) (net.Conn, protocol.JoinReply) {
			conn := r.connect("reader")
			if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			send(t, conn, join(topic, `{"private":true,"chorale":{"v":1`+resume+`}}`))
			var f [5]json.RawMessage
			var reply struct {
				Response struct {
					Chorale protocol.JoinReply `json:"chorale"`
				} `json:"response"`
			}
			if err := errors.Join(json.Unmarshal([]byte(until(t, conn, "phx_reply")), &f), json.Unmarshal(f[4], &reply)); err != nil {
				t.Fatal(err)
			}
			return conn, reply.Response.Chorale
		}
		stalled, at := enter("")
		reader, _ := enter("")
		token, err := auth.Mint(srv.Secret(), auth.MintOptions{Subject: "writer", Role: "guest"})
		if err != nil {
			t.Fatal(err)
		}
		alone := func() bool {
			_, metrics := r.request("GET", "/metrics", nil)
			return strings.Contains(metrics, "chorale_sessions 1\n")
		}
		// The other one reads all of it, one by one, while one does not read at all.
		const enough = 1000 // of 100 KB: far more than kernels and the queue hold
		sent, text := 0, strings.Repeat("x", 100_000)
		for sent < enough && (sent%20 != 0 || !alone()) {
			sent++
			body := fmt.Sprintf(`{"event":"e","payload":{"n":%d,"text":"%s"}}`, sent, text)
			if status, answer := r.request("POST", "/api/v1/channels/busy/messages", strings.NewReader(body), "Authorization", "Bearer "+token); status != 201 {
				t.Fatalf("message %d: %d %s", sent, status, answer)
			}
			if last, _, err := heard(t, reader, sent-1, sent); last != sent || err != nil {
				t.Fatalf("the other reader has %d of %d: %v", last, sent, err)
			}
		}
		// A quick machine is done before the two seconds are over that a client has to read the code.
		for deadline := time.Now().Add(30 * time.Second); !alone(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after %d messages who does not read is still there", sent)
			}
		}
		last, offset, ended := heard(t, stalled, 0, sent)
		// It reads the code only if it looks up within two seconds; later it finds the end of what the kernel held.
		closed, told := errors.AsType[wsutil.ClosedError](ended)
		switch {
		case told && closed.Code == protocol.CloseSlowConsumer:
		case errors.Is(ended, io.EOF), errors.Is(ended, io.ErrUnexpectedEOF), errors.Is(ended, syscall.ECONNRESET):
		default:
			t.Errorf("it read %d of %d messages, and then: %v", last, sent, ended)
		}
		t.Logf("it was cut after %d of %d messages of %d bytes", last, sent, len(text))

		back, again := enter(fmt.Sprintf(`,"resume":{"epoch":%q,"offset":%d}`, at.Epoch, offset))
		if !again.Resumed {
			t.Fatalf("not resumed: %s", again.Reason)
		}
		if last, _, err := heard(t, back, last, sent); last != sent || err != nil {
			t.Errorf("resumed up to %d of %d: %v", last, sent, err)
		}
	})
}
