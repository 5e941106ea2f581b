package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/session"
)

// anybody lets everybody in but the token "expired".
type anybody struct{}

func (anybody) Verify(token string) (*auth.Identity, error) {
	if token == "expired" {
		return nil, &auth.TokenError{Code: auth.CodeTokenExpired, Message: "for the tests"}
	}
	return &auth.Identity{Subject: "ada"}, nil
}

// endpoint is a server whose clock the test moves.
type endpoint struct {
	server *Server
	clock  atomic.Int64 // ns since the start
	url    string       // of the WebSocket
	web    string       // of the server, without a path
}

func newEndpoint(t testing.TB, o Options) *endpoint {
	t.Helper()
	return newEndpointWith(t, o, limit.Unlimited())
}

func newLimitedEndpoint(t *testing.T, s limit.Settings) *endpoint {
	t.Helper()
	return newEndpointWith(t, Options{}, s)
}

func newEndpointWith(t testing.TB, o Options, s limit.Settings) *endpoint {
	t.Helper()
	return newEndpointOver(t, fronted, o, s)
}

// starter starts an http.Server over the handler of a Server.
type starter func(*Server, http.Handler) *httptest.Server

// fronted starts one as the program does.
func fronted(s *Server, h http.Handler) *httptest.Server {
	web := httptest.NewUnstartedServer(h)
	web.Listener = s.Front(web.Listener)
	web.Start()
	return web
}

// plain starts one that takes in all connections itself.
func plain(_ *Server, h http.Handler) *httptest.Server { return httptest.NewServer(h) }

func overTLS(_ *Server, h http.Handler) *httptest.Server { return httptest.NewTLSServer(h) }

// newEndpointOver is newEndpointWith behind a server that start starts. Of o.Deps what
// is not there is added.
func newEndpointOver(t testing.TB, start starter, o Options, s limit.Settings) *endpoint {
	t.Helper()
	e := &endpoint{}
	begin := time.Unix(1_764_000_000, 0)
	if o.Deps == nil {
		o.Deps = new(session.Deps)
	}
	if o.Deps.Verifier == nil {
		o.Deps.Verifier = anybody{}
	}
	o.Deps.Limits = limit.New(s, time.Now)
	o.Deps.Metrics, o.Deps.Logger = metrics.New(), slog.New(slog.DiscardHandler)
	o.Deps.Now = func() time.Time { return begin.Add(time.Duration(e.clock.Load())) }
	e.server = NewServer(o)
	mux := http.NewServeMux()
	e.server.Register(mux)
	web := start(e.server, mux)
	e.web = web.URL
	e.url = "ws" + web.URL[len("http"):] + "/socket/websocket"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		e.server.Shutdown(ctx, time.Second)
		web.Close()
	})
	return e
}

// turn sets the clock, and has the server notice.
func (e *endpoint) turn(to time.Duration) {
	e.clock.Store(int64(to))
	e.server.rouse()
}

func (e *endpoint) now() time.Duration { return time.Duration(e.clock.Load()) }

func (e *endpoint) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, _, _, err := ws.Dial(context.Background(), e.url+"?vsn=2.0.0&apikey=x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestDeadlines(t *testing.T) {
	t.Run("[C3] a silent socket is pinged after 40 s, and closed with 4201 when nothing arrives for 60 s", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		conn := e.dial(t)
		e.only(t) // who pings has to know it
		e.turn(45 * time.Second)
		if f, err := ws.ReadFrame(conn); err != nil || f.Header.OpCode != ws.OpPing {
			t.Fatalf("got %+v, %v; want a ping", f.Header, err)
		}
		e.turn(61 * time.Second)
		for {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			if f.Header.OpCode != ws.OpClose {
				continue
			}
			if code := int(f.Payload[0])<<8 | int(f.Payload[1]); code != 4201 {
				t.Errorf("code %d", code)
			}
			return
		}
	})
	t.Run("[C3] any byte keeps it open", func(t *testing.T) {
		e := newEndpoint(t, Options{PingEvery: time.Hour})
		conn := e.dial(t)
		for i := range 5 {
			e.turn(time.Duration(i) * 50 * time.Second)
			if _, err := conn.Write(clientFrame(true, ws.OpPing, "still here")); err != nil {
				t.Fatal(err)
			}
			if f, err := ws.ReadFrame(conn); err != nil || f.Header.OpCode != ws.OpPong || !bytes.Equal(f.Payload, []byte("still here")) {
				t.Fatalf("got %+v, %v; want a pong", f.Header, err)
			}
		}
	})
}

// dawdler is a verifier that takes its time over one token.
type dawdler struct{ asked, answer chan struct{} }

func (v dawdler) Verify(token string) (*auth.Identity, error) {
	if token == "slow" {
		close(v.asked)
		<-v.answer
		return nil, errors.New("too late")
	}
	return &auth.Identity{Subject: "ada"}, nil
}

func TestShutdownBesideASessionThatWaits(t *testing.T) {
	v := dawdler{make(chan struct{}), make(chan struct{})}
	e := newEndpoint(t, Options{Deps: &session.Deps{Verifier: v}})
	waits, other := e.dial(t), e.dial(t)
	if _, err := waits.Write(clientFrame(true, ws.OpText, `["1","1","realtime:x","phx_join",{"access_token":"slow"}]`)); err != nil {
		t.Fatal(err)
	}
	<-v.asked
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.server.Shutdown(ctx, time.Second)
	}()
	f, err := ws.ReadFrame(other) // is told, although the first cannot be
	if err != nil || f.Header.OpCode != ws.OpClose || int(f.Payload[0])<<8|int(f.Payload[1]) != 1012 {
		t.Errorf("got %+v, %v; want a close with 1012", f.Header, err)
	}
	close(v.answer)
	cancel()
	<-ended
}

// watched is the connection under a handshake: it asks on each write.
type watched struct {
	net.Conn
	onWrite func()
}

func (c *watched) Write(p []byte) (int, error) {
	c.onWrite()
	return c.Conn.Write(p)
}

// hijackable is a response whose connection can be had, as that of net/http.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func TestAConnectionIsCountedBeforeItsClientHearsOfIt(t *testing.T) {
	e := newEndpoint(t, Options{})
	near, far := net.Pipe()
	counted := make(chan int, 16)
	w := &hijackable{httptest.NewRecorder(), &watched{near, func() { counted <- e.server.Conns() }}}
	r := httptest.NewRequest(http.MethodGet, "/socket/websocket?vsn=2.0.0&apikey=x", nil)
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(k, v)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, far) })
	e.server.ServeHTTP(w, r)
	if n := <-counted; n != 1 {
		t.Errorf("%d connections when the handshake was answered", n)
	}
	_ = far.Close()
	wg.Wait()
	eventually(t, "it to be counted out", func() bool { return e.server.Conns() == 0 })

	t.Run("and not when there is no handshake", func(t *testing.T) {
		w := httptest.NewRecorder()
		e.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket/websocket?apikey=x", nil))
		if n := e.server.Conns(); n != 0 || w.Code < 400 {
			t.Errorf("%d connections, status %d", n, w.Code)
		}
	})
}

func TestAHandshakeThatIsNone(t *testing.T) {
	for name, query := range map[string]string{
		"of somebody with a token":         "apikey=x",
		"[C1] of somebody who was refused": "apikey=expired&chorale=1",
	} {
		t.Run("[R7] "+name+" is answered, and keeps no connection", func(t *testing.T) {
			e := newEndpoint(t, Options{})
			conn, err := net.Dial("tcp", e.web[len("http://"):])
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "GET /socket/websocket?"+query+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn) // up to the end, which has to come
			if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
				t.Errorf("got %q, %v", answer, err)
			}
			eventually(t, "it to be counted out", func() bool { return e.server.Conns() == 0 })
		})
	}
}
