package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// Conn is the socket of a session.
type Conn interface {
	// Send queues frames behind all others, and writes what is queued when the socket
	// takes it. It never blocks, and the list is the caller's again when it returns;
	// frames that are kept longer are kept by Message.Kept. When the queue is full the
	// conn closes itself with protocol.CloseSlowConsumer: the client resumes from the log.
	Send(frames ...protocol.Message)
	// Queue and Flush are Send in two parts, for the hub.
	hub.Sink
	// Close sends a close frame with this code and ends the socket. Idempotent.
	Close(code int, reason string)
}

// Verifier turns tokens into identities.
type Verifier interface {
	Verify(token string) (*auth.Identity, error)
}

// Metrics is what sessions count.
type Metrics interface {
	SessionOpened()
	SessionClosed()
	Received() *metrics.Cell // where a session counts the frames of its client
	FrameMalformed()
	JoinRefused(code string)
	PushRefused(code string)
	Limited(limit string)
}

// Deps is what all sessions of a server share.
type Deps struct {
	Hub         *hub.Hub
	Engine      engine.Engine
	Collections *collection.Store
	Verifier    Verifier
	Policy      func() *policy.Policy // the newest: asked at each join
	Metrics     Metrics
	Logger      *slog.Logger
	Now         func() time.Time
	Limits      *limit.Limiter // of the server; nil means that nothing is limited
	Registry    *Registry      // knows the sessions; nil when nobody administers them
}

// Session is one client's connection. See the package documentation.
type Session struct {
	deps    *Deps
	conn    Conn
	id      string
	version protocol.Version
	limits  *limit.Limiter

	received *metrics.Cell // frames from the client

	ctx    context.Context // ends with the session: what it still waits for is given up
	cancel context.CancelFunc

	mu       sync.Mutex     // guards the following; held while a frame is handled
	token    string         // the connection's, for joins that bring none
	identity *auth.Identity // of that token; nil when it was not good any more
	subs     subscriptions
	joins    uint64
	expiry   *time.Timer
	closed   bool
	sender   limit.Sender
	pause    time.Duration // see Pause
	slot     *time.Timer   // delivers presence that had to wait; nil before the first
	slotDue  int64         // instant of limits, 0 when slot is not set
	burst    *burst        // nil unless frames are handled that were read at once

	expecting *hub.Member // of the write that is handled and not answered yet
}

// New returns the session of a socket whose token was verified.
func New(deps *Deps, conn Conn, version protocol.Version, token string) *Session {
	ctx, cancel := context.WithCancel(context.Background())
	deps.Metrics.SessionOpened()
	s := &Session{
		deps:    deps,
		conn:    conn,
		id:      uuid.NewString(),
		version: version,
		limits:  deps.Limiter(),
		ctx:     ctx,
		cancel:  cancel,
		token:   token,

		received: deps.Metrics.Received(),
	}
	// Locked, so that a revocation of this moment is seen by Verify or else by
	// the registry's Recheck, which has to wait.
	s.mu.Lock()
	defer s.mu.Unlock()
	deps.Registry.add(s)
	if identity, err := deps.Verifier.Verify(token); err == nil {
		s.identity = identity
	}
	return s
}

// Receive handles one frame. data belongs to the caller again when it returns.
func (s *Session) Receive(isBinary bool, data []byte) {
	s.received.Add(1)
	var f protocol.Frame
	var err error
	switch {
	case isBinary && s.version == protocol.V1:
		err = protocol.ErrMalformed
	case isBinary:
		f, err = protocol.DecodeBinary(data)
	default:
		f, err = protocol.DecodeText(s.version, data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.unrefused()
		s.deps.Metrics.FrameMalformed()
		s.deps.Logger.Debug("frame dropped", "session", s.id, "error", err)
	case !s.closed:
		s.handle(&f, len(data))
		s.settleLate()
	}
}

// handle serves one frame, whose encoding had this size.
func (s *Session) handle(f *protocol.Frame, size int) {
	s.beginFrame(f)
	switch {
	case f.Topic == protocol.TopicPhoenix:
		s.unrefused()
		if f.Event == protocol.EventHeartbeat {
			s.beat(f)
		}
		return
	case f.Event == protocol.EventJoin:
		s.join(f)
		return
	}
	sub := s.subs.of(f.Topic)
	if f.Event == protocol.EventLeave {
		s.unrefused()
	} else if !s.passes(f, sub, size) {
		return
	}
	if sub == nil {
		s.withoutMembership(f)
		return
	}
	switch f.Event {
	case protocol.EventLeave:
		s.leave(f, sub)
	case protocol.EventBroadcast:
		s.broadcast(f, sub)
	case protocol.EventMutate:
		s.mutate(f, sub)
	case protocol.EventPresence:
		s.presence(f, sub)
	case protocol.EventAccessToken:
		s.refresh(f, sub)
	}
}

// withoutMembership answers pushes to a topic that is not joined.
func (s *Session) withoutMembership(f *protocol.Frame) {
	if f.Event == protocol.EventLeave {
		s.replyOK(f, emptyObject)
		return
	}
	f.JoinRef = ""
	s.replyError(f, &protocol.Error{Code: protocol.CodeUnmatchedTopic, Message: "this topic is not joined", Reason: "unmatched topic"})
}

// Cancel gives up what the session still waits for, without waiting itself.
func (s *Session) Cancel() { s.cancel() }

// Close ends the session after its socket: it leaves every channel. Idempotent.
func (s *Session) Close() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.settle()
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.slot != nil {
		s.slot.Stop()
	}
	for _, sub := range slices.Clone(s.subs.all) {
		s.drop(sub)
	}
	s.deps.Registry.remove(s)
	s.deps.Metrics.SessionClosed()
}

// Announce tells every joined channel that the server wants the client to
// reconnect, as upstream does before it restarts.
func (s *Session) Announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs.all {
		s.send(protocol.EncodeText(s.version, "", "", sub.topic, protocol.EventSystem,
			[]byte(`{"extension":"system","status":"ok","message":"Server requested disconnect"}`)))
	}
}

var (
	emptyObject = []byte("{}")
	okSystem    = "ok"
)

func (s *Session) replyOK(f *protocol.Frame, response []byte) {
	s.reply(protocol.EncodeReply(s.version, f.JoinRef, f.Ref, f.Topic, true, response))
}

func (s *Session) replyError(f *protocol.Frame, e *protocol.Error) {
	s.refuse(f, e, protocol.AppendError(nil, e))
}

func (s *Session) refuse(f *protocol.Frame, e *protocol.Error, response []byte) {
	s.deps.Metrics.PushRefused(e.Code)
	s.reply(protocol.EncodeReply(s.version, f.JoinRef, f.Ref, f.Topic, false, response))
}

// engineError is what a client is told when the engine did not do it.
func engineError(err error) *protocol.Error {
	if known, ok := errors.AsType[*protocol.Error](err); ok {
		return known
	}
	switch {
	case errors.Is(err, engine.ErrOverloaded):
		return &protocol.Error{Code: protocol.CodeOverloaded, Message: "The server is busy; try again", Retryable: true, RetryAfterMs: 250}
	case errors.Is(err, engine.ErrUnavailable):
		return &protocol.Error{Code: protocol.CodeUnavailable, Message: "The server cannot store anything at the moment; nothing was written", Retryable: true, RetryAfterMs: 2000}
	case errors.Is(err, engine.ErrClosed), errors.Is(err, context.Canceled):
		return &protocol.Error{Code: protocol.CodeShuttingDown, Message: "Realtime is restarting, please standby", Retryable: true, RetryAfterMs: 1000}
	}
	return &protocol.Error{Code: protocol.CodeInternal, Message: "The server failed; try again", Retryable: true, RetryAfterMs: 1000}
}
