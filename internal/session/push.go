package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/presence"
	"github.com/chorale-rt/chorale/protocol"
)

func (s *Session) broadcast(f *protocol.Frame, sub *subscription) {
	b, fault := protocol.ParseBroadcast(f)
	if fault == nil {
		fault = sub.mayBroadcast(&b)
	}
	if fault == nil {
		excess := sub.limits.Payload(b.Size())
		if !excess.Over() {
			excess = s.charge(sub, b.Size())
		}
		if excess.Over() {
			if !s.limited(f, sub, excess) {
				return
			}
			fault = limitFault(excess)
		}
	}
	var receipt engine.Receipt
	var id string
	if fault == nil {
		var err error
		if receipt, id, err = s.append(sub, &b); err != nil {
			fault = engineError(err)
		}
	}
	switch {
	case fault != nil && b.Pushed.Persist > 0:
		s.refuse(f, fault, protocol.AppendPersistError(nil, fault))
	case fault != nil:
		s.replyError(f, fault)
	case sub.ack:
		s.replyOK(f, ackResponse(id, receipt.Position.Offset))
	}
}

// mayBroadcast says why a broadcast is refused, or nil.
func (sub *subscription) mayBroadcast(b *protocol.Broadcast) *protocol.Error {
	if fault := sub.may(auth.Publish); fault != nil {
		return fault
	}
	switch {
	case len(b.Event) > protocol.MaxEventBytes:
		return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: "the event's name is longer than 255 bytes"}
	case b.Pushed.Persist == 0:
		return nil
	case !sub.name.Private:
		return &protocol.Error{Code: protocol.CodePersistPublic, Message: "persist can only be used on private channels"}
	}
	return sub.may(auth.Persist)
}

// append logs a broadcast, or sends it when it is ephemeral.
func (s *Session) append(sub *subscription, b *protocol.Broadcast) (engine.Receipt, string, error) {
	id := b.Pushed.ID
	if id == "" {
		id = uuid.NewString()
	}
	kind, data := engine.KindMessage, b.Body
	if b.IsBinary {
		kind, data = engine.KindBinary, engine.JoinBinary(b.Event, b.Binary)
	}
	if sub.ack {
		s.answered(sub)
	} else if !b.Pushed.Ephemeral {
		s.gather(sub)
	}
	if b.Pushed.Ephemeral {
		return engine.Receipt{}, b.Pushed.ID, s.deps.Engine.Send(s.ctx, sub.member.Log(), engine.Entry{
			Kind: kind, ID: b.Pushed.ID, Origin: sub.origin, Data: data, Time: s.deps.Now().UnixMilli(),
		})
	}
	write := engine.Write{
		Kind:       kind,
		ID:         id,
		Origin:     sub.origin,
		Data:       data,
		Durability: sub.policy.Durability,
		Retention:  sub.policy.Retention,
		Keep:       b.Pushed.Persist,
	}
	if write.Keep > 0 {
		write.Durability = max(write.Durability, engine.OS) // B6
	}
	receipt, err := s.deps.Engine.Append(s.ctx, sub.member.Log(), write)
	return receipt, id, err
}

func ackResponse(id string, offset uint64) []byte {
	if offset == 0 {
		return emptyObject
	}
	out := append([]byte(nil), `{"id":`...)
	out = protocol.AppendString(out, id)
	out = append(out, `,"offset":`...)
	out = strconv.AppendUint(out, offset, 10)
	return append(out, '}')
}

// notMutation says what is wrong with a payload in the words of the wire.
func notMutation(err error) *protocol.Error {
	why := "it must be an object"
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		why = fmt.Sprintf("%s has the wrong type: %s", wrong.Field, wrong.Value)
	}
	return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: "This is not a mutation: " + why}
}

func (s *Session) mutate(f *protocol.Frame, sub *subscription) {
	m, err := protocol.DecodeMutation(f.Payload)
	if err != nil {
		s.replyError(f, notMutation(err))
		return
	}
	if sub.target.Specs == nil {
		s.replyError(f, &protocol.Error{Code: protocol.CodeUnknownCollection, Message: "this channel has no collections, or was joined without config.chorale"})
		return
	}
	if m.Client != sub.client {
		// Every client id has a row in the channel that is kept for long; a
		// session gets one by joining, which is limited, and not by naming it.
		s.replyError(f, &protocol.Error{Code: protocol.CodeForbiddenClient, Message: "the channel was joined with another client id"})
		return
	}
	if excess := s.charge(sub, len(f.Payload)); excess.Over() { // before Apply: n stays due
		s.limited(f, sub, excess)
		s.replyError(f, limitFault(excess))
		return
	}
	s.answered(sub)
	outcome, fault := s.deps.Collections.Apply(s.ctx, sub.target, &m, collection.Author{Subject: sub.identity.Subject, Origin: sub.origin})
	if fault != nil {
		s.replyError(f, fault)
		return
	}
	var room [64]byte // for the usual answer
	response, err := protocol.AppendOutcome(room[:0], &outcome)
	if err != nil {
		s.replyError(f, engineError(err))
		return
	}
	s.replyOK(f, response)
}

type presencePush struct {
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
}

func (s *Session) presence(f *protocol.Frame, sub *subscription) {
	var p presencePush
	if json.Unmarshal(f.Payload, &p) != nil || p.Event == "" {
		s.replyOK(f, emptyObject)
		return
	}
	switch strings.ToLower(p.Event) {
	case "track":
		s.track(f, sub, p.Payload)
	case "untrack":
		if err := s.untrack(sub); err != nil {
			s.replyError(f, engineError(err))
			return
		}
		s.replyOK(f, emptyObject)
	default:
		s.replyError(f, &protocol.Error{Code: protocol.CodeInvalidPayload, Message: "presence knows track and untrack"})
	}
}

func (s *Session) track(f *protocol.Frame, sub *subscription, meta json.RawMessage) {
	if fault := sub.may(auth.Presence); fault != nil {
		s.replyError(f, fault)
		return
	}
	if len(meta) > protocol.MaxPresenceBytes {
		s.replyError(f, &protocol.Error{Code: protocol.CodePayloadTooLarge, Message: "what a member says of itself is limited to 16 KiB"})
		return
	}
	shown := sub.presenceShown()
	if bytes.Equal(meta, shown.meta) {
		shown.pending = nil // back to what the others see
		s.replyOK(f, emptyObject)
		return
	}
	ref := newRef()
	value, err := presence.Encode(sub.presenceKey, meta, ref, shown.ref)
	if err != nil {
		s.replyError(f, &protocol.Error{Code: protocol.CodeInvalidPayload, Message: "Presence track payload must be a map", Reason: "Presence track payload must be a map"})
		return
	}
	sub.member.WatchPresence()
	sub.seesPresence = true
	if err := s.show(sub, pendingPresence{meta: bytes.Clone(meta), value: value, ref: ref}); err != nil {
		s.replyError(f, engineError(err))
		return
	}
	s.replyOK(f, emptyObject)
}

// newRef is a phx_ref: unique for ever, and short.
func newRef() string {
	id := uuid.New()
	return strings.ReplaceAll(id.String()[:23], "-", "")
}

func (s *Session) untrack(sub *subscription) error {
	if sub.shown == nil {
		return nil
	}
	sub.shown.pending = nil
	if sub.shown.meta == nil {
		return nil
	}
	// The session may be ending: its own context would give this up.
	err := s.deps.Engine.DropLease(detached(s.ctx), sub.member.Log(), sub.origin)
	if err == nil {
		sub.shown = nil
	}
	return err
}
