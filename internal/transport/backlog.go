package transport

import (
	"sync"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// backlog is what waits to be written to a socket: for the one who flushes it next, or
// for the kernel. Most sockets have none; it is guarded by the socket's lock.
type backlog struct {
	pieces []piece // in order; those before done are written
	done   int
	skip   int // bytes of the first that the kernel has
	flying int // how many are being written, see next

	letIn    int   // how many pieces waited when it came to be behind
	queued   int   // bytes that wait
	grace    int   // of these, what was let in whatever its size
	isBehind bool  // the kernel has once taken less than all since this was empty
	isStuck  bool  // the kernel takes no more, and will say when it does
	progress int64 // Unix ms of the newest byte that it took since it is behind
}

// piece is one frame that waits, or several that came together: then they are in a list
// that others share, and are not larger than flushPiece.
type piece struct {
	frame protocol.Message
	rest  []protocol.Message // behind it
	lane  uint32             // that they are to be carried in; 0 when there is none, or frame is in it
}

// flushPiece is what is written at once, unless a single frame is larger: 4 s of a link
// of 128 kbit/s.
const flushPiece = 64 << 10

func (p *piece) size() int {
	size := sizeIn(p.lane, &p.frame)
	for i := range p.rest {
		size += sizeIn(p.lane, &p.rest[i])
	}
	return size
}

func sizeIn(lane uint32, frame *protocol.Message) int {
	if lane != 0 {
		return frame.SizeInLane(lane)
	}
	return len(frame.Wire())
}

func (p *piece) append(dst []byte) []byte {
	dst = appendIn(dst, p.lane, &p.frame)
	for i := range p.rest {
		dst = appendIn(dst, p.lane, &p.rest[i])
	}
	return dst
}

func appendIn(dst []byte, lane uint32, frame *protocol.Message) []byte {
	if lane != 0 {
		return frame.AppendInLane(dst, lane)
	}
	return append(dst, frame.Wire()...)
}

// together makes a piece of as many frames as fit into one, and says how many these are.
func together(lane uint32, frames []protocol.Message) (p piece, size, n int) {
	size = sizeIn(lane, &frames[0])
	for n = 1; n < len(frames); n++ {
		next := sizeIn(lane, &frames[n])
		if size+next > flushPiece {
			break
		}
		size += next
	}
	return piece{frame: frames[0], rest: frames[1:n:n], lane: lane}, size, n
}

// backlogs are borrowed: a socket for which nothing waits has none.
var backlogs = sync.Pool{New: func() any { return new(backlog) }}

// backlogLocked is the socket's, made when there is none.
func (s *socket) backlogLocked() *backlog {
	if s.backlog == nil {
		s.backlog = backlogs.Get().(*backlog)
	}
	return s.backlog
}

// emptied makes a backlog of which nothing is left one for others.
func (b *backlog) emptied() *backlog {
	const most = 256 // more pieces than that are not kept room for
	pieces := b.pieces[:0]
	if cap(pieces) > most {
		pieces = nil
	}
	*b = backlog{pieces: pieces}
	return b
}

func (b *backlog) isEmpty() bool { return b.done == len(b.pieces) }

// waiting is how many pieces wait.
func (b *backlog) waiting() int { return len(b.pieces) - b.done }

// minPiece is what each piece counts for at least, in bytes, of the number of those that
// may wait: itself it has more.
const minPiece = 32

func (b *backlog) add(p piece, size int) {
	if len(b.pieces) == cap(b.pieces) && 2*b.done >= len(b.pieces) && b.done > 0 { // a socket may never be empty, and what was written is not kept
		left := copy(b.pieces, b.pieces[b.done:])
		clear(b.pieces[left:])
		b.pieces, b.done = b.pieces[:left], 0
	}
	b.pieces = append(b.pieces, p)
	b.queued += size
}

// putBack puts a piece in front of all others of which the kernel has the beginning.
func (b *backlog) putBack(p piece, written int) {
	b.pieces = append(b.pieces, piece{})
	copy(b.pieces[1:], b.pieces)
	b.pieces[0] = p
	b.skip = written
	b.queued += p.size() - written
}

// isLone says whether next needs no room.
func (b *backlog) isLone() bool {
	first := &b.pieces[b.done]
	return b.done+1 == len(b.pieces) && first.lane == 0 && len(first.rest) == 0
}

// next is what is to be written next: as many whole pieces as go into one write. A
// large piece, or a lone one, is written as it is; others are joined in room, which may
// grow. To join everything would be a copy of a large collection.
func (b *backlog) next(room *[]byte) []byte {
	first := &b.pieces[b.done]
	b.flying = 1
	if b.isLone() {
		return first.frame.Wire()[b.skip:]
	}
	if size := first.size(); size > flushPiece { // so it is one frame
		if first.lane != 0 { // made once, however often it is gone on with
			*first = piece{frame: protocol.Framed(first.append(make([]byte, 0, size)))}
		}
		return first.frame.Wire()[b.skip:]
	}
	out := first.append((*room)[:0])
	for i := b.done + 1; i < len(b.pieces); i++ {
		p := &b.pieces[i]
		if len(out)+p.size() > flushPiece {
			break
		}
		out = p.append(out)
		b.flying++
	}
	*room = out
	return out[b.skip:]
}

// took takes what the kernel has taken of it off.
func (b *backlog) took(n int, now func() time.Time) {
	if n == 0 {
		return
	}
	if b.isBehind {
		b.progress = now().UnixMilli()
	}
	b.queued -= n
	b.grace = max(0, b.grace-n)
	b.skip += n
	for !b.isEmpty() {
		first := &b.pieces[b.done]
		size := first.size()
		if b.skip < size {
			return
		}
		*first = piece{} // its bytes need not live as long as the list
		b.skip -= size
		b.done++
		b.flying--
	}
	b.pieces, b.done = b.pieces[:0], 0
}

// tookAll is took for all that next has returned.
func (b *backlog) tookAll(n int, now func() time.Time) {
	if b.isBehind {
		b.progress = now().UnixMilli()
	}
	b.queued -= n
	b.grace = max(0, b.grace-n)
	clear(b.pieces[b.done : b.done+b.flying])
	b.done += b.flying
	b.skip, b.flying = 0, 0
	if b.isEmpty() {
		b.pieces, b.done = b.pieces[:0], 0
	}
}

// cutShort drops all but the frames of which the kernel may have the beginning.
func (b *backlog) cutShort() {
	keep := b.flying
	if b.skip > 0 {
		keep = max(keep, 1)
	}
	for i := b.done + keep; i < len(b.pieces); i++ {
		b.queued -= b.pieces[i].size()
		b.pieces[i] = piece{}
	}
	b.pieces = b.pieces[:b.done+keep]
	b.grace = min(b.grace, b.queued)
}
