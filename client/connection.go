package client

import (
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	heartbeatEvery = 15 * time.Second
	// answerWithin is how long the server may be silent after a heartbeat;
	// probeWithin is the same when somebody doubts the connection.
	answerWithin = 10 * time.Second
	probeWithin  = 2500 * time.Millisecond
	openWithin   = 10 * time.Second
	stableAfter  = 10 * time.Second
	// A socket that is so far behind takes no ephemeral message more. Bytes.
	maxEphemeralQueue = 1 << 20
)

// State says what a connection is doing, for a person to see.
type State string

// The states of a connection.
const (
	Idle         State = "idle"         // not asked for yet
	Connecting   State = "connecting"   // first attempts
	Connected    State = "connected"    //
	Reconnecting State = "reconnecting" // was connected, is coming back
	NeedsAuth    State = "needs-auth"   // two tokens in a row were refused, or only a person can help
	Failed       State = "failed"       // the server refused for good
	Closed       State = "closed"       // by Close
)

// Status is the state of a connection with what is known about it.
type Status struct {
	State   State
	Attempt int           // since the connection was last stable
	RetryAt time.Time     // when the next attempt is due; zero unless one is waited for
	Latency time.Duration // round trip of the newest heartbeat; 0 when there was none
	Err     error         // why it is not connected, an *Error; nil when it is
}

// A connection is the driver of the machine: it owns the socket, the deadlines
// and the heartbeat, and decides nothing. It is guarded by Client.mu.
type connection struct {
	c     *Client
	state state
	// What happened while an event was being handled: one is handled at a time.
	inbox      []event
	isHandling bool

	// Late events of a socket or a token that is not the current one any more are
	// told by this number.
	generation int
	token      string
	socket     *socket
	attempts   int // of all sockets: each goes to the next address
	ref        uint64
	replies    map[string]func(reply)

	retry, beat, answer, opening, stable, refresh *alarm

	beatSentAt  time.Time
	answerDueAt time.Time
	latency     time.Duration
	changed     bell
}

func (n *connection) isOpen() bool { return n.state.phase == open && n.socket != nil }

func (n *connection) dispatch(e event) {
	n.inbox = append(n.inbox, e)
	if n.isHandling {
		return
	}
	n.isHandling = true
	for len(n.inbox) > 0 {
		e := n.inbox[0]
		n.inbox = n.inbox[1:]
		n.handle(e)
	}
	n.isHandling = false
}

func (n *connection) handle(e event) {
	before := n.state
	after, effects := next(before, e, input{now: time.Now(), roll: n.c.opts.roll()})
	n.state = after
	if before.phase != after.phase {
		n.crossed(before.phase, after.phase)
	}
	for _, f := range effects {
		n.perform(f)
	}
	if before != after {
		n.changed.ring()
	}
	if after.phase == open && before.phase != open {
		for _, m := range n.c.channels {
			m.onUp()
		}
	}
}

// crossed does what every change of phase entails, whatever caused it.
func (n *connection) crossed(from, to phase) {
	if to == open {
		n.c.stats.Connects++
		n.set(&n.opening, nil, 0)
		n.set(&n.stable, func() { n.dispatch(event{kind: evStable}) }, stableAfter)
		n.scheduleBeat()
		n.scheduleRefresh(0)
	}
	if from == open {
		n.generation++
		for _, al := range []**alarm{&n.stable, &n.beat, &n.answer, &n.refresh} {
			n.set(al, nil, 0)
		}
		clear(n.replies)
		n.latency = 0
		for _, m := range n.c.channels {
			m.onDown()
		}
	}
}

// set puts an alarm in the place of another; nil puts none there.
func (n *connection) set(al **alarm, fire func(), d time.Duration) {
	n.c.alarms.stop(*al)
	*al = nil
	if fire != nil {
		*al = n.c.alarms.start(d, func() { *al = nil; fire() })
	}
}

func (n *connection) perform(f effect) {
	switch f.do {
	case doFetchToken:
		n.fetchToken(f.fresh)
	case doOpenSocket:
		n.openSocket()
	case doDropSocket:
		n.dropSocket("")
	case doWait:
		n.set(&n.retry, func() { n.dispatch(event{kind: evDue}) }, f.wait)
	case doStopWaiting:
		n.set(&n.retry, nil, 0)
	case doProbe:
		n.heartbeat(probeWithin)
	}
}

func (n *connection) fetchToken(fresh bool) {
	n.generation++
	generation := n.generation
	then := func(token string, err error) {
		switch {
		case generation != n.generation:
		case err != nil:
			n.dispatch(event{kind: evTokenFailed, err: err})
		default:
			n.token = token
			n.dispatch(event{kind: evToken})
		}
	}
	if fresh {
		n.c.tokens.fresh(true, then)
	} else {
		n.c.tokens.get(then)
	}
}

// tokenFailed hears that a token could not be had, for whatever it was wanted.
func (n *connection) tokenFailed(err error) { n.dispatch(event{kind: evTokenFailed, err: err}) }

// address is that of the newest attempt; of the first before there was one.
func (n *connection) address() string {
	return n.c.addresses[max(n.attempts-1, 0)%len(n.c.addresses)]
}

func (n *connection) openSocket() {
	n.generation++
	generation := n.generation
	n.attempts++
	address := n.address()
	s, ctx := newSocket(n.c.ctx)
	n.socket = s
	n.set(&n.opening, func() { n.giveUp("the server did not answer") }, openWithin)
	// Runs with the lock, while the socket is the current one.
	current := func(act func()) {
		n.c.mu.Lock()
		defer n.c.mu.Unlock()
		if generation == n.generation {
			act()
		}
	}
	dialer := n.c.opts.dialer(n.token)
	n.c.wg.Go(func() {
		s.run(ctx, &dialer, address, socketHandler{
			// Open counts from the server's first frame on: a refusal comes as a close
			// right behind the upgrade (C1).
			opened: func() { current(func() { n.heartbeat(answerWithin) }) },
			heard:  func() { current(n.heard) },
			frame: func(isBinary bool, data []byte) {
				f, err := decodeFrame(isBinary, data)
				current(func() {
					n.heard()
					if err != nil {
						n.c.report("a frame was dropped", err)
						return
					}
					n.onFrame(&f)
				})
			},
			lost: func(code int, reason string) {
				current(func() {
					n.forgetSocket()
					n.dispatch(event{kind: evLost, code: code, reason: reason})
				})
			},
		})
	})
}

// heard notes that the server is there.
func (n *connection) heard() {
	n.set(&n.answer, nil, 0)
}

func (n *connection) onFrame(f *protocol.Frame) {
	if n.state.phase == opening {
		n.dispatch(event{kind: evOpened})
	}
	if f.Event != protocol.EventReply || f.Ref == "" {
		n.c.deliver(f)
		return
	}
	if f.Topic == protocol.TopicPhoenix {
		n.pong()
	}
	onReply := n.replies[f.Ref]
	delete(n.replies, f.Ref)
	if onReply == nil {
		return
	}
	r, err := decodeReply(f.Payload)
	if err != nil {
		n.c.report("a reply was dropped", err)
		return
	}
	onReply(r)
}

func (n *connection) forgetSocket() {
	n.generation++
	n.socket = nil
	n.set(&n.opening, nil, 0)
}

func (n *connection) dropSocket(reason string) {
	s := n.socket
	n.forgetSocket()
	if s != nil {
		s.close(ws.StatusNormalClosure, reason)
	}
}

// giveUp ends a socket that does not answer.
func (n *connection) giveUp(why string) {
	n.dropSocket("silent")
	n.dispatch(event{kind: evLost, code: int(ws.StatusAbnormalClosure), reason: why})
}

// ---- pushes

// nextRef is a ref that the next join may use for itself.
func (n *connection) nextRef() string {
	n.ref++
	return strconv.FormatUint(n.ref, 10)
}

// push sends a text frame while there is a connection. onReply may be nil; it is
// forgotten when the connection ends.
func (n *connection) push(joinRef, ref, topic, event string, payload []byte, onReply func(reply)) bool {
	if !n.isOpen() {
		return false
	}
	if onReply != nil {
		n.replies[ref] = onReply
	}
	n.socket.send(ws.OpText, encodeFrame(joinRef, ref, topic, event, payload))
	return true
}

// pushBinary is push for a broadcast of raw bytes.
func (n *connection) pushBinary(joinRef, ref, topic, event string, meta, payload []byte, onReply func(reply)) bool {
	if !n.isOpen() {
		return false
	}
	if onReply != nil {
		n.replies[ref] = onReply
	}
	n.socket.send(ws.OpBinary, protocol.EncodeBinaryPush(joinRef, ref, topic, event, meta, payload))
	return true
}

// isBehind says that the socket takes no more of what need not be sent.
func (n *connection) isBehind() bool { return n.socket == nil || n.socket.queued() > maxEphemeralQueue }

// ---- heartbeat

func (n *connection) scheduleBeat() {
	n.set(&n.beat, func() {
		n.heartbeat(answerWithin)
		n.scheduleBeat()
	}, heartbeatEvery)
}

func (n *connection) heartbeat(within time.Duration) {
	now := time.Now()
	n.beatSentAt = now
	n.socket.send(ws.OpText, encodeFrame("", n.nextRef(), protocol.TopicPhoenix, protocol.EventHeartbeat, []byte("{}")))
	if n.state.phase != open {
		return
	}
	// Whatever is heard stops this alarm. Another beat may bring it forward, and
	// never puts it off.
	due := now.Add(within)
	if n.answer != nil && !n.answerDueAt.After(due) {
		return
	}
	n.answerDueAt = due
	n.set(&n.answer, func() { n.giveUp("the server has been silent for " + within.String()) }, within)
}

func (n *connection) pong() {
	if n.beatSentAt.IsZero() {
		return
	}
	n.latency = max(time.Since(n.beatSentAt), 1)
	n.beatSentAt = time.Time{}
	n.changed.ring()
}

// ---- token

// scheduleRefresh plans the next refresh of the token: after d, or when d is 0 at
// the time that the token itself says.
func (n *connection) scheduleRefresh(d time.Duration) {
	if d == 0 {
		at := n.c.tokens.held.refreshAt
		if at.IsZero() {
			n.set(&n.refresh, nil, 0)
			return
		}
		d = max(tokenLeast, time.Until(at))
	}
	n.set(&n.refresh, n.refreshToken, d)
}

// refreshToken replaces the token while the connection stands. Channels hear of
// the new one from Client.tokenRenewed.
func (n *connection) refreshToken() {
	generation := n.generation
	n.c.tokens.fresh(false, func(_ string, err error) {
		switch {
		case generation != n.generation || !n.isOpen():
		case err == nil:
			n.scheduleRefresh(0)
		case isFinal(err) && n.c.tokens.held.isExpired(time.Now()):
			n.tokenFailed(err)
		default:
			n.c.report("the token was not refreshed", err)
			n.scheduleRefresh(tokenRetry)
		}
	})
}

// ---- what is shown

func (n *connection) status() Status {
	s := n.state
	out := Status{Attempt: s.trail.attempt, Latency: n.latency}
	if s.reason != nil {
		out.Err = s.reason
	}
	switch s.phase {
	case idle:
		out.State = Idle
	case open:
		out.State = Connected
	case fetching, opening, waiting:
		out.State, out.RetryAt = Connecting, s.until
		if s.trail.wasOpen || s.trail.attempt > 1 {
			out.State = Reconnecting
		}
	case needsAuth:
		out.State = NeedsAuth
	case failed:
		out.State = Failed
	default:
		out.State, out.Err = Closed, ErrClosed
	}
	return out
}
