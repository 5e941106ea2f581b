package hub

import (
	"cmp"
	"slices"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// maxHeld bounds the frames kept for a member in catch-up. Reading the past
// takes milliseconds; who needs longer is better served by resuming.
const maxHeld = 4096

// Member is one session's membership of one channel.
type Member struct {
	channel *Channel
	sink    Sink
	opts    Options // Presence may be switched on later, see WatchPresence

	mu         sync.Mutex // guards the following
	gone       bool
	answering  bool               // see Expect
	unanswered []protocol.Message // what its own write did, and what came behind that
	catchUp    *catchUp           // nil after GoLive
	turn       uint64             // the channel's when its sink was last due to be flushed
	seen       *Seen              // after GoLive: what may still be delivered of the past; nil once all of it has been
}

// catchUp is what a member holds between Join and GoLive.
type catchUp struct {
	presence []byte // presence_state of the moment of joining; nil when it takes no part
	held     []heldFrame
	overrun  bool // it cannot go on from what is held
}

type heldFrame struct {
	offset     uint64
	collection string // "" for messages
	message    protocol.Message
}

// stale says whether a live frame is part of the past that the member was told.
// What is committed can be read before it is delivered, so such frames may come
// after GoLive.
func (m *Member) stale(f *frame) bool {
	h := heldFrame{offset: f.offset(), collection: f.collection}
	if m.seen.has(&h) {
		return true
	}
	if h.offset >= m.seen.end() {
		m.seen = nil
	}
	return false
}

// Seen says how far the past goes that a member has been told.
type Seen struct {
	Messages    uint64            // offset up to which it has the messages
	Collections map[string]uint64 // offset up to which it has each collection's records
}

// end is the offset behind which nothing is part of it.
func (s Seen) end() uint64 {
	end := s.Messages
	for _, offset := range s.Collections {
		end = max(end, offset)
	}
	return end
}

func (s Seen) has(h *heldFrame) bool {
	switch {
	case h.offset == 0: // presence, or ephemeral
		return false
	case h.collection != "":
		return h.offset <= s.Collections[h.collection]
	}
	return h.offset <= s.Messages
}

// Log is the channel's name in the engine, made once for all members.
func (m *Member) Log() string { return m.channel.log }

// PresenceState is the presence_state payload of the moment of joining; nil
// when the member does not take part. It is forgotten by GoLive.
func (m *Member) PresenceState() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.catchUp == nil {
		return nil
	}
	return m.catchUp.presence
}

// deliver hands frames over and returns how many, and whether the sink is due to be
// flushed now, and was not yet in this turn of the channel.
func (m *Member) deliver(b *batch) (n int, isDue bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return 0, false
	}
	out := b.scratch[:0]
	for i := range b.frames {
		f := &b.frames[i]
		if !f.wanted(&m.opts) {
			continue
		}
		msg := f.message(m.opts.Version)
		if msg.Empty() {
			continue
		}
		if m.catchUp != nil {
			m.catchUp.hold(heldFrame{f.offset(), f.collection, msg})
			continue
		}
		if m.seen != nil && m.stale(f) {
			continue
		}
		out = append(out, msg)
	}
	b.scratch = out
	switch {
	case len(out) == 0:
	case m.answering && (len(m.unanswered) > 0 || m.wrote(b.frames)):
		m.unanswered = append(m.unanswered, out...)
	default:
		if len(out) > 1 {
			m.sink.Queue(b.shared(m.opts.Version, out)...)
		} else {
			m.sink.Queue(out...)
		}
		isDue = m.turn != b.turn
		m.turn = b.turn
	}
	return len(out), isDue
}

// wrote says whether one of the frames is the member's own.
func (m *Member) wrote(frames []frame) bool {
	for i := range frames {
		if e := frames[i].entry; e != nil && m.opts.wrote(e) {
			return true
		}
	}
	return false
}

func (o *Options) wrote(e *engine.Entry) bool { return e.Origin != "" && e.Origin == o.Origin }

// getsOwn says whether an entry is the member's own, and one that it may be handed.
func (o *Options) getsOwn(e *engine.Entry) bool {
	return o.wrote(e) && (o.Self || e.Kind == engine.KindChange)
}

func (c *catchUp) hold(h heldFrame) {
	if len(c.held) >= maxHeld {
		c.overrun = true
		return
	}
	c.held = append(c.held, h)
}

// breakOff tells a member that it cannot go on from what it has. One in catch-up
// is told by GoLive.
func (m *Member) breakOff() {
	m.mu.Lock()
	live := m.catchUp == nil && !m.gone
	if m.catchUp != nil {
		m.catchUp.overrun = true
	}
	m.mu.Unlock()
	if live && m.opts.Broken != nil {
		m.opts.Broken()
	}
}

// GoLive ends the catch-up: frames that were kept and are newer than what the
// member has seen are handed over, then delivery is direct. It reports false when more happened in
// the meantime than is kept, or when the log went on elsewhere; the member must then leave.
func (m *Member) GoLive(seen Seen) bool {
	ok, isDue := m.goLive(seen)
	if isDue {
		m.sink.Flush()
	}
	return ok
}

func (m *Member) goLive(seen Seen) (ok, isDue bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.catchUp == nil || m.catchUp.overrun {
		return false, false
	}
	held := m.catchUp.held
	m.catchUp = nil
	if seen.end() > 0 {
		kept := seen
		m.seen = &kept
	}
	if len(held) == 0 {
		return true, false
	}
	out := make([]protocol.Message, 0, len(held))
	for i := range held {
		if !seen.has(&held[i]) {
			out = append(out, held[i].message)
		}
	}
	if len(out) > 0 {
		m.sink.Queue(out...)
	}
	return true, len(out) > 0
}

// Replay encodes an entry of the past for this member, marked as replayed; the
// message is empty when the member would not have been handed it live either.
// Own broadcasts are replayed to who gets its own.
func (m *Member) Replay(e *engine.Entry) protocol.Message {
	f := entryFrame(m.channel.topic, e, true)
	if !f.wanted(&m.opts) {
		return protocol.Message{}
	}
	return f.message(m.opts.Version)
}

// Hold makes what is logged in the channel wait until Release, for everybody: a
// burst of one sender then reaches each member in one piece instead of one by
// one. Presence, and others' ephemeral messages, wait for nobody. Each Hold must be
// followed by a Release soon, also after Leave.
func (m *Member) Hold() { m.channel.hold() }

// Release ends a Hold; when it returns, what has waited was handed over. Flush must
// follow: behind the Release of all channels that are held, which otherwise would wait
// for the writing of the first.
func (m *Member) Release() { m.channel.release() }

// Flush writes what the members' channels were handed: a room before a hall, which would
// keep it waiting for thousands of writes. The order of members may be another then.
func Flush(members ...*Member) {
	if len(members) > 1 { // their numbers may change meanwhile, and the order be less good
		slices.SortFunc(members, func(a, b *Member) int { return cmp.Compare(a.channel.dueNow(), b.channel.dueNow()) })
	}
	for _, m := range members {
		m.channel.flushHeld()
	}
}

// Expect makes what the member's next write does wait for the answer to that
// write, for this member alone: both are known at the same moment, and one write to
// a socket costs half of two. Answer must follow soon.
func (m *Member) Expect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answering = true
}

// Answer hands over what has waited, with the answers behind it. What the write did comes
// before them (B3) also while somebody holds the channel.
func (m *Member) Answer(answers ...protocol.Message) {
	m.channel.handOwn(m)
	m.handAnswer(answers)
	m.sink.Flush()
}

func (m *Member) handAnswer(answers []protocol.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answering = false
	if len(m.unanswered) == 0 {
		queueEach(m.sink, answers)
		return
	}
	m.unanswered = append(m.unanswered, answers...)
	queueEach(m.sink, m.unanswered)
	clear(m.unanswered)
	if m.unanswered = m.unanswered[:0]; cap(m.unanswered) > maxKeptAnswer {
		m.unanswered = nil
	}
}

// queueEach queues frames of a list that is used again.
func queueEach(to Sink, frames []protocol.Message) {
	for i := range frames {
		to.Queue(frames[i : i+1]...)
	}
}

// maxKeptAnswer is for how many frames the room of one answer is kept for the next.
const maxKeptAnswer = 4

// WatchPresence switches presence diffs on, for a member that tracks itself.
func (m *Member) WatchPresence() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opts.Presence = true
}

// Leave ends the membership. Nothing is sent afterwards.
func (m *Member) Leave() {
	m.mu.Lock()
	gone := m.gone
	m.gone = true
	m.catchUp = nil
	m.mu.Unlock()
	if gone {
		return
	}
	m.channel.remove(m)
	m.channel.hub.release(m.channel)
}
