package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// subscription is the session's side of one joined channel.
type subscription struct {
	name    protocol.Channel
	topic   string
	joinRef string
	origin  string // of this incarnation, so that self: false leaves out just it
	client  string // config.chorale.client
	token   string
	target  collection.Target
	member  *hub.Member

	permissions
	rules       *policy.Policy // that permissions are asked of
	collections []string       // of config.chorale
	limits      *limit.Channel
	used        limit.Member

	ack          bool
	seesPresence bool           // is handed presence_diff
	presenceKey  string         // "" until one is needed, when the client gave none
	shown        *shownPresence // nil while it has not tracked itself
}

// joinRequest is a join on its way to becoming a subscription.
type joinRequest struct {
	protocol.Join
	sub      *subscription
	position engine.Position // of the reply (J1)
	resumed  bool
	reason   string
}

func (s *Session) join(f *protocol.Frame) {
	if f.JoinRef == "" {
		f.JoinRef = f.Ref
	}
	if old := s.subs.of(f.Topic); old != nil { // J2
		s.drop(old)
		s.send(closeFrame(s.version, old))
	}
	sub, refusal := s.admit(f)
	if refusal != nil {
		s.deps.Metrics.JoinRefused(refusal.Code)
		s.replyError(f, refusal)
		return
	}
	if sub != nil {
		s.subs.add(sub)
		s.armExpiry()
	}
}

// closeFrame is phx_close with the channel's join_ref as both refs (F6).
func closeFrame(v protocol.Version, sub *subscription) protocol.Message {
	return protocol.EncodeText(v, sub.joinRef, sub.joinRef, sub.topic, protocol.EventClose, emptyObject)
}

// admit checks a join, answers it and brings the member up to date. It returns
// a subscription that is live, or why there is none; then nothing was sent. It
// returns neither when the join was answered and has failed after that; then the
// client was told to join again.
func (s *Session) admit(f *protocol.Frame) (*subscription, *protocol.Error) {
	if excess := s.limits.Join(&s.sender); excess.Over() {
		s.limited(f, nil, excess)
		s.slower()
		return nil, limitFault(excess)
	}
	if fault := boundPayload(f); fault != nil {
		return nil, fault
	}
	r := joinRequest{Join: protocol.ParseJoin(f.Payload)}
	if fault := boundJoin(&r.Join); fault != nil {
		return nil, fault
	}
	name, fault := protocol.ParseTopic(f.Topic, r.Private)
	if fault != nil {
		return nil, fault
	}
	if excess := s.limits.MayJoin(len(s.subs.all)); excess.Over() {
		s.deps.Metrics.Limited(string(excess.Limit))
		return nil, limitFault(excess)
	}
	if fault := s.newSubscription(f, name, &r); fault != nil {
		return nil, fault
	}
	sub := r.sub
	member, err := s.deps.Hub.Join(s.ctx, name, s.conn, hub.Options{
		Version:     s.version,
		Origin:      sub.origin,
		Self:        r.Self,
		Presence:    r.PresenceEnabled,
		Collections: sub.collections,
		Client:      sub.client,
		Broken:      func() { time.AfterFunc(0, func() { s.broken(sub) }) }, // not from the delivering goroutine
	})
	if err != nil {
		return nil, engineError(err)
	}
	sub.member = member
	live, fault := s.catchUp(f, &r)
	if fault != nil || !live {
		member.Leave()
		return nil, fault
	}
	return sub, nil
}

func (s *Session) newSubscription(f *protocol.Frame, name protocol.Channel, r *joinRequest) *protocol.Error {
	token := r.Token
	if token == "" {
		token = s.token
	}
	identity, fault := s.verify(token)
	if fault != nil {
		return fault
	}
	rules := s.deps.Policy()
	p := newPermissions(rules.Channel(name), identity)
	if fault := p.may(auth.Join); fault != nil {
		return fault
	}
	if r.Replay != nil {
		if fault := p.may(auth.ReadHistory); fault != nil {
			return fault
		}
	}
	if r.PresenceEnabled && p.may(auth.Presence) != nil {
		r.PresenceEnabled = false // joined, but without presence, as upstream has it
	}
	s.joins++
	r.sub = &subscription{
		name:        name,
		topic:       f.Topic,
		joinRef:     f.JoinRef,
		origin:      s.id + "/" + strconv.FormatUint(s.joins, 10),
		ack:         r.Ack,
		permissions: p,
		rules:       rules,
		limits:      s.limits.Channel(p.policy.Limits()),
		token:       token,

		presenceKey:  r.PresenceKey,
		seesPresence: r.PresenceEnabled,
	}
	if r.Replay != nil && (!r.Replay.Valid || r.Replay.Since > s.deps.Now().Add(maxReplayAhead).UnixMilli()) {
		return &protocol.Error{Code: protocol.CodeReplay, Message: "Replay params are not valid"}
	}
	return s.choraleJoin(r)
}

// maxReplayAhead is how far in the future a replay may begin: clocks differ.
const maxReplayAhead = time.Minute

// choraleJoin checks config.chorale (J3).
func (s *Session) choraleJoin(r *joinRequest) *protocol.Error {
	if r.Chorale == nil {
		return nil
	}
	if r.Chorale.V != 1 {
		return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: fmt.Sprintf("config.chorale.v is %d; this server speaks 1", r.Chorale.V)}
	}
	if len(r.Chorale.Client) > protocol.MaxIDBytes {
		return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: fmt.Sprintf("config.chorale.client is longer than %d bytes", protocol.MaxIDBytes)}
	}
	if fault := r.sub.policy.Collections(r.Chorale.Collections, r.sub.identity); fault != nil {
		return fault
	}
	r.sub.client = r.Chorale.Client
	r.sub.collections = slices.Clone(r.Chorale.Collections)
	r.sub.target = r.sub.policy.Target(r.sub.identity)
	return nil
}

func (s *Session) verify(token string) (*auth.Identity, *protocol.Error) {
	identity, err := s.deps.Verifier.Verify(token)
	if err != nil {
		return nil, tokenFault(err)
	}
	return identity, nil
}

// tokenFault is what a client is told of a token that is not good, or could not
// be checked.
func tokenFault(err error) *protocol.Error {
	fault, ok := asTokenError(err)
	if !ok {
		return &protocol.Error{Code: protocol.CodeTokenRefused, Message: "The token cannot be checked at the moment", Retryable: true}
	}
	return &protocol.Error{Code: fault.Code, Message: fault.HTTPText(), Reason: fault.Reason(), Retryable: fault.Retryable()}
}

func (s *Session) replyJoin(f *protocol.Frame, r *joinRequest) *protocol.Error {
	response := append([]byte(`{"postgres_changes":`), protocol.EchoPostgres(r.Postgres)...)
	if r.Chorale != nil {
		reply, err := json.Marshal(protocol.JoinReply{
			V:           1,
			Epoch:       r.position.Epoch,
			Offset:      r.position.Offset,
			Resumed:     r.resumed,
			Reason:      r.reason,
			Collections: append([]string{}, r.Chorale.Collections...),
			Subject:     r.sub.identity.Subject,
			Now:         s.deps.Now().UnixMilli(),
			Limits:      map[string]int{"frameBytes": s.limits.Settings().FrameBytes, "recordBytes": protocol.MaxRecordBytes},
		})
		if err != nil {
			return engineError(err)
		}
		response = append(append(response, `,"chorale":`...), reply...)
	}
	s.replyOK(f, append(response, '}'))
	return nil
}

func asTokenError(err error) (*auth.TokenError, bool) { return errors.AsType[*auth.TokenError](err) }
