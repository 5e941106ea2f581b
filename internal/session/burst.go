package session

import (
	"slices"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/protocol"
)

// burst is what frames that were read at once have in common: what it
// writes to channels is delivered at its end, in one piece for each member, and
// its answers follow in one piece as well. One write to a socket costs the same
// for one message and for eighty. A frame that came alone is no burst, and
// nothing of it waits.
type burst struct {
	deferring bool          // the frame that is handled may be answered at the end
	held      []*hub.Member // whose channels wait, each once
	since     time.Time     // of the first of them
	replies   []protocol.Message
}

// maxBurst bounds for how long what others write to the same channels waits for
// a burst that is served slowly.
const maxBurst = time.Millisecond

// BeginBurst says that more frames than one follow, until EndBurst. Both are called
// by the goroutine that calls Receive.
func (s *Session) BeginBurst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.burst = bursts.Get().(*burst)
	}
}

// EndBurst hands over what has waited.
func (s *Session) EndBurst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.burst == nil {
		return
	}
	s.settle()
	s.burst.deferring = false
	bursts.Put(s.burst)
	s.burst = nil
}

// bursts are borrowed: an idle session holds no room for the next.
var bursts = sync.Pool{New: func() any { return new(burst) }}

// deferring says whether what is done and answered now may wait for the end of
// the burst.
func (s *Session) deferring() bool { return s.burst != nil && s.burst.deferring }

// beginFrame settles the burst before a frame that cannot be a part of it.
func (s *Session) beginFrame(f *protocol.Frame) {
	if s.burst == nil {
		return
	}
	if s.burst.deferring = burstable(f); !s.burst.deferring {
		s.settle()
	}
}

// burstable says of which frames the effects may wait for the end of a burst:
// those that change nothing but a channel's log. Before all others it is settled.
func burstable(f *protocol.Frame) bool {
	return f.Event == protocol.EventBroadcast || f.Event == protocol.EventMutate || f.Topic == protocol.TopicPhoenix
}

// gather lets what is written to the channel from now on wait for the end of
// the burst. It is called before each write.
func (s *Session) gather(sub *subscription) {
	if !s.deferring() || slices.Contains(s.burst.held, sub.member) {
		return
	}
	b := s.burst
	if len(b.held) == 0 {
		b.since = s.deps.Now()
	}
	sub.member.Hold()
	b.held = append(b.held, sub.member)
}

// settleLate settles a burst that others have waited for long enough.
func (s *Session) settleLate() {
	if s.burst != nil && len(s.burst.held) > 0 && s.deps.Now().Sub(s.burst.since) >= maxBurst {
		s.settle()
	}
}

// settle hands over what the burst has gathered so far: first what the writes did,
// then what is answered (B3, and the order of a change and its reply).
func (s *Session) settle() {
	b := s.burst
	if b == nil {
		return
	}
	for _, m := range b.held {
		m.Release()
	}
	hub.Flush(b.held...)
	clear(b.held)
	b.held = b.held[:0]
	if len(b.replies) > 0 {
		s.conn.Send(b.replies...)
		clear(b.replies)
		b.replies = b.replies[:0]
	}
}

// answered is gather for a write that will be answered: outside a burst, what it
// does to the sender itself goes together with the answer.
func (s *Session) answered(sub *subscription) {
	if s.gather(sub); !s.deferring() {
		sub.member.Expect()
		s.expecting = sub.member
	}
}

// reply answers a frame, at the end of the burst when there is one.
func (s *Session) reply(m protocol.Message) {
	switch {
	case s.deferring():
		s.burst.replies = append(s.burst.replies, m)
	case s.expecting != nil:
		s.expecting.Answer(m)
		s.expecting = nil
	default:
		a := ones.Get().(*one)
		a.send(s.conn, m)
		ones.Put(a)
	}
}

// beat answers a heartbeat, in lent bytes: where 10,000 clients listen, these answers
// would be nearly all there is of garbage, and the memory that they take until it is
// collected.
func (s *Session) beat(f *protocol.Frame) {
	if s.deferring() {
		s.replyOK(f, emptyObject)
		return
	}
	a := ones.Get().(*one)
	a.send(s.conn, protocol.LendReply(a.room[:0], s.version, f.JoinRef, f.Ref, f.Topic, true, emptyObject))
	ones.Put(a)
}

// one is borrowed for one frame. A conn is an interface, so the compiler would
// allocate a list for each.
type one struct {
	list [1]protocol.Message
	room [128]byte
}

func (a *one) send(to Conn, m protocol.Message) {
	a.list[0] = m
	to.Send(a.list[:]...)
	a.list[0] = protocol.Message{}
}

var ones = sync.Pool{New: func() any { return new(one) }}

// send sends frames now, behind what is answered already.
func (s *Session) send(frames ...protocol.Message) {
	s.settle()
	s.conn.Send(frames...)
}
