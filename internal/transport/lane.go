package transport

import (
	"sync/atomic"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// lane is one session's share of a socket. It implements session.Conn: to its
// session, and to the hub, it is a socket like any other.
//
// Send, Queue, Flush and Close may be called from any goroutine and never block.
type lane struct {
	lanes   *lanes
	number  uint32
	session *session.Session
	ticket  limit.Ticket // none for the first, whose place is the socket's

	heard atomic.Int64 // Unix ms of the newest frame from the client

	// Of the goroutine that reads.
	isFed, inBurst bool

	closed bool // nothing may follow; guarded by the socket's lock
}

// Send implements session.Conn. What waits has one queue for all lanes, and one bound:
// who does not read one of them reads none.
func (n *lane) Send(frames ...protocol.Message) {
	s := n.lanes.socket
	s.mu.Lock()
	if n.closed {
		s.mu.Unlock()
		return
	}
	s.sendLocked(n.number, frames)
}

// Queue implements session.Conn.
func (n *lane) Queue(frames ...protocol.Message) {
	s := n.lanes.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.closed {
		s.queueSharedLocked(n.number, frames)
	}
}

// Flush implements session.Conn.
func (n *lane) Flush() { n.lanes.socket.Flush() }

// Close implements session.Conn: the lane's own close, behind what was queued.
// The other lanes go on.
func (n *lane) Close(code int, reason string) {
	if n.end(protocol.EncodeLaneClose(n.number, code, reason)) {
		n.lanes.leaveLater(n)
		n.lanes.closeEmpty()
	}
}

// end sends the last frame of a lane; false when something else was the last.
func (n *lane) end(last protocol.Message) bool {
	s := n.lanes.socket
	s.mu.Lock()
	if n.closed || s.closing {
		s.mu.Unlock()
		return false
	}
	n.closed = true
	s.sendLocked(0, []protocol.Message{last})
	return true
}

func (n *lane) isClosed() bool {
	s := n.lanes.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.closed
}

// mute lets nothing follow: the client has ended the lane.
func (n *lane) mute() {
	s := n.lanes.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	n.closed = true
}

// leave ends the session, and gives its place among the connections back.
func (n *lane) leave() {
	n.session.Close()
	if n.number != 1 {
		n.lanes.server.leave(nil, n.ticket)
	}
}
