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
// Send and Close may be called from any goroutine and never block.
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

// Send implements session.Conn. What the kernel does not take waits in the
// socket's queue, whose bound is for all lanes: who does not read one of them
// reads none.
func (n *lane) Send(frames ...protocol.Message) {
	s := n.lanes.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.closed || s.closing:
	case s.backlog != nil:
		n.enqueueLocked(s, frames)
	default:
		n.writeLocked(s, frames)
	}
}

// enqueueLocked adds frames behind those that wait. They are copied whole: when
// the queue is cut off, what is left of it must end with a frame.
func (n *lane) enqueueLocked(s *socket, frames []protocol.Message) {
	for i := range frames {
		if !s.queueLocked(n.wire(nil, frames[i])) {
			return
		}
	}
}

// writeLocked writes to a socket with an empty queue: small frames put together,
// large ones alone.
func (n *lane) writeLocked(s *socket, frames []protocol.Message) {
	buf := buffers.Get().(*[]byte)
	out := (*buf)[:0]
	for i := range frames {
		size := len(frames[i].Payload())
		if len(out) > 0 && len(out)+size > flushPiece {
			s.letInLocked(out, true)
			out = out[:0]
		}
		if size > flushPiece {
			s.letInLocked(n.wire(make([]byte, 0, size+maxLaneHead), frames[i]), false)
			continue
		}
		out = n.wire(out, frames[i])
	}
	if len(out) > 0 {
		s.letInLocked(out, true)
	}
	*buf = out[:0]
	buffers.Put(buf)
}

// maxLaneHead is the longest header of an unmasked WebSocket frame, and the number.
const maxLaneHead = 10 + protocol.LaneHeadroom

func (n *lane) wire(dst []byte, m protocol.Message) []byte { return m.AppendInLane(dst, n.number) }

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
	defer s.mu.Unlock()
	if n.closed || s.closing {
		return false
	}
	n.closed = true
	if s.backlog != nil {
		s.queueLocked(last.Wire())
	} else {
		s.writeLocked(last.Wire())
	}
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
