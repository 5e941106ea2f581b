package session

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

func (s *Session) leave(f *protocol.Frame, sub *subscription) {
	if f.JoinRef != "" && f.JoinRef != sub.joinRef {
		return // of an incarnation that is gone
	}
	s.drop(sub)
	s.replyOK(f, emptyObject)
	s.send(closeFrame(s.version, sub))
}

// drop ends a membership without telling the client.
func (s *Session) drop(sub *subscription) {
	s.subs.remove(sub)
	sub.member.Leave()
	if err := s.untrack(sub); err != nil {
		s.deps.Logger.Warn("presence not withdrawn", "session", s.id, "channel", sub.name.Name, "error", err)
	}
}

// fail ends a membership that could not be kept up, though nothing speaks against
// the next one: clients join again after phx_error, as they do not after phx_close.
func (s *Session) fail(sub *subscription, why *protocol.Error) {
	s.drop(sub)
	s.send(errorFrame(s.version, sub, why))
}

// errorFrame is phx_error with the channel's join_ref as both refs (F6).
func errorFrame(v protocol.Version, sub *subscription, why *protocol.Error) protocol.Message {
	return protocol.EncodeText(v, sub.joinRef, sub.joinRef, sub.topic, protocol.EventError, protocol.AppendError(nil, why))
}

// broken ends a membership whose log does not go on from what it was handed
// (S4): only another join tells the client what it has to load.
func (s *Session) broken(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.subs.of(sub.topic) != sub {
		return
	}
	s.fail(sub, &protocol.Error{Code: protocol.CodeOverloaded, Message: "The channel's log goes on from another place; join again", Retryable: true})
}

// reject ends a membership whose token is not good, or cannot be checked.
func (s *Session) reject(sub *subscription, err error) {
	if fault, ok := asTokenError(err); ok && !fault.Retryable() {
		s.shut(sub, fault.SystemText())
		return
	}
	s.fail(sub, tokenFault(err))
}

// shut ends a membership for good: the client is told why and will not rejoin.
func (s *Session) shut(sub *subscription, why string) {
	s.drop(sub)
	s.send(
		protocol.EncodeText(s.version, "", "", sub.topic, protocol.EventSystem, systemPayload("system", "error", why, sub.name.Name)),
		closeFrame(s.version, sub),
	)
}

// refresh replaces a channel's token, and asks the newest rules what its
// identity may do. There is never a reply; a token that is not good, or that
// does not read what the old one read, ends the channel.
func (s *Session) refresh(f *protocol.Frame, sub *subscription) {
	var p struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(f.Payload, &p) != nil || p.Token == "" || p.Token == sub.token || strings.HasPrefix(p.Token, "sb_") {
		return
	}
	identity, err := s.deps.Verifier.Verify(p.Token)
	if err != nil {
		s.reject(sub, err)
		return
	}
	newest := s.deps.Policy()
	now := newPermissions(newest.Channel(sub.name), identity)
	if why := sub.readable(&now); why != "" {
		s.shut(sub, why)
		return
	}
	sub.token = p.Token
	sub.follow(newest, now, s.limits)
	s.armExpiry()
}

// armExpiry sets the session's one timer to the earliest expiry of its
// channels' tokens.
func (s *Session) armExpiry() {
	var next time.Time
	for _, sub := range s.subs.all {
		if at := sub.identity.ExpiresAt; next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if next.IsZero() {
		return
	}
	// A token is good up to its last second: ask again just behind it.
	wait := max(next.Sub(s.deps.Now()), 0) + time.Millisecond
	s.expiry = time.AfterFunc(min(wait, maxTimer), s.expire)
}

// maxTimer bounds a timer whose token is good for years, so that a clock that
// is set forward is noticed.
const maxTimer = 5 * time.Minute

// expire ends the channels whose token is no longer good, or no longer reads
// under rules that were loaded meanwhile.
func (s *Session) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, sub := range slices.Clone(s.subs.all) {
		if _, err := s.deps.Verifier.Verify(sub.token); err != nil {
			s.reject(sub, err)
			continue
		}
		s.underNewestRules(sub)
	}
	s.armExpiry()
}

// detached is a context for what must be done although the session ends.
func detached(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
