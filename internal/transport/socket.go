package transport

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// link carries the bytes of one socket. Its methods are called with the socket's
// lock held, and none of them waits.
type link interface {
	// writeNow writes what the kernel takes at once, which may be nothing.
	writeNow(b []byte) (n int, err error)
	// drainLater sees to it that the queue is written as the kernel takes more.
	// It is called when a queue begins.
	drainLater(s *socket)
	// linger cuts the link after lingerFor.
	linger()
	// cut ends it: who reads sees the end.
	cut()
}

// socket is one WebSocket, server side. It implements session.Conn.
type socket struct {
	link  link
	terms *terms

	lastRead atomic.Int64 // Unix ms of the newest byte from the client

	mu      sync.Mutex // guards the following
	backlog *backlog   // nil when the kernel has taken everything
	closing bool       // a close frame was sent or queued: nothing may follow
	cause   int        // the code it was closed with
}

// terms are what all sockets of a server have in common.
type terms struct {
	maxQueue int              // bytes that may wait for one socket
	maxFrame int              // bytes of a message
	now      func() time.Time // of the sweep that looks at progress
}

// backlog is what the kernel did not take yet, while the link empties it. Most
// sockets never have one.
type backlog struct {
	queue    [][]byte // in order
	queued   int      // bytes in queue, and being written by flush
	grace    int      // of these, what was let in whatever its size; see writeLocked
	progress int64    // Unix ms of the newest byte that the kernel took meanwhile
}

func (s *socket) init(l link, t *terms) {
	s.link, s.terms = l, t
	s.lastRead.Store(t.now().UnixMilli())
}

// Send implements session.Conn.
func (s *socket) Send(frames ...protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	if s.backlog != nil {
		s.enqueueLocked(frames)
		return
	}
	if len(frames) == 1 {
		s.writeLocked(frames[0].Wire())
		return
	}
	s.writeAllLocked(frames)
}

// writeAllLocked writes to a socket with an empty queue: small frames in pieces
// that are put together, large ones as they are. To put all together would be a
// copy of a large collection, made by growing. What the kernel does not take is
// let in whatever its size, as writeLocked does it.
func (s *socket) writeAllLocked(frames []protocol.Message) {
	buf := buffers.Get().(*[]byte)
	out := (*buf)[:0]
	for i := range frames {
		wire := frames[i].Wire()
		if len(out) > 0 && len(out)+len(wire) > flushPiece {
			s.letInLocked(out, true)
			out = out[:0]
		}
		if len(wire) > flushPiece {
			s.letInLocked(frames[i].Kept().Wire(), false)
			continue
		}
		out = append(out, wire...)
	}
	if len(out) > 0 {
		s.letInLocked(out, true)
	}
	*buf = out[:0]
	buffers.Put(buf)
}

// letInLocked writes a part of a burst, or queues it behind the others. lent bytes
// are copied if they have to wait.
func (s *socket) letInLocked(wire []byte, lent bool) {
	switch {
	case s.closing:
		return
	case s.backlog == nil:
		s.writeLocked(wire)
		return
	case lent:
		wire = append([]byte(nil), wire...)
	}
	s.backlog.add(wire)
	s.backlog.grace += len(wire)
}

func (b *backlog) add(wire []byte) {
	b.queue = append(b.queue, wire)
	b.queued += len(wire)
}

// enqueueLocked adds frames behind those that wait, or closes the socket.
func (s *socket) enqueueLocked(frames []protocol.Message) {
	for i := range frames {
		if !s.queueLocked(frames[i].Kept().Wire()) {
			return
		}
	}
}

// queueLocked adds one frame behind those that wait; false when that is one too
// many, and the socket is closed.
func (s *socket) queueLocked(wire []byte) bool {
	if s.overLocked(len(wire)) {
		s.closeLocked(protocol.CloseSlowConsumer, "slow consumer: come back and resume")
		return false
	}
	s.backlog.add(wire)
	return true
}

// overLocked says whether more bytes are too much for what waits already.
func (s *socket) overLocked(more int) bool {
	return s.backlog.queued-s.backlog.grace+more > s.terms.maxQueue
}

// writeLocked writes to a socket with an empty queue, and queues what the
// kernel does not take. Whoever finds the queue empty is never too slow,
// however much it is: a client that loads a large collection is not behind.
func (s *socket) writeLocked(wire []byte) {
	n, err := s.link.writeNow(wire)
	if err != nil {
		s.failLocked()
		return
	}
	if n == len(wire) {
		return
	}
	rest := append([]byte(nil), wire[n:]...)
	s.backlog = &backlog{queue: [][]byte{rest}, queued: len(rest), grace: len(rest), progress: s.terms.now().UnixMilli()}
	s.link.drainLater(s)
}

// tookLocked notes that the link has taken so many bytes of what waits.
func (s *socket) tookLocked(size int) {
	b := s.backlog
	b.queued -= size
	b.grace = max(0, b.grace-size)
	b.progress = s.terms.now().UnixMilli()
}

// flushedLocked notes that the queue is empty, or given up.
func (s *socket) flushedLocked() {
	s.backlog = nil
	if s.closing {
		s.link.linger()
	}
}

// failLocked ends a socket that cannot be written: the reader sees it end.
func (s *socket) failLocked() {
	s.closing = true
	if s.backlog != nil {
		s.backlog.queue = nil // of which somebody may be writing the first
	}
	s.link.cut()
}

// Close implements session.Conn: a close frame, then a moment for the client to
// answer, so that it sees the code and not a reset.
func (s *socket) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(code, reason)
}

func (s *socket) closeLocked(code int, reason string) {
	if s.closing {
		return
	}
	s.closing, s.cause = true, code
	frame := closeWire(code, reason)
	if b := s.backlog; b != nil {
		if code == protocol.CloseSlowConsumer {
			// It would not read it in time anyway. But the first may be the rest of a
			// frame of which the kernel has the beginning.
			b.queue = b.queue[:min(1, len(b.queue))]
		}
		b.add(frame)
		s.link.linger()
		return
	}
	s.writeLocked(frame)
	if s.backlog == nil {
		s.link.linger()
	}
}

// lingerFor is how long a closed socket waits for the client's close frame.
const lingerFor = 2 * time.Second

// control sends a control frame that the transport itself has to send.
func (s *socket) control(op ws.OpCode, payload []byte) {
	wire := controlWire(op, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
	case s.backlog != nil && s.overLocked(len(wire)):
		// A ping of ours says nothing that a full queue does not; a client whose
		// pings are not to be answered in vain is one that does not read.
		if op == ws.OpPong {
			s.closeLocked(protocol.CloseSlowConsumer, "slow consumer: come back and resume")
		}
	case s.backlog != nil:
		s.backlog.add(wire)
	default:
		s.writeLocked(wire)
	}
}

func (s *socket) lastHeard() int64 { return s.lastRead.Load() }

// keepAlive pings.
func (s *socket) keepAlive(_ int64, ping bool) {
	if ping {
		s.control(ws.OpPing, nil)
	}
}

// stalled says since when (Unix ms) the kernel has taken nothing; 0 when
// nothing waits.
func (s *socket) stalled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backlog == nil {
		return 0
	}
	return s.backlog.progress
}

// sever cuts the socket without a word.
func (s *socket) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked()
}

func controlWire(op ws.OpCode, payload []byte) []byte {
	out := make([]byte, 2, 2+len(payload))
	out[0] = 0x80 | byte(op)
	out[1] = byte(len(payload)) // control payloads are at most 125 bytes
	return append(out, payload...)
}

func closeWire(code int, reason string) []byte {
	if len(reason) > 120 {
		reason = reason[:120]
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return controlWire(ws.OpClose, append(payload, reason...))
}

// buffers are borrowed for reading and for joining frames.
var buffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

const (
	readSize  = 16 << 10
	maxPooled = 256 << 10
)
