package transport

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// link carries the bytes of one socket. None of its methods waits. But for write and rest
// they are called with the socket's lock held.
type link interface {
	// write writes what the kernel takes at once, which may be nothing. It is called by
	// one goroutine at a time, with nothing locked, and may find that the link has ended.
	write(b []byte) (n int, err error)
	// drainLater sees to it that the socket's drain is called, or what waits is written,
	// when the kernel takes more. It is called when it takes no more.
	drainLater(s *socket)
	// linger cuts the link after lingerFor.
	linger()
	// cut ends it: who reads sees the end.
	cut()
	// rest is called now and then by who writes to many, with nothing locked of the
	// socket's: others may have their turn.
	rest()
	// release gives back what the link has of the system's, behind its end.
	release()
}

// socket is one WebSocket, server side. It implements session.Conn.
//
// Its lock is not held while anything is written: what is to be sent is queued under
// it, and written by whoever finds that nobody else does. Who comes meanwhile has his
// frames written by that one, and goes on.
type socket struct {
	link  link
	terms *terms

	lastRead atomic.Int64 // Unix ms of the newest byte from the client
	seat

	mu      sync.Mutex // guards the following
	backlog *backlog   // nil when the kernel has taken everything
	writing bool       // somebody is writing, and looks here when that is done
	retry   bool       // the kernel took more while somebody was writing
	closing bool       // a close frame was sent or queued: nothing may follow
	ended   bool       // the link is not there any more
	cause   uint16     // the code it was closed with
}

// terms are what all sockets of a server have in common.
type terms struct {
	maxQueue  int              // bytes that may wait for one socket
	maxFrame  int              // bytes of a message
	pingEvery time.Duration    // of silence
	now       func() time.Time // of the deadlines, one of which is for progress
}

func (s *socket) init(l link, t *terms) {
	s.link, s.terms = l, t
	s.lastRead.Store(t.now().UnixMilli())
}

// Send implements session.Conn.
func (s *socket) Send(frames ...protocol.Message) {
	s.mu.Lock()
	s.sendLocked(0, frames)
}

// Queue implements session.Conn.
func (s *socket) Queue(frames ...protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queueSharedLocked(0, frames)
}

// Flush implements session.Conn.
func (s *socket) Flush() {
	s.mu.Lock()
	if s.flushLocked() {
		s.link.rest()
	}
}

// sendLocked writes frames of a lane, 0 for a socket without, behind what waits. A lone
// one for which nothing has to wait is not queued, so that lent bytes are not copied.
// The socket is locked when it is called, and not when it returns.
func (s *socket) sendLocked(lane uint32, frames []protocol.Message) {
	if s.closing || s.writing || s.backlog != nil || len(frames) != 1 {
		s.queueLocked(lane, frames)
		s.flushLocked()
		return
	}
	alone := piece{frame: frames[0], lane: lane}
	wire := alone.frame.Wire()
	if lane != 0 {
		buf := buffers.Get().(*[]byte)
		defer giveBack(buf)
		*buf = alone.append((*buf)[:0])
		wire = *buf
	}
	n, err := s.writeLocked(wire)
	switch {
	case err != nil:
		s.failLocked()
	case n < len(wire) && s.ended:
		s.backlog = nil
	case n < len(wire) && !s.hasFailedLocked():
		alone.frame = alone.frame.Kept()
		s.backlogLocked().putBack(alone, n)
		s.stuckLocked()
	}
	s.flushBehindLocked(true)
}

// queueLocked adds frames behind those that wait. While the kernel takes no more their
// number has a bound, beyond which the socket is closed; who is not behind is never too
// slow, however much it is: a client that loads a large collection is not.
func (s *socket) queueLocked(lane uint32, frames []protocol.Message) {
	for i := range frames {
		p := piece{frame: frames[i].Kept(), lane: lane}
		s.addLocked(p, p.size())
	}
}

func (s *socket) addLocked(p piece, size int) {
	switch {
	case s.closing:
	case s.isFullLocked(size):
		s.closeLocked(protocol.CloseSlowConsumer, "slow consumer: come back and resume")
	default:
		s.backlogLocked().add(p, size)
	}
}

// queueSharedLocked is queueLocked for a list that does not change any more.
func (s *socket) queueSharedLocked(lane uint32, frames []protocol.Message) {
	for len(frames) > 0 && !s.closing {
		p, size, n := together(lane, frames)
		s.addLocked(p, size)
		frames = frames[n:]
	}
}

// isFullLocked says whether more bytes are too much for what waits already.
func (s *socket) isFullLocked(more int) bool {
	b := s.backlog
	return b != nil && b.isBehind && (b.queued-b.grace+more > s.terms.maxQueue || b.waiting() > max(s.terms.maxQueue/minPiece, 2*b.letIn))
}

// drain is Flush for a kernel that takes more.
func (s *socket) drain() {
	s.mu.Lock()
	if s.backlog != nil {
		s.backlog.isStuck = false
	}
	s.retry = true // if somebody has just been told that it does not
	s.flushLocked()
}

// flushLocked writes what waits, unless somebody is at it or the kernel takes no more,
// and says whether there was something. The socket is locked when it is called, and not
// when it returns.
func (s *socket) flushLocked() (wrote bool) { return s.flushBehindLocked(false) }

// flushBehindLocked is flushLocked for who may have written before. To who has, a
// socket belongs that ends meanwhile: he writes what waits, as a close frame does, as
// far as the kernel takes it at once, and gives back what was kept for him.
func (s *socket) flushBehindLocked(wrote bool) bool {
	var room *[]byte
	for !s.writing && (wrote || !s.ended) && s.backlog != nil && !s.backlog.isStuck {
		b := s.backlog
		if room == nil && !b.isLone() {
			room = buffers.Get().(*[]byte)
		}
		out := b.next(room)
		n, err := s.writeLocked(out)
		wrote = true
		switch {
		case err != nil:
			s.failLocked()
		case s.backlog != b: // it was given up meanwhile
		case n == len(out):
			if b.tookAll(n, s.terms.now); b.isEmpty() {
				s.emptyLocked()
			}
		case s.ended:
			s.backlog = nil
		default:
			b.took(n, s.terms.now)
			b.flying = 0
			s.stuckLocked()
		}
	}
	if wrote && s.ended && !s.writing {
		s.link.release()
	}
	s.mu.Unlock()
	if room != nil {
		giveBack(room)
	}
	return wrote
}

// writeLocked unlocks the socket for a write.
func (s *socket) writeLocked(b []byte) (n int, err error) {
	s.writing, s.retry = true, false
	s.mu.Unlock()
	n, err = s.link.write(b)
	s.mu.Lock()
	s.writing = false
	return n, err
}

// endLocked is for the end of the link: what it has of the system's is given back now,
// or by who is writing.
func (s *socket) endLocked() {
	s.closing, s.ended = true, true
	if s.writing {
		return
	}
	s.backlog = nil
	s.link.release()
}

// awaitWriter waits until nobody writes, which is some microseconds. Who waits for the
// kernel is not waited for.
func (s *socket) awaitWriter() {
	isWritten := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.writing && (s.backlog == nil || !s.backlog.isStuck)
	}
	for isWritten() {
		runtime.Gosched()
	}
}

// hasFailedLocked says whether a socket has failed while it was written: one that is
// closed has its close frame waiting.
func (s *socket) hasFailedLocked() bool { return s.closing && s.backlog == nil }

// stuckLocked notes that the kernel takes no more, unless it has said otherwise since.
func (s *socket) stuckLocked() {
	b := s.backlog
	if !b.isBehind {
		b.isBehind, b.grace, b.letIn, b.progress = true, b.queued, b.waiting(), s.terms.now().UnixMilli()
	}
	if s.retry {
		return
	}
	b.isStuck = true
	if s.closing {
		s.link.linger()
	}
	s.link.drainLater(s)
}

// emptyLocked notes that nothing waits any more.
func (s *socket) emptyLocked() {
	backlogs.Put(s.backlog.emptied())
	s.backlog = nil
	if s.closing {
		s.link.linger()
	}
}

// failLocked ends a socket that cannot be written: the reader sees it end.
func (s *socket) failLocked() {
	s.closing, s.backlog = true, nil
	s.link.cut()
}

// Close implements session.Conn: a close frame, then a moment for the client to
// answer, so that it sees the code and not a reset.
func (s *socket) Close(code int, reason string) {
	s.mu.Lock()
	s.closeLocked(code, reason)
	s.flushLocked()
}

// closeLocked queues the last frame.
func (s *socket) closeLocked(code int, reason string) {
	if s.closing {
		return
	}
	s.closing, s.cause = true, uint16(code)
	b := s.backlogLocked()
	if code == protocol.CloseSlowConsumer {
		b.cutShort() // it would not read it in time anyway
	}
	wire := closeWire(code, reason)
	b.add(piece{frame: protocol.Framed(wire)}, len(wire))
	if b.isStuck {
		s.link.linger()
	}
}

// lingerFor is how long a closed socket waits for the client's close frame.
const lingerFor = 2 * time.Second

// control sends a control frame that the transport itself has to send.
func (s *socket) control(op ws.OpCode, payload []byte) {
	s.sendControl(op, protocol.Framed(controlWire(op, payload)))
}

func (s *socket) sendControl(op ws.OpCode, frame protocol.Message) {
	s.mu.Lock()
	// A ping of ours says nothing that a full queue does not; a client whose pings are
	// not to be answered in vain is one that does not read.
	if op == ws.OpPong || !s.isFullLocked(len(frame.Wire())) {
		s.queueLocked(0, []protocol.Message{frame})
	}
	s.flushLocked()
}

func (s *socket) lastHeard() int64 { return s.lastRead.Load() }

func (s *socket) silence() (since, patience int64) {
	return s.lastRead.Load(), s.terms.pingEvery.Milliseconds()
}

// pingFrame has no payload, so that all share it.
var pingFrame = protocol.Framed(controlWire(ws.OpPing, nil))

// keepAlive pings, unless something has been heard meanwhile.
func (s *socket) keepAlive(now int64) {
	if now-s.lastRead.Load() >= s.terms.pingEvery.Milliseconds() {
		s.sendControl(ws.OpPing, pingFrame)
	}
}

// stalled says since when (Unix ms) the kernel has taken nothing; 0 when nothing waits
// for it.
func (s *socket) stalled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backlog == nil || !s.backlog.isBehind {
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

func giveBack(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		*buf = (*buf)[:readSize]
		buffers.Put(buf)
	}
}

const (
	readSize  = 16 << 10
	maxPooled = 256 << 10
)
