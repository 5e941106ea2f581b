package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/server"
)

// serveDirEnv makes the test binary the server that is to be killed.
const serveDirEnv = "CHORALE_TEST_SERVE_DIR"

const killRules = `
channels:
  - match: "room:{id}"
    join: 'true'
    publish: 'true'
    history: {messages: 100000, age: 24h, durability: %s}
    collections:
      tally:
        schema: {type: object, properties: {votes: {type: number, x-chorale: counter}}}
        write: 'true'
`

// serveChild serves until it is killed, if this process was started for that.
func serveChild() bool {
	dir := os.Getenv(serveDirEnv)
	if dir == "" {
		return false
	}
	s, err := server.New(server.Options{
		Addr: "127.0.0.1:0", Data: dir, Dev: true, RulesFile: filepath.Join(dir, "rules.yaml"), Limits: limit.Unlimited(),
		Drain: 50 * time.Millisecond,
	})
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		fmt.Println(s.Addr())
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// victim is a server in a process of its own.
type victim struct {
	cmd  *exec.Cmd
	addr string
}

func startVictim(t *testing.T, dir string) *victim {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not start: %v", errors.Join(err, cmd.Wait()))
	}
	return &victim{cmd, strings.TrimSpace(line)}
}

func (v *victim) kill(t *testing.T) {
	t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Wait(); v.cmd.ProcessState.Exited() {
		t.Fatalf("the server ended by itself: %v", err)
	}
}

// terminate ends it with SIGTERM, and demands that it ends in order.
func (v *victim) terminate(t *testing.T) {
	t.Helper()
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Wait(); err != nil {
		t.Fatalf("the server did not end in order: %v", err)
	}
}

// voice is a client that keeps what it has not had an answer for, as an outbox
// does, and sends it again. It votes and says so in turn.
type voice struct {
	name, token string
	epoch       string
	seen        uint64   // highest offset
	heard       []string // ids of messages, in the order in which they came
	votes       int      // mutations that were answered
	first       uint64   // offset with which the newest of them was
	said        []string // ids of messages that were answered, and their offsets
	count       *tally
}

// tally counts what was answered to all voices.
type tally struct {
	total   atomic.Int64
	target  int64
	reached chan struct{} // closed at the target
	told    atomic.Int64  // connections that were closed because the server restarts
}

func (c *tally) add() {
	if c.total.Add(1) == c.target {
		close(c.reached)
	}
}

// endless is a number of turns.
const endless = -1

// run connects, catches up, and votes and says so for a number of turns, or until
// the connection breaks. That is no fault; all else is.
func (v *voice) run(ctx context.Context, addr string, joined *sync.WaitGroup, turns int) (fault error) {
	conn, br, _, err := ws.Dial(ctx, "ws://"+addr+"/socket/websocket?vsn=2.0.0&apikey="+v.token)
	var c *talk
	if err == nil {
		from := io.Reader(conn)
		if br != nil {
			from = br
		}
		c = &talk{voice: v, conn: conn, from: from}
		defer func() { _ = conn.Close() }()
		if err = conn.SetDeadline(time.Now().Add(30 * time.Second)); err == nil {
			err = c.join()
		}
	}
	joined.Done()
	if err == nil {
		joined.Wait()
		err = c.repeat()
	}
	for ; err == nil && turns != 0; turns-- {
		if err = c.vote(v.votes + 1); err == nil {
			err = c.say(fmt.Sprintf("%s-%d", v.name, len(v.said)+1))
		}
	}
	if _, faulty := errors.AsType[*faultError](err); faulty || turns >= 0 {
		return err
	}
	if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
		if closed.Code != 1012 || !strings.Contains(closed.Reason, "drainMs=50") {
			return err
		}
		v.count.told.Add(1)
	}
	return nil
}

// readText reads one message, or returns what the close frame says. wsutil does
// not know 1012.
func readText(from io.Reader) ([]byte, error) {
	for {
		f, err := ws.ReadFrame(from)
		switch {
		case err != nil:
			return nil, err
		case f.Header.OpCode == ws.OpText:
			return f.Payload, nil
		case f.Header.OpCode == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return nil, wsutil.ClosedError{Code: code, Reason: reason}
		}
	}
}

type faultError struct{ why string }

func (f *faultError) Error() string { return f.why }

// talk is one connection of a voice.
type talk struct {
	*voice
	conn net.Conn
	from io.Reader // what came right behind the handshake, then conn
}

const killTopic = "realtime:room:1"

func (c *talk) send(event, ref, payload string) error {
	return wsutil.WriteClientText(c.conn, fmt.Appendf(nil, `["1",%q,%q,%q,%s]`, ref, killTopic, event, payload))
}

// body is what any payload may have that a voice looks at.
type body struct {
	Status string `json:"status"`
	Offset uint64 `json:"offset"`
	Meta   struct {
		ID     string `json:"id"`
		Offset uint64 `json:"offset"`
	} `json:"meta"`
	Response struct {
		Offset    uint64 `json:"offset"`
		Status    string `json:"status"`
		Duplicate bool   `json:"duplicate"`
		Chorale   *struct {
			Epoch   string `json:"epoch"`
			Resumed bool   `json:"resumed"`
			Reason  string `json:"reason"`
		} `json:"chorale"`
	} `json:"response"`
}

// until reads up to the reply to ref, or to an event when ref is "".
func (c *talk) until(ref, event string) (*body, error) {
	for {
		data, err := readText(c.from)
		if err != nil {
			return nil, err
		}
		var frame [5]json.RawMessage
		var gotRef *string
		var gotEvent string
		b := &body{}
		if err := errors.Join(json.Unmarshal(data, &frame), json.Unmarshal(frame[1], &gotRef), json.Unmarshal(frame[3], &gotEvent), json.Unmarshal(frame[4], b)); err != nil {
			return nil, &faultError{fmt.Sprintf("%s: %s: %v", c.name, data, err)}
		}
		switch gotEvent {
		case "broadcast":
			if b.Meta.Offset <= c.seen {
				return nil, &faultError{fmt.Sprintf("%s: message %d came after %d", c.name, b.Meta.Offset, c.seen)}
			}
			c.seen = b.Meta.Offset
			c.heard = append(c.heard, fmt.Sprint(b.Meta.ID, "@", b.Meta.Offset))
		case "change":
			if b.Offset <= c.seen {
				return nil, &faultError{fmt.Sprintf("%s: change %d came after %d", c.name, b.Offset, c.seen)}
			}
			c.seen = b.Offset
		case "synced":
			c.seen = max(c.seen, b.Offset)
		}
		if (ref == "" && gotEvent == event) || (ref != "" && gotRef != nil && *gotRef == ref) {
			if ref != "" && b.Status != "ok" {
				return nil, &faultError{fmt.Sprintf("%s: %s", c.name, data)}
			}
			return b, nil
		}
	}
}

func (c *talk) join() error {
	resume := ""
	if c.epoch != "" {
		resume = fmt.Sprintf(`,"resume":{"epoch":%q,"offset":%d}`, c.epoch, c.seen)
	}
	err := c.send("phx_join", "j", fmt.Sprintf(`{"config":{"private":true,"broadcast":{"ack":true,"self":true},"presence":{"enabled":false},"chorale":{"v":1,"client":%q,"collections":["tally"]%s}}}`, c.name, resume))
	if err != nil {
		return err
	}
	b, err := c.until("j", "")
	if err != nil {
		return err
	}
	if got := b.Response.Chorale; c.epoch != "" && (!got.Resumed || got.Epoch != c.epoch) {
		return &faultError{fmt.Sprintf("%s: not resumed: %+v", c.name, got)}
	}
	c.epoch = b.Response.Chorale.Epoch
	_, err = c.until("", "synced")
	return err
}

func (c *talk) mutate(n int) (*body, error) {
	ref := fmt.Sprint("m", n)
	err := c.send("mutate", ref, fmt.Sprintf(`{"client":%q,"n":%d,"id":"%s-%d","at":"0192f0c12b3c%04x","op":"patch","collection":"tally","record":"r","counters":{"votes":1}}`,
		c.name, n, c.name, n, n))
	if err != nil {
		return nil, err
	}
	return c.until(ref, "")
}

func (c *talk) vote(n int) error {
	b, err := c.mutate(n)
	if err != nil {
		return err
	}
	if b.Response.Status != "applied" {
		return &faultError{fmt.Sprintf("%s: mutation %d: %+v", c.name, n, b.Response)}
	}
	c.votes, c.first = n, b.Response.Offset
	c.count.add()
	return nil
}

// repeat sends the newest mutation that was answered once more (R4).
func (c *talk) repeat() error {
	if c.votes == 0 {
		return nil
	}
	b, err := c.mutate(c.votes)
	if err == nil && (!b.Response.Duplicate || b.Response.Offset != c.first) {
		return &faultError{fmt.Sprintf("%s: mutation %d was answered with %d and is now with %+v", c.name, c.votes, c.first, b.Response)}
	}
	return err
}

func (c *talk) say(id string) error {
	err := c.send("broadcast", id, fmt.Sprintf(`{"type":"broadcast","event":"said","payload":{},"meta":{"id":%q}}`, id))
	if err != nil {
		return err
	}
	b, err := c.until(id, "")
	if err != nil {
		return err
	}
	c.said = append(c.said, fmt.Sprint(id, "@", b.Response.Offset))
	c.count.add()
	return nil
}

// TestKill kills the server a few times under load, or thirty times for each
// class when CHORALE_SOAK is set.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("CHORALE_SOAK") != "" {
		rounds = 30
	}
	for _, class := range []string{"os", "disk"} {
		t.Run("[R1] [R2] [R3] [R4] kill -9 of a server loses, doubles and disorders nothing of class "+class, func(t *testing.T) {
			endUnderLoad(t, class, rounds, (*victim).kill)
		})
	}
	t.Run("[R1] [R2] [R3] [R4] nor does SIGTERM, and clients are told to come back", func(t *testing.T) {
		if told := endUnderLoad(t, "os", rounds, (*victim).terminate); told == 0 {
			t.Error("nobody was told")
		}
	})
}

// endUnderLoad returns how many connections were closed with a word.
func endUnderLoad(t *testing.T, class string, rounds int, end func(*victim, *testing.T)) (told int64) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), fmt.Appendf(nil, killRules, class), 0o600); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, dir)
	secret, err := os.ReadFile(filepath.Join(dir, "dev-secret"))
	if err != nil {
		t.Fatal(err)
	}
	token := func(sub string) string {
		token, err := auth.Mint([]byte(strings.TrimSpace(string(secret))), auth.MintOptions{Subject: sub, Role: "guest"})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	record := func(method, text string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+v.addr+"/api/v1/channels/room:1/collections/tally/records/r", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token("backend"))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode > 201 {
			t.Fatalf("%s %s (%v)", res.Status, data, err)
		}
		return string(data)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	record("PUT", `{}`)

	var count tally
	voices := make([]*voice, 5)
	for i := range voices {
		name := fmt.Sprint("voice-", i)
		voices[i] = &voice{name: name, token: token(name), count: &count}
	}
	all := func(turns int) (ended chan struct{}) {
		var running, joined sync.WaitGroup
		joined.Add(len(voices))
		for _, w := range voices {
			running.Go(func() {
				if err := w.run(t.Context(), v.addr, &joined, turns); err != nil {
					t.Error(err)
				}
			})
		}
		ended = make(chan struct{})
		go func() {
			running.Wait()
			close(ended)
		}()
		return ended
	}
	for range rounds {
		count.target, count.reached = count.total.Load()+50+rand.Int64N(500), make(chan struct{})
		ended := all(endless)
		select {
		case <-count.reached:
		case <-ended:
			t.Error("they ended before the server did")
		}
		end(v, t)
		<-ended
		v = startVictim(t, dir)
		if t.Failed() {
			break
		}
	}
	<-all(1) // what was not answered is sent again
	<-all(0) // and everybody hears it

	votes, said := 0, 0
	heard := voices[0].heard
	for _, w := range voices {
		votes, said = votes+w.votes, said+len(w.said)
		if !slices.Equal(w.heard, heard) {
			t.Errorf("%s heard %d messages and %s %d, and not the same", w.name, len(w.heard), voices[0].name, len(heard))
		}
		for _, id := range w.said {
			if !slices.Contains(heard, id) {
				t.Errorf("nobody heard %s", id)
			}
		}
	}
	if len(heard) != said {
		t.Errorf("%d messages were said and %d heard", said, len(heard))
	}
	if got := record("GET", ""); !strings.Contains(got, fmt.Sprintf(`"votes":%d`, votes)) {
		t.Errorf("%d votes were acknowledged: %s", votes, got)
	}
	t.Logf("ended %d times, %d acknowledged, %d messages in one order", rounds, count.total.Load(), len(heard))
	v.kill(t)
	return count.told.Load()
}
