package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// query is what a peer connects with; more may replace the token.
func query(more string) string {
	if strings.Contains(more, "apikey=") {
		return "?vsn=2.0.0" + more
	}
	return "?vsn=2.0.0&apikey=x" + more
}

// socketPeer speaks WebSocket.
type socketPeer struct {
	net.Conn
	in io.Reader // what came with the handshake, then the conn
}

func dialSocket(t *testing.T, e *endpoint, more string) peer {
	t.Helper()
	return dialAt(t, e.url+query(more))
}

func dialAt(t *testing.T, address string) *socketPeer {
	t.Helper()
	dialer := ws.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}} // of a test's server, for whoever asks
	conn, early, _, err := dialer.Dial(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	p := &socketPeer{Conn: conn, in: conn}
	if early != nil {
		p.in = io.MultiReader(early, conn)
	}
	t.Cleanup(p.leave)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *socketPeer) send(t *testing.T, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if _, err := p.Write(clientFrame(true, ws.OpText, f)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *socketPeer) next(t *testing.T) arrived {
	t.Helper()
	for {
		f, err := ws.ReadFrame(p.in)
		if err != nil {
			t.Fatal(err)
		}
		switch f.Header.OpCode {
		case ws.OpPing:
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return arrived{code: int(code), reason: reason}
		default:
			return arrived{data: string(f.Payload), binary: f.Header.OpCode == ws.OpBinary}
		}
	}
}

func (p *socketPeer) leave() { _ = p.Close() }

// lanePeer speaks in the first lane of a shared socket.
type lanePeer struct{ *socketPeer }

func dialLane(t *testing.T, e *endpoint, more string) peer {
	t.Helper()
	return lanePeer{dialShared(t, e, more)}
}

// dialShared is a shared socket with its first lane.
func dialShared(t *testing.T, e *endpoint, more string) *socketPeer {
	t.Helper()
	return dialAt(t, "ws"+e.web[len("http"):]+"/realtime/v1/lanes"+query(more))
}

func (p lanePeer) send(t *testing.T, frames ...string) {
	t.Helper()
	for _, f := range frames {
		p.socketPeer.send(t, "1"+f)
	}
}

func (p lanePeer) next(t *testing.T) arrived {
	t.Helper()
	a := p.socketPeer.next(t)
	if a.code != 0 {
		return a
	}
	frame, ok := strings.CutPrefix(a.data, "1")
	if !ok {
		t.Fatalf("%.80q is not in lane 1", a.data)
	}
	rest, ok := strings.CutPrefix(frame, "-")
	if !ok || a.binary {
		return arrived{data: frame, binary: a.binary}
	}
	number, reason, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%q closes no lane", a.data)
	}
	return arrived{code: code, reason: reason}
}

// streamPeer speaks events and POSTs.
type streamPeer struct {
	web    string
	client *http.Client
	cancel context.CancelFunc
	body   io.Reader
	events *bufio.Reader
	id     string
	sent   int
	first  *event // read while looking for open
}

type event struct{ name, data string }

func dialStream(t *testing.T, e *endpoint, more string) peer {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return openStreamAt(t, e.web, more, &http.Client{Transport: transport})
}

func openStreamAt(t *testing.T, web, more string, client *http.Client) *streamPeer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, web+"/realtime/v1/sse"+query(more), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	p := &streamPeer{web: web, client: client, cancel: cancel, body: res.Body, events: bufio.NewReaderSize(res.Body, 1<<20)}
	got := p.event(t)
	if got.name != "open" {
		p.first = &got
		return p
	}
	var opened struct{ ID string }
	if err := json.Unmarshal([]byte(got.data), &opened); err != nil || len(opened.ID) < 26 {
		t.Fatalf("opened with %q, %v", got.data, err)
	}
	p.id = opened.ID
	return p
}

// event reads up to the next event, past comments.
func (p *streamPeer) event(t *testing.T) event {
	t.Helper()
	if first := p.first; first != nil {
		p.first = nil
		return *first
	}
	var got event
	for {
		line, err := p.events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && got.data != "":
			return got
		case name == "event":
			got.name = value
		case name == "data":
			got.data = value
		case line != "" && line != ":":
			t.Fatalf("no line of an event: %q", line)
		}
	}
}

func (p *streamPeer) send(t *testing.T, frames ...string) {
	t.Helper()
	p.sent++
	if status := p.post(t, p.sent, "["+strings.Join(frames, ",")+"]"); status != http.StatusNoContent && status != http.StatusRequestEntityTooLarge {
		t.Fatalf("POST %d: %d", p.sent, status)
	}
}

// post sends a body under a number; 0 means that the connection ended first, as
// it may when a body is refused before it was sent.
func (p *streamPeer) post(t *testing.T, n int, body string) int {
	t.Helper()
	res, err := p.client.Post(fmt.Sprintf("%s/realtime/v1/sse/%s?n=%d", p.web, url.PathEscape(p.id), n), "text/plain", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page of another origin may not read the answer")
	}
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection can be used again
	return res.StatusCode
}

func (p *streamPeer) next(t *testing.T) arrived {
	t.Helper()
	got := p.event(t)
	switch got.name {
	case "":
		return arrived{data: got.data}
	case "binary":
		data, err := base64.StdEncoding.DecodeString(got.data)
		if err != nil {
			t.Fatal(err)
		}
		return arrived{data: string(data), binary: true}
	case "close":
		var end struct {
			Code   int
			Reason string
		}
		if err := json.Unmarshal([]byte(got.data), &end); err != nil {
			t.Fatal(err)
		}
		if _, err := p.events.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("something follows the close event (%v)", err)
		}
		return arrived{code: end.Code, reason: end.Reason}
	}
	t.Fatalf("an event %+v", got)
	return arrived{}
}

func (p *streamPeer) leave() { p.cancel() }
