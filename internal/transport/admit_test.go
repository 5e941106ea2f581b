package transport

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/limit"
)

// from is a dialer that says where it comes from, as a proxy would.
func from(address string) ws.Dialer {
	return ws.Dialer{Header: ws.HandshakeHeaderHTTP(http.Header{"X-Forwarded-For": []string{address}})}
}

func TestConnectionLimits(t *testing.T) {
	const home, away = "192.0.2.1", "192.0.2.2"
	connect := func(t *testing.T, e *endpoint, address string) func() {
		t.Helper()
		conn, _, _, err := from(address).Dial(context.Background(), e.url+"?vsn=2.0.0&apikey=x")
		if err != nil {
			t.Fatal(err)
		}
		leave := func() { _ = conn.Close() }
		t.Cleanup(leave)
		return leave
	}
	// refused is the answer to a plain handshake.
	refused := func(t *testing.T, e *endpoint, address, sentence string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http"+e.url[len("ws"):]+"?vsn=2.0.0&apikey=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{
			"X-Forwarded-For": address, "Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var body map[string]any
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"error": sentence, "code": "connection_rate_limit_reached", "retryable": true, "retryAfterMs": 5000.0}
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "5" || !maps.Equal(body, want) {
			t.Errorf("got %d, Retry-After %q, %v", res.StatusCode, res.Header.Get("Retry-After"), body)
		}
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	for _, tt := range []struct {
		name     string
		settings limit.Settings
		sentence string
	}{
		{"a server", limit.Settings{Sockets: 2}, "Too many connected users"},
		{"an identity", limit.Settings{IdentitySockets: 2}, "Too many connections of this user: 2 are allowed"},
		{"an address", limit.Settings{AddressSockets: 2}, "Too many connections from this address: 2 are allowed"},
	} {
		t.Run("[L5] "+tt.name+" has a limit of connections, and who leaves makes room", func(t *testing.T) {
			e := newLimitedEndpoint(t, tt.settings)
			leave := connect(t, e, home)
			connect(t, e, home)
			refused(t, e, home, tt.sentence)
			leave()
			// The server sees it leave in its own time.
			for deadline := time.Now().Add(10 * time.Second); ; {
				conn, _, _, err := from(home).Dial(context.Background(), e.url+"?vsn=2.0.0&apikey=x")
				if err == nil {
					_ = conn.Close()
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("[L5] another address is not the first one's", func(t *testing.T) {
		e := newLimitedEndpoint(t, limit.Settings{AddressSockets: 1})
		connect(t, e, home)
		connect(t, e, away)
		refused(t, e, away, "Too many connections from this address: 1 are allowed")
	})
	t.Run("[L5] [C1] who asks for chorale=1 is let in and closed with 4290", func(t *testing.T) {
		e := newLimitedEndpoint(t, limit.Settings{Sockets: 1})
		connect(t, e, home)
		conn, br, _, err := ws.Dial(context.Background(), e.url+"?vsn=2.0.0&apikey=x&chorale=1")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		var in io.Reader = conn
		if br != nil {
			in = io.MultiReader(br, conn)
		}
		f, err := ws.ReadFrame(in)
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Fatalf("got %+v, %v", f.Header, err)
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != 4290 || reason != "Too many connected users" {
			t.Errorf("closed with %d %s", code, reason)
		}
	})
}

func TestFrameLimit(t *testing.T) {
	t.Run("[F5] a frame above what was set closes the socket with 1009, below it does not", func(t *testing.T) {
		e := newLimitedEndpoint(t, limit.Settings{FrameBytes: limit.MinFrameBytes})
		conn := e.dial(t)
		if _, err := conn.Write(clientFrame(true, ws.OpText, strings.Repeat("x", limit.MinFrameBytes))); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(clientFrame(true, ws.OpPing, "still here")); err != nil {
			t.Fatal(err)
		}
		if f, err := ws.ReadFrame(conn); err != nil || f.Header.OpCode != ws.OpPong {
			t.Fatalf("got %+v, %v; want a pong", f.Header, err)
		}
		if _, err := conn.Write(clientFrame(true, ws.OpText, strings.Repeat("x", limit.MinFrameBytes+1))); err != nil {
			t.Fatal(err)
		}
		f, err := ws.ReadFrame(conn)
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Fatalf("got %+v, %v", f.Header, err)
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1009 || reason != "a frame is larger than 65536 bytes" {
			t.Errorf("closed with %d %s", code, reason)
		}
	})
}

// slow wants a pause after each frame.
type slow struct {
	*record
	pauses int
}

func (s *slow) Pause() time.Duration {
	s.pauses++
	return time.Nanosecond
}

func TestPacing(t *testing.T) {
	t.Run("pings beyond what a client needs are all answered, and make reading slower", func(t *testing.T) {
		still := func() time.Time { return time.Unix(1_764_000_000, 0) }
		sock := &socket{closing: true, terms: &terms{maxFrame: 1000, now: still}} // what is sent to it goes nowhere
		rd := &reader{socket: sock, to: newRecord()}
		for i := range 1500 {
			if err := rd.consume(clientFrame(true, ws.OpPing, "")); err != nil {
				t.Fatal(err)
			}
			if want := time.Duration(max(i-999, 0)) * pausePerControl; rd.pause != want {
				t.Fatalf("ping %d: a pause of %s, want %s", i, rd.pause, want)
			}
		}
	})
	t.Run("a receiver that asks for a pause is asked after each read, and gets everything", func(t *testing.T) {
		client, conn := net.Pipe()
		s := &slow{record: newRecord()}
		sock, link := newConnSocket(conn, &terms{maxQueue: 1 << 20, maxFrame: 1000, now: time.Now})
		rd := &connReader{reader: reader{socket: sock, to: s}, link: link}
		done := make(chan error, 1)
		go func() { done <- rd.run() }()
		for _, text := range []string{"one", "two"} {
			if _, err := client.Write(clientFrame(true, ws.OpText, text)); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.wait(t, 2); got[0] != "text:one" || got[1] != "text:two" {
			t.Error(got)
		}
		_ = client.Close()
		<-done
		if s.pauses == 0 {
			t.Error("not asked")
		}
	})
}
