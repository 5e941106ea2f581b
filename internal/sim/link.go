package sim

import (
	"sync"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// maxQueue is how many bytes may wait for a client that does not read. Small, so
// that slow readers are met often.
const maxQueue = 24 << 10

// socketBuffer is how many bytes a socket takes at once although nobody reads:
// who has no more than that to read is not behind.
const socketBuffer = 4 << 10

// link is one socket: two streams, each in order, as slow and as lossy as the
// world wants. It is the session's Conn, with the rules of package transport:
// who is not behind takes anything, who is behind is bounded and cut.
type link struct {
	world  *World
	number int
	client *client
	server *server
	sess   *session.Session

	up      [][]byte // from the client, not handed to the session yet
	gone    bool     // the client has turned away
	stalled bool     // the client does not read
	busy    bool     // the session handles a frame
	ended   bool     // the session is closed, or about to be

	mu      sync.Mutex // guards the following
	down    [][]byte   // to the client, not read yet
	queued  int        // bytes of these
	grace   int        // of them, what was taken whatever its size
	closing bool       // the server has said its last
	code    int        // of the close frame; 0 for a socket that just broke
}

// Send implements session.Conn.
func (l *link) Send(frames ...protocol.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.server.seam.dead {
		return
	}
	free := l.queued <= socketBuffer
	for _, f := range frames {
		size := len(f.Payload())
		if !free && l.queued-l.grace+size > maxQueue && !l.world.options.Faults.Unbounded {
			l.closing, l.code = true, protocol.CloseSlowConsumer
			return
		}
		l.down = append(l.down, f.Kept().Payload())
		l.queued += size
		if free {
			l.grace += size
		}
	}
	if l.queued-l.grace > maxQueue {
		l.world.fail("[R7] %d bytes wait for client %s", l.queued-l.grace, l.client.sub)
	}
}

// Queue implements session.Conn. The world decides when what is on its way arrives.
func (l *link) Queue(frames ...protocol.Message) { l.Send(frames...) }

// Flush implements session.Conn.
func (l *link) Flush() {}

// Close implements session.Conn.
func (l *link) Close(code int, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.closing, l.code = true, code
	}
}

// isClosing says whether the server has said its last.
func (l *link) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// take takes the oldest frames to the client, at most count.
func (l *link) take(count int) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := l.down[:min(count, len(l.down))]
	for _, f := range frames {
		l.queued -= len(f)
		l.grace = max(0, l.grace-len(f))
	}
	l.down = l.down[len(frames):]
	return frames
}

// waiting is the number of frames on their way to the client.
func (l *link) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.down)
}

// cut loses what is on its way to the client.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.queued, l.grace = nil, 0, 0
	l.closing = true
}
