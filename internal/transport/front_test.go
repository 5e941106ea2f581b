//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// upgradeFor is a request for a socket at a path.
func upgradeFor(at string, more ...string) string {
	return "GET " + at + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(more, "") + "\r\n"
}

const socketOfX = "/socket/websocket?vsn=2.0.0&apikey=x"

// tcp connects to the endpoint's server.
func (e *endpoint) tcp(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.web[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// says writes, and fails when it cannot.
func says(t *testing.T, conn net.Conn, what string) {
	t.Helper()
	if _, err := io.WriteString(conn, what); err != nil {
		t.Fatal(err)
	}
}

// answered reads the answer to a request, whose body it returns.
func answered(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// upgraded fails when the answer is not an upgrade, or a heartbeat is not answered then.
func upgraded(t *testing.T, conn net.Conn) {
	t.Helper()
	r := bufio.NewReader(conn)
	if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("got %+v", response)
	}
	says(t, conn, string(clientFrame(true, ws.OpText, heartbeat(1))))
	heartbeatAnswered(t, r)
}

func heartbeatAnswered(t *testing.T, r io.Reader) {
	t.Helper()
	if f, err := ws.ReadFrame(r); err != nil || string(f.Payload) != answer(1) {
		t.Fatalf("got %s, %v", f.Payload, err)
	}
}

func TestFront(t *testing.T) {
	t.Run("a request that comes in pieces becomes a socket", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		conn := e.tcp(t)
		for _, piece := range strings.SplitAfter(upgradeFor(socketOfX), "\n") {
			says(t, conn, piece)
		}
		upgraded(t, conn)
		if n := e.server.Conns(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("[R1] frames that come right behind the request are handled", func(t *testing.T) {
		conn := newEndpoint(t, Options{}).tcp(t)
		says(t, conn, upgradeFor(socketOfX)+string(clientFrame(true, ws.OpText, heartbeat(1))))
		r := bufio.NewReader(conn)
		if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %+v", response)
		}
		heartbeatAnswered(t, r)
	})
	t.Run("[R7] who asks for nothing is cut after ten seconds, and not before", func(t *testing.T) {
		for _, said := range []string{"", "GET /socket/webs"} {
			e := newEndpoint(t, Options{})
			conn := e.tcp(t)
			says(t, conn, said)
			eventually(t, "it to be let in", func() bool { return len(e.server.snapshot(nil)) == 1 })
			e.turn(9 * time.Second)
			other := e.dial(t) // has come later
			e.turn(12 * time.Second)
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("got %v; want the end", err)
			}
			eventually(t, "it to be forgotten", func() bool { return len(e.server.snapshot(nil)) == 1 })
			if _, err := other.Write(clientFrame(true, ws.OpText, heartbeat(1))); err != nil {
				t.Fatal(err)
			}
			heartbeatAnswered(t, other)
		}
	})
	t.Run("a connection that is kept open for requests has them all answered", func(t *testing.T) {
		conn := newEndpoint(t, Options{}).tcp(t)
		r := bufio.NewReader(conn)
		for range 3 {
			says(t, conn, "POST /socket/sse/none HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n"+strings.Repeat("x", 70_000))
			if response, _ := answered(t, r); response.StatusCode != http.StatusNotFound {
				t.Fatalf("got %+v", response)
			}
		}
	})
	t.Run("[L5] limits of an address are of the one that a trusted proxy has seen", func(t *testing.T) {
		local := limit.Proxies{netip.MustParsePrefix("127.0.0.0/8")}
		e := newEndpointWith(t, Options{Proxies: local}, limit.Settings{AddressSockets: 1})
		for _, want := range []int{http.StatusSwitchingProtocols, http.StatusTooManyRequests} {
			conn := e.tcp(t)
			says(t, conn, upgradeFor(socketOfX, "x-forwarded-for: 192.0.2.1\r\n"))
			if response, _ := answered(t, bufio.NewReader(conn)); response.StatusCode != want {
				t.Errorf("status %d, want %d", response.StatusCode, want)
			}
		}
		conn := e.tcp(t)
		says(t, conn, upgradeFor(socketOfX, "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n"))
		upgraded(t, conn)
	})
	t.Run("what is small is not held back", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		e.dial(t)
		for _, c := range e.server.snapshot(nil) {
			if on, err := unix.GetsockoptInt(c.conn.(*polled).fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
				t.Errorf("TCP_NODELAY is %d, %v", on, err)
			}
		}
	})
}

func TestClosingAFront(t *testing.T) {
	open := func(t *testing.T) (*Server, net.Listener, *http.Server, chan error) {
		t.Helper()
		e := newEndpoint(t, Options{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		e.server.Register(mux)
		mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
		front, web, ended := e.server.Front(l), &http.Server{Handler: mux}, make(chan error, 1)
		go func() { ended <- web.Serve(front) }()
		t.Cleanup(func() { _ = web.Close() })
		return e.server, front, web, ended
	}
	come := func(t *testing.T, s *Server, front net.Listener, n int) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it to be let in", func() bool { return len(s.snapshot(nil)) == n })
		return conn
	}
	t.Run("who is in already has a moment to ask, and is answered", func(t *testing.T) {
		s, front, _, ended := open(t)
		page, socket := come(t, s, front, 1), come(t, s, front, 2)
		if err := front.Close(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", front.Addr().String()); err == nil {
			_ = conn.Close()
			t.Error("somebody was let in")
		}
		says(t, page, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, body := answered(t, bufio.NewReader(page)); body != "hello" {
			t.Errorf("got %q", body)
		}
		says(t, socket, upgradeFor(socketOfX))
		upgraded(t, socket)
		for _, c := range s.snapshot(nil) {
			if c := c.conn.(*polled); c.isLingering() {
				t.Error("it will be cut")
			}
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving ended with %v", err)
		}
	})
	t.Run("who says nothing does not keep it open", func(t *testing.T) {
		s, front, web, ended := open(t)
		silent := come(t, s, front, 1)
		if err := web.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving ended with %v", err)
		}
		if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v; want the end", err)
		}
	})
	t.Run("[R7] who is given away and taken by nobody does not keep Shutdown waiting", func(t *testing.T) {
		s := newEndpoint(t, Options{}).server
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		front := s.Front(l)
		defer func() {
			_ = front.Close()
			for conn, err := front.Accept(); err == nil; conn, err = front.Accept() {
				_ = conn.Close()
			}
		}()
		says(t, come(t, s, front, 1), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		eventually(t, "it to be given away", func() bool { return len(s.snapshot(nil)) == 0 })
		s.Shutdown(t.Context(), time.Second)
	})
	t.Run("what cannot be accepted from ends it, and says so", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close() }()
		f := newEndpoint(t, Options{}).server.newFront(r, nil)
		if _, err := f.Accept(); !errors.Is(err, unix.ENOTSOCK) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("[R7] who asks for a socket while the server shuts down is told to come back", func(t *testing.T) {
		s, front, _, _ := open(t)
		late := come(t, s, front, 1)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			s.Shutdown(context.Background(), time.Second)
		}()
		<-s.done
		says(t, late, upgradeFor(socketOfX))
		r := bufio.NewReader(late)
		if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %+v", response)
		}
		if f, err := ws.ReadFrame(r); err != nil || f.Header.OpCode != ws.OpClose || int(f.Payload[0])<<8|int(f.Payload[1]) != protocol.CloseRestart {
			t.Errorf("got %+v, %v", f, err)
		}
		_ = late.Close()
		<-gone
	})
}

func (c *polled) isLingering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lingering != nil
}

// What the front makes of a request is what net/http would.
func TestRequestsAreAnsweredAsByNetHTTP(t *testing.T) {
	requests := map[string]string{
		"a socket":                       upgradeFor(socketOfX),
		"a socket behind a gateway":      upgradeFor("/realtime/v1/websocket?vsn=2.0.0&apikey=x"),
		"lanes":                          upgradeFor("/realtime/v1/lanes?vsn=2.0.0&apikey=x"),
		"no token":                       upgradeFor("/socket/websocket?vsn=2.0.0"),
		"a token in a header":            upgradeFor("/socket/websocket?vsn=2.0.0&apikey=expired", "x-api-key: x\r\n"),
		"a refused token in a header":    upgradeFor(socketOfX, "X-API-KEY: expired\r\n"),
		"a token that is escaped":        upgradeFor("/socket/websocket?vsn=2.0.0&apikey=%65xpired"),
		"a refused token":                upgradeFor("/socket/websocket?vsn=2.0.0&apikey=expired"),
		"another version":                upgradeFor("/socket/websocket?vsn=9&apikey=x"),
		"another path":                   upgradeFor("/socket/websockets?vsn=2.0.0&apikey=x"),
		"a path that is to be cleaned":   upgradeFor("/socket/../socket/websocket?vsn=2.0.0&apikey=x"),
		"a path that is escaped":         upgradeFor("/socket/web%73ocket?vsn=2.0.0&apikey=x"),
		"a path with a slash escaped":    upgradeFor("/socket%2Fwebsocket?vsn=2.0.0&apikey=x"),
		"two hosts":                      upgradeFor(socketOfX, "Host: y\r\n"),
		"a host that is none":            strings.Replace(upgradeFor(socketOfX), "Host: x", "Host: a b", 1),
		"an empty host":                  strings.Replace(upgradeFor(socketOfX), "Host: x", "Host: ", 1),
		"a name that is none":            upgradeFor(socketOfX, "X(y): z\r\n"),
		"a line without a name":          upgradeFor(socketOfX, ": z\r\n"),
		"a value with a NUL":             upgradeFor(socketOfX, "X: a\x00b\r\n"),
		"a value with a bare CR":         upgradeFor(socketOfX, "X: a\rb\r\n"),
		"a value of other letters":       upgradeFor(socketOfX, "X: \xc3\xa4\xff\r\n"),
		"a value with a colon":           upgradeFor(socketOfX, "X: a : b\r\n"),
		"HTTP/1.10":                      strings.Replace(upgradeFor(socketOfX), "HTTP/1.1", "HTTP/1.10", 1),
		"what cannot be expected":        upgradeFor(socketOfX, "Expect: wonders\r\n"),
		"what can be expected":           upgradeFor(socketOfX, "Expect: 100-continue\r\n"),
		"two tokens, an empty one first": upgradeFor("/socket/websocket?vsn=2.0.0&apikey=expired", "X-Api-Key:\r\n", "X-Api-Key: x\r\n"),
		"two tokens, a good one first":   upgradeFor(socketOfX, "X-Api-Key: x\r\n", "X-Api-Key: expired\r\n"),
		"an end within the head":         strings.Replace(upgradeFor(socketOfX), "Host: x\r\n", "Host: x\r\nX: y\n\r\n", 1),
		"a head of just below 16 KB":     upgradeFor(socketOfX, "X-Long: "+strings.Repeat("x", readSize-250)+"\r\n"),
		"a head of just above 16 KB":     upgradeFor(socketOfX, "X-Long: "+strings.Repeat("x", readSize-150)+"\r\n"),
		"the whole address":              upgradeFor("http://x" + socketOfX),
		"a head of 40 KB":                upgradeFor(socketOfX, "X-Long: "+strings.Repeat("x", 40_000)+"\r\n"),
		"a head that is too long":        upgradeFor(socketOfX, "X-Long: "+strings.Repeat("x", 2<<20)+"\r\n"),
		"lines that end with LF":         strings.ReplaceAll(upgradeFor(socketOfX), "\r\n", "\n"),
		"a last line that ends with LF":  strings.TrimSuffix(upgradeFor(socketOfX), "\r\n") + "\n",
		"a folded line":                  upgradeFor(socketOfX, "X-Folded: a\r\n X-Api-Key: expired\r\n"),
		"a blank behind a name":          upgradeFor(socketOfX, "X-Api-Key : expired\r\n"),
		"a line without a colon":         upgradeFor(socketOfX, "nonsense\r\n"),
		"a body":                         upgradeFor(socketOfX, "Content-Length: 5\r\n") + "hello",
		"no key":                         strings.Replace(upgradeFor(socketOfX), "Sec-WebSocket-Key", "X", 1),
		"a key that is too short":        strings.Replace(upgradeFor(socketOfX), "ZQ==", "", 1),
		"another version of WebSocket":   strings.Replace(upgradeFor(socketOfX), "Version: 13", "Version: 8", 1),
		"no upgrade":                     strings.Replace(upgradeFor(socketOfX), "Upgrade: websocket", "X: y", 1),
		"an upgrade to something else":   strings.Replace(upgradeFor(socketOfX), "Upgrade: websocket", "Upgrade: h2c", 1),
		"a connection that is closed":    strings.Replace(upgradeFor(socketOfX), "keep-alive, Upgrade", "close", 1),
		"HTTP/1.0":                       strings.Replace(upgradeFor(socketOfX), "HTTP/1.1", "HTTP/1.0", 1),
		"no host":                        strings.Replace(upgradeFor(socketOfX), "Host: x\r\n", "", 1),
		"POST":                           strings.Replace(upgradeFor(socketOfX), "GET", "POST", 1),
		"HTTP/2 without having asked":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"what is not HTTP":               "\x16\x03\x01 hello, is this TLS?\r\n\r\n",
		"a path that cannot be read":     upgradeFor("/socket/%zz"),
		"no path":                        upgradeFor(""),
		"a limit, by clients of chorale": upgradeFor("/socket/websocket?vsn=2.0.0&apikey=expired&chorale=1"),
	}
	ask := func(t *testing.T, start starter, request string) string {
		t.Helper()
		conn := newEndpointOver(t, start, Options{}, limit.Unlimited()).tcp(t)
		_, _ = io.WriteString(conn, request) // which may be refused before it is read
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return "no answer"
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			body, _ := io.ReadAll(response.Body) // up to a reset, if what is too long is not read
			return response.Status + "\n" + string(body)
		}
		_, _ = conn.Write(clientFrame(true, ws.OpText, heartbeat(1))) // if it is not closed
		f, err := ws.ReadFrame(r)
		return response.Status + "\n" + string(f.Payload) + errorText(err)
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := ask(t, fronted, request), ask(t, plain, request); got != want {
				t.Errorf("got\n%s\nby net/http\n%s", got, want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzHandshake: a request of which the front makes a socket is one for net/http too, for
// the same client.
func FuzzHandshake(f *testing.F) {
	for _, seed := range []string{
		upgradeFor(socketOfX),
		upgradeFor("/realtime/v1/lanes?vsn=1.0.0&apikey=x%20y", "X-Api-Key: z\r\n", "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n"),
		upgradeFor(socketOfX, "X-Folded: a\r\n X-Forwarded-For: 192.0.2.9\r\n"),
	} {
		f.Add([]byte(seed))
	}
	s := &Server{opts: Options{Proxies: limit.Proxies{netip.MustParsePrefix("10.0.0.0/8")}}}
	mux := http.NewServeMux()
	s.Register(mux)
	from := netip.MustParseAddrPort("10.0.0.1:1234")
	f.Fuzz(func(t *testing.T, data []byte) {
		size := headSize(data)
		if size <= 0 {
			return
		}
		h, _, ok := s.readHandshake(data[:size], from)
		if !ok {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		_, route := mux.Handler(r)
		version, ok := protocol.ParseVersion(r.URL.Query().Get("vsn"))
		if !ok || version != h.version || h.isShared != strings.HasSuffix(route, lanesPath) || !h.isShared && !strings.HasSuffix(route, socketPath) {
			t.Errorf("%+v of %s, which is routed to %q", h, r.URL, route)
		}
		if r.ContentLength != 0 || r.ProtoMinor != 1 {
			t.Errorf("net/http would not serve %+v", r)
		}
		if token := requestToken(r.Header.Get("X-Api-Key"), r.URL.Query()); token != h.token {
			t.Errorf("token %q, want %q", h.token, token)
		}
		r.RemoteAddr = from.String()
		if address := s.address(r); address != h.address {
			t.Errorf("address %v, want %v", h.address, address)
		}
	})
}
