package session

import (
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/limit"
)

// shownPresence is what the others see of a member that tracks itself, or see soon.
type shownPresence struct {
	meta    []byte // the newest that was put, as the client sent it; nil when none
	ref     string
	pending *pendingPresence // newer than meta; nil when nothing waits
}

// presenceShown is where a member's presence is kept, and its key made, when it
// first speaks of itself: most never do.
func (sub *subscription) presenceShown() *shownPresence {
	if sub.shown == nil {
		sub.shown = new(shownPresence)
	}
	if sub.presenceKey == "" {
		sub.presenceKey = uuid.NewString()
	}
	return sub.shown
}

// pendingPresence is a state of a member that waits for its slot (L4).
type pendingPresence struct {
	meta  []byte // as the client sent it
	value []byte // of the lease
	ref   string
}

// show puts a member's presence, now or at its next slot: somebody who moves a
// pointer sixty times a second is seen moving ten times, and where it came to rest.
func (s *Session) show(sub *subscription, p pendingPresence) error {
	if wait := s.limits.Track(sub.limits, &sub.used); wait > 0 {
		s.deps.Metrics.Limited(string(limit.Presence))
		sub.shown.pending = &p
		s.armSlot(wait)
		return nil
	}
	sub.shown.pending = nil
	return s.putPresence(sub, p)
}

// putPresence puts a member's lease. The session may end meanwhile, and must not
// give this up: only what is known to be put is withdrawn when it ends (P3).
func (s *Session) putPresence(sub *subscription, p pendingPresence) error {
	if err := s.deps.Engine.PutLease(detached(s.ctx), sub.member.Log(), sub.origin, p.value); err != nil {
		return err
	}
	sub.shown.meta, sub.shown.ref = p.meta, p.ref
	return nil
}

// armSlot sets the session's one timer for presence, unless it is due earlier.
func (s *Session) armSlot(wait time.Duration) {
	due := s.limits.Now() + int64(wait)
	if s.slotDue != 0 && s.slotDue <= due {
		return
	}
	s.slotDue = due
	if s.slot == nil {
		s.slot = time.AfterFunc(wait, s.deliverPending)
		return
	}
	s.slot.Reset(wait)
}

// putAgainAfter is when presence that the engine did not take is put again. Its
// track was answered: nobody else will.
const putAgainAfter = time.Second

// deliverPending puts what has waited for its slot.
func (s *Session) deliverPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.slotDue = 0
	for _, sub := range s.subs.all {
		if sub.shown == nil || sub.shown.pending == nil {
			continue
		}
		if wait := s.limits.Track(sub.limits, &sub.used); wait > 0 {
			s.armSlot(wait)
			continue
		}
		if err := s.putPresence(sub, *sub.shown.pending); err != nil {
			s.deps.Logger.Warn("presence not shown yet", "session", s.id, "channel", sub.name.Name, "error", err)
			s.armSlot(putAgainAfter)
			continue
		}
		sub.shown.pending = nil
	}
}
