package session

import (
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// Limiter returns Limits, or one that limits nothing.
func (d *Deps) Limiter() *limit.Limiter {
	if d.Limits != nil {
		return d.Limits
	}
	return limit.New(limit.Unlimited(), d.Now)
}

// passes brings the membership of a push up to the newest rules and charges the
// push to who sends it. When it is false the push is done with. sub is nil for a
// topic that is not joined. Heartbeats and leaves are not asked for (L1).
func (s *Session) passes(f *protocol.Frame, sub *subscription, size int) bool {
	var channel *limit.Channel
	var used *limit.Member
	if sub != nil {
		// A new token is asked about by itself: it may be why the rules changed.
		if f.Event != protocol.EventAccessToken && !s.underNewestRules(sub) {
			return false
		}
		channel, used = sub.limits, &sub.used
	}
	excess := s.limits.Push(&s.sender, channel, used, size)
	if !excess.Over() {
		return true
	}
	s.slower()
	if s.limited(f, sub, excess) {
		s.replyError(f, limitFault(excess))
	}
	return false
}

// limited counts what a limit refuses, and says whether the client is told: always
// when it waits for an answer, else once a second, so that a flood is not
// answered with another (L2).
func (s *Session) limited(f *protocol.Frame, sub *subscription, excess limit.Excess) bool {
	s.deps.Metrics.Limited(string(excess.Limit))
	switch f.Event {
	case protocol.EventJoin, protocol.EventMutate, protocol.EventPresence:
		return true
	case protocol.EventBroadcast:
		if excess.Limit == limit.Payload || (sub != nil && sub.ack) {
			return true
		}
	}
	return s.limits.Notice(&s.sender)
}

// charge takes one write from what all senders of its channel may do. It comes
// after the question whether this one may write at all: who may not must not use
// up what others may.
func (s *Session) charge(sub *subscription, size int) limit.Excess {
	return s.limits.Publish(sub.limits, sub.member.Log(), 1, size)
}

// limitFault is what a client is told of an excess.
func limitFault(excess limit.Excess) *protocol.Error {
	fault := &protocol.Error{Code: protocol.CodeRateLimited, Message: excess.Sentence(), Retryable: true, RetryAfterMs: excess.RetryAfterMs()}
	switch excess.Limit {
	case limit.Joins:
		fault.Code, fault.Reason = protocol.CodeTooManyJoins, "ClientJoinRateLimitReached: Too many joins per second"
	case limit.Channels:
		fault.Code, fault.Reason = protocol.CodeTooManyChannels, "ChannelRateLimitReached: Too many channels"
	case limit.Payload:
		fault.Code, fault.Retryable = protocol.CodePayloadTooLarge, false
	}
	return fault
}

// pausePerFrame is for how long a client is not read from, for each frame beyond
// what it may send: it can have five thousand such frames a second looked at,
// which cost the server a few hundredths of a core, instead of as many as its
// wire carries. Its heartbeats come through, later by what waits before them.
const (
	pausePerFrame = 200 * time.Microsecond
	maxPause      = time.Second // at a time
)

func (s *Session) slower() { s.pause = min(s.pause+pausePerFrame, maxPause) }

// unrefused is for frames that no limit refuses (L1): they are served, however
// many they are, and beyond a number that no client needs they are read more
// slowly.
func (s *Session) unrefused() {
	if !s.limits.Rest(&s.sender) {
		s.slower()
	}
}

// Pause is how long the transport should wait before it reads on; 0 for a client
// within its limits.
func (s *Session) Pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.pause
	s.pause = 0
	return d
}

// underNewestRules brings a membership up to rules that were loaded after it
// began, and ends it when they no longer let it read.
func (s *Session) underNewestRules(sub *subscription) bool {
	newest := s.deps.Policy()
	if newest == sub.rules {
		return true
	}
	now := newPermissions(newest.Channel(sub.name), sub.identity)
	if why := sub.readable(&now); why != "" {
		s.shut(sub, why)
		return false
	}
	sub.follow(newest, now, s.limits)
	return true
}

// follow makes these rules and permissions the membership's.
func (sub *subscription) follow(rules *policy.Policy, now permissions, limits *limit.Limiter) {
	sub.rules, sub.permissions = rules, now
	sub.limits = limits.Channel(now.policy.Limits())
	if sub.target.Specs != nil {
		sub.target = now.policy.Target(now.identity)
	}
}
