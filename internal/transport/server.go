package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// Options of a Server. The zero value of each number is its default.
type Options struct {
	// Deps is handed to every session. Its Limits also bound the sockets and the
	// size of frames.
	Deps *session.Deps
	// Proxies are believed when they say where a request came from.
	Proxies limit.Proxies
	// QueueBytes bounds what waits for one slow client. 0 means 4 MiB: several
	// seconds of a busy channel, and less than a burst of such clients can take
	// from a small machine.
	QueueBytes int
	// IdleAfter closes a socket on which nothing arrives (C3). 0 means 60 s.
	IdleAfter time.Duration
	// PingEvery is after what silence of its client a socket is pinged. 0 means 40 s:
	// later than any client of this wire beats (phoenix every 30 s), so that only those
	// are asked who would not have said anything, and early enough for an answer
	// before IdleAfter. Each is pinged up to a tenth later, so that not all are at once.
	PingEvery time.Duration
	// StalledAfter cuts a socket that takes no byte of what waits for it. 0 means 30 s.
	StalledAfter time.Duration
	// Goroutines reads each socket in a goroutine of its own, also where many
	// could be polled by one (Linux and macOS).
	Goroutines bool
	Logger     *slog.Logger
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 4 << 20
	}
	set(&o.IdleAfter, 60*time.Second)
	set(&o.PingEvery, 40*time.Second)
	set(&o.StalledAfter, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is where clients connect. As an http.Handler it is the WebSocket
// endpoint; Register adds the fallback. Shutdown ends it.
type Server struct {
	opts   Options
	limits *limit.Limiter
	terms  *terms        // of sockets with one session
	shared *terms        // of sockets with lanes
	done   chan struct{} // closed when shutting down
	wg     sync.WaitGroup

	streams streams
	poller  *poller // nil when each socket has a goroutine that reads it

	begin  time.Time     // when it was made
	roused chan struct{} // one token: deadlines are to be looked at now

	mu     sync.Mutex // guards the following, and is never held while a conn is called
	open   int        // connections that were let in, those included whose handshake is being answered
	conns  conns
	alarm  int64 // ms since begin of when deadlines are looked at next
	closed bool
	drain  time.Duration // of Shutdown, when closed
}

// NewServer returns a server whose deadlines are being looked at.
func NewServer(o Options) *Server {
	s := &Server{
		opts: o.withDefaults(), limits: o.Deps.Limiter(), done: make(chan struct{}),
		begin: o.Deps.Now(), roused: make(chan struct{}, 1), conns: newConns(),
	}
	s.terms = &terms{maxQueue: s.opts.QueueBytes, maxFrame: s.limits.Settings().FrameBytes, pingEvery: s.opts.PingEvery, now: o.Deps.Now}
	shared := *s.terms
	shared.maxFrame += protocol.LaneHeadroom // what is within is bounded where it is known
	s.shared = &shared
	if !s.opts.Goroutines {
		s.poller = s.openPoller()
	}
	s.wg.Go(s.keepDeadlines)
	return s
}

// user is who a socket is for: a session, or several in lanes.
type user interface {
	Receiver
	// Announce tells clients that the server wants them to reconnect.
	Announce()
	// Cancel gives up what is still waited for, without waiting itself.
	Cancel()
	// Close comes once, after the socket's last frame.
	Close()
}

// handshake is what a client asked for that was admitted.
type handshake struct {
	version  protocol.Version
	token    string
	isShared bool       // the socket has lanes
	address  netip.Addr // where it comes from
}

func (s *Server) termsOf(h *handshake) *terms {
	if h.isShared {
		return s.shared
	}
	return s.terms
}

func (s *Server) user(sock *socket, h *handshake) user {
	if h.isShared {
		return newLanes(s, sock, h)
	}
	return session.New(s.opts.Deps, sock, h.version, h.token)
}

// ServeHTTP checks the request, upgrades it and serves the socket until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serveSocket(w, r, false) }

// serveLanes does the same for a socket that several sessions share.
func (s *Server) serveLanes(w http.ResponseWriter, r *http.Request) { s.serveSocket(w, r, true) }

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, isShared bool) {
	query := r.URL.Query()
	version, ok := protocol.ParseVersion(query.Get("vsn"))
	if !ok {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h := handshake{version: version, token: requestToken(r.Header.Get("X-Api-Key"), query), isShared: isShared, address: s.address(r)}
	ticket, refused := s.admit(h.token, h.address)
	if refused != nil {
		s.refuse(w, r, refused, query.Get("chorale") == "1")
		return
	}
	s.enter()
	conn, err := upgrade(w, r)
	if err != nil {
		s.leave(nil, ticket)
		return // upgrade has answered
	}
	// A clone: the token is a part of the request's line, which it would keep.
	h.token = strings.Clone(h.token)
	if s.poller != nil {
		if fd, ok := detach(conn); ok {
			s.servePolled(fd, &h, ticket)
			return
		}
	}
	sock, link := newConnSocket(conn, s.termsOf(&h))
	u := s.user(sock, &h)
	if !s.add(sock, u) {
		u.Close()
		link.dismiss(sock, protocol.CloseRestart, s.farewell())
		s.leave(sock, ticket)
		return
	}
	// In a goroutine of its own, so that net/http's buffers and stack for this
	// connection are freed; add has counted it in.
	go s.serve(sock, link, u, ticket)
}

// upgrade answers a handshake. One that is none is answered as well, and its
// connection closed: it was taken from net/http, so nobody else would.
func upgrade(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil && conn != nil {
		_ = conn.Close() // the error that matters is the handshake's
	}
	return conn, err
}

// enter counts a connection in that was admitted. It is called before the client
// can hear of it: who was answered is in the figures. The caller calls leave.
func (s *Server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
}

// leave counts a connection out, c being nil when it did not come to one.
func (s *Server) leave(c conn, ticket limit.Ticket) {
	s.limits.Disconnect(ticket)
	if c != nil {
		s.forget(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// farewell is the reason for which Shutdown closes, and those who come too late are
// closed.
func (s *Server) farewell() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("the server restarts drainMs=%d", s.drain.Milliseconds())
}

// serve reads a socket until it ends.
func (s *Server) serve(sock *socket, link *connLink, u user, ticket limit.Ticket) {
	defer s.wg.Done()
	rd := connReader{reader: reader{socket: sock, to: u}, link: link}
	err := rd.run()
	if fault, ok := errors.AsType[*closeError](err); ok {
		s.fault(sock, fault)
		link.drain()
	}
	u.Close()
	sock.awaitWriter() // who may have the answer to the client's close
	sock.sever()
	link.flusher.Wait()
	s.leave(sock, ticket)
}

// fault closes a socket whose client broke the protocol.
func (s *Server) fault(sock *socket, fault *closeError) {
	if fault.code == protocol.CloseTooLarge {
		s.opts.Deps.Metrics.Limited(string(limit.Frame))
	}
	sock.Close(fault.code, fault.reason)
}

// Conns is the number of open connections, by WebSocket, in lanes or by the
// fallback. A client whose handshake was answered is among them.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *Server) nowMs() int64 { return s.opts.Deps.Now().UnixMilli() }
