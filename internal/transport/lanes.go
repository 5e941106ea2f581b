package transport

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// lanes are the sessions that share one socket (W1 to W5), such as the tabs of a
// browser. They are the socket's user: its frames are handed to the session of
// their lane, and what is done to all of them is done in one call.
//
// What reads the socket calls Receive, Pause, BeginBurst and EndBurst; the others
// may be called from any goroutine.
type lanes struct {
	server  *Server
	socket  *socket
	version protocol.Version
	address netip.Addr // where the socket comes from, for the limits

	leaving sync.WaitGroup // sessions of lanes that were closed from here

	mu     sync.Mutex // guards the following
	open   map[uint32]*lane
	newest uint32
	ended  bool

	// Of the goroutine that reads.
	isBurst bool
	fed     []*lane       // which this read has brought frames to, each once
	opens   limit.Bucket  // lanes that were asked for
	pause   time.Duration // owed for those beyond what a browser needs
	broken  bool          // the client does not keep to W2: what it sends is not looked at
}

// newLanes opens the first lane, with the token of the handshake. The place that
// it takes among the connections is the socket's, and is kept as long as that.
func newLanes(s *Server, sock *socket, h *handshake) *lanes {
	l := &lanes{server: s, socket: sock, version: h.version, address: h.address, open: make(map[uint32]*lane)}
	l.begin(1, h.token, limit.Ticket{})
	return l
}

// Receive implements Receiver: one frame of the socket.
func (l *lanes) Receive(isBinary bool, data []byte) {
	if l.broken {
		return
	}
	f, err := protocol.DecodeLane(data, isBinary)
	if err != nil {
		l.fault(closeProtocol, err.Error())
		return
	}
	n, newest := l.find(f.Lane)
	switch {
	case f.Verb == protocol.LaneOpen && f.Lane <= newest:
		l.fault(closeProtocol, fmt.Sprintf("lanes are opened with rising numbers, and %d comes behind %d", f.Lane, newest))
	case f.Verb == protocol.LaneOpen:
		l.admit(f.Lane, string(f.Body))
	case f.Lane > newest:
		l.fault(closeProtocol, fmt.Sprintf("lane %d was never opened", f.Lane))
	case n == nil: // has ended, which the client may not have heard yet
	case f.Verb == protocol.LaneClose:
		n.mute()
		if l.take(n) {
			n.leave()
		}
		l.closeEmpty()
	default:
		l.carry(n, isBinary, f.Body)
	}
}

// carry hands a frame to the session of its lane.
func (l *lanes) carry(n *lane, isBinary bool, frame []byte) {
	if bound := l.server.limits.Settings().FrameBytes; len(frame) > bound {
		l.server.opts.Deps.Metrics.Limited(string(limit.Frame))
		l.fault(protocol.CloseTooLarge, fmt.Sprintf("a frame is larger than %d bytes", bound))
		return
	}
	n.heard.Store(l.server.nowMs())
	if !n.isFed {
		n.isFed = true
		l.fed = append(l.fed, n)
	}
	if l.isBurst && !n.inBurst {
		n.inBurst = true
		n.session.BeginBurst()
	}
	n.session.Receive(isBinary, frame)
}

// fault closes the socket of a client that does not keep to its wire, behind the
// answers to what came before.
func (l *lanes) fault(code int, reason string) {
	l.broken = true
	l.EndBurst()
	l.socket.Close(code, reason)
}

// openRate is for people who open tabs, and for all of them that come back at
// once. Beyond it each lane makes reading slower, because its token has to be checked.
func openRate() limit.Rate { return limit.Rate{PerSecond: 10, Burst: 4 * protocol.MaxLanes} }

const pausePerOpen = 10 * time.Millisecond

// admit opens a lane if its token is good and there is room, as for a connection.
func (l *lanes) admit(number uint32, token string) {
	if l.opens.Take(l.server.opts.Deps.Now().UnixNano(), openRate(), 1) > 0 {
		l.pause = min(l.pause+pausePerOpen, time.Second)
	}
	if l.isFull() {
		l.refuse(number, protocol.CloseTooMany, fmt.Sprintf("a shared socket has at most %d lanes", protocol.MaxLanes))
		return
	}
	ticket, refused := l.server.admit(token, l.address)
	if refused != nil {
		l.refuse(number, refused.code, refused.text)
		return
	}
	l.server.enter()
	l.begin(number, token, ticket)
}

func (l *lanes) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open) >= protocol.MaxLanes
}

// refuse says why a lane is not opened. Its number is spent.
func (l *lanes) refuse(number uint32, code int, reason string) {
	l.mu.Lock()
	l.newest = number
	l.mu.Unlock()
	l.socket.Send(protocol.EncodeLaneClose(number, code, reason))
	l.closeEmpty()
}

// begin opens a lane that was admitted.
func (l *lanes) begin(number uint32, token string, ticket limit.Ticket) {
	n := &lane{lanes: l, number: number, ticket: ticket}
	n.heard.Store(l.server.nowMs())
	n.session = session.New(l.server.opts.Deps, n, l.version, token)
	l.mu.Lock()
	l.newest = number
	l.open[number] = n
	l.mu.Unlock()
	if n.isClosed() { // its token was revoked meanwhile, when it was none of those that are left
		l.leaveLater(n)
		l.closeEmpty()
	}
}

func (l *lanes) find(number uint32) (n *lane, newest uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[number], l.newest
}

// take takes a lane off the open ones, for whoever ends it: true for one caller.
func (l *lanes) take(n *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[n.number] != n {
		return false
	}
	delete(l.open, n.number)
	return true
}

// closeEmpty closes a socket without lanes (W5).
func (l *lanes) closeEmpty() {
	l.mu.Lock()
	isEmpty := len(l.open) == 0
	l.mu.Unlock()
	if isEmpty {
		l.socket.Close(protocol.CloseNormal, "no lane is left")
	}
}

func (l *lanes) all() []*lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*lane, 0, len(l.open))
	for _, n := range l.open {
		out = append(out, n)
	}
	return out
}

// BeginBurst implements burster.
func (l *lanes) BeginBurst() { l.isBurst = true }

// EndBurst implements burster.
func (l *lanes) EndBurst() {
	l.isBurst = false
	for _, n := range l.fed {
		if n.inBurst {
			n.inBurst = false
			n.session.EndBurst()
		}
	}
}

// Pause implements pacer: the longest that one of the lanes asks for. They have
// one socket, so who floods it makes the others slower as well.
func (l *lanes) Pause() time.Duration {
	pause := l.pause
	l.pause = 0
	for i, n := range l.fed {
		n.isFed = false
		pause = max(pause, n.session.Pause())
		l.fed[i] = nil
	}
	l.fed = l.fed[:0]
	return pause
}

// laneIdleTimes is for how many times longer than a socket a lane may be silent.
// The pongs that a browser gives by itself are the socket's; a lane has the
// heartbeats of its page, whose timers run once a minute while it is hidden.
const laneIdleTimes = 3

// closeIdle closes lanes on which nothing arrives: the tab has gone, and the one that
// holds the socket does not know it (W4). It says when (Unix ms) that may be so next.
func (l *lanes) closeIdle(now int64) (next int64) {
	patience := laneIdleTimes * l.server.opts.IdleAfter.Milliseconds()
	next = now + patience
	var idle []*lane
	l.mu.Lock()
	for _, n := range l.open {
		if at := n.heard.Load() + patience; at > now {
			next = min(next, at)
		} else {
			idle = append(idle, n)
		}
	}
	l.mu.Unlock()
	for _, n := range idle {
		n.Close(protocol.CloseIdle, "idle: nothing arrived for three minutes")
	}
	return next
}

// Announce implements user: to all at once, because any may wait for the engine.
func (l *lanes) Announce() {
	var all sync.WaitGroup
	for _, n := range l.all() {
		all.Go(n.session.Announce)
	}
	all.Wait()
}

// Cancel implements user.
func (l *lanes) Cancel() {
	for _, n := range l.all() {
		n.session.Cancel()
	}
}

// Close implements user: the socket has ended, and its lanes with it.
func (l *lanes) Close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	for _, n := range l.all() {
		if l.take(n) {
			n.leave()
		}
	}
	l.leaving.Wait()
}

// leaveLater ends the session of a lane that was closed by whoever calls, who may
// hold that session.
func (l *lanes) leaveLater(n *lane) {
	l.mu.Lock()
	if l.open[n.number] != n || l.ended { // somebody else does
		l.mu.Unlock()
		return
	}
	delete(l.open, n.number)
	l.leaving.Go(n.leave)
	l.mu.Unlock()
}
