package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// ChannelOptions say what is wanted of a channel. nil is a private channel
// without presence and records.
type ChannelOptions struct {
	// Public joins the public channel of the name, which has no rules and no
	// collections. Public and private channels of one name are two channels.
	Public bool
	// Self delivers what this client publishes to the streams of this Channel too.
	Self bool
	// Presence and Collections are asked for with the first join. Without them the
	// channel is joined again when [Channel.Presence] or [Channel.Collection] is
	// first called.
	Presence    bool
	Collections []string

	// From resumes from a position of an earlier life, see [Message.Position]: messages
	// since then are delivered first, or a [*Resync] says why they cannot be. nil
	// begins with what comes now. It counts for the claim that joins the channel.
	From *Position
	// Replay delivers messages from before the first join; without From only.
	Replay *Replay
}

// Replay asks for stored messages: the newest since an instant, oldest first.
type Replay struct {
	Since time.Time
	Limit int // 1 to 1,000; 0 means 25
}

func (r *Replay) limit() int {
	if r.Limit == 0 {
		return protocol.DefaultReplay
	}
	return min(max(r.Limit, 1), protocol.MaxReplay)
}

// Message is a broadcast.
type Message struct {
	ID      string
	Channel string
	Event   string
	// Payload is JSON; nil for a message of raw bytes, which are in Binary.
	Payload  json.RawMessage
	Binary   []byte
	IsBinary bool
	Epoch    string // of the channel's log; "" for ephemeral messages
	Offset   uint64 // place in it; 0 for ephemeral messages
	Replayed bool   // it came from the log, after a reconnect or by Replay
	Own      bool   // this client has published it
}

// Position is the message's place, for a program that notes how far it has come
// and goes on from there in its next life (ChannelOptions.From). It is zero for
// ephemeral messages.
func (m *Message) Position() Position { return Position{m.Epoch, m.Offset} }

// Decode reads the payload into v, as [json.Unmarshal] does.
func (m *Message) Decode(v any) error {
	if m.IsBinary {
		return fmt.Errorf("message %s of %s: raw bytes, and no JSON", m.ID, m.Channel)
	}
	if err := json.Unmarshal(m.Payload, v); err != nil {
		return fmt.Errorf("message %s of %s: %w", m.ID, m.Channel, err)
	}
	return nil
}

// Channel is a claim on a channel. All claims of one client on one channel share
// one membership, which begins with the first claim and ends when the last one
// was released and what was written has settled.
//
// Its methods may be called concurrently, from the moment the claim is made:
// what is written before the channel is joined waits until it is.
type Channel struct {
	m    *membership
	self bool

	// Guarded by Client.mu.
	streams   map[*Stream[Message]][]string // with the events they want; nil for all
	early     *Stream[Message]              // one of them, which the first Subscribe is given; nil for none
	diffs     map[*Stream[PresenceDiff]]struct{}
	records   map[*Stream[RecordDiff]]*kept // with the collection that they are about
	takesPart bool                          // presence was said through this claim
	released  bool
}

// Channel claims a channel. It fails when the name cannot be a channel's, when
// the channel is claimed as public and as private at once, and after Close.
// Whether the server lets this client in is said by [Channel.Ready].
func (c *Client) Channel(name string, o *ChannelOptions) (*Channel, error) {
	if o == nil {
		o = &ChannelOptions{}
	}
	if err := protocol.CheckChannelName(name); err != nil {
		return nil, refusal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn.state.phase == closed {
		return nil, ErrClosed
	}
	topic := protocol.TopicPrefix + name
	m := c.channels[topic]
	catchesUp := m == nil && (o.From != nil || o.Replay != nil)
	switch {
	case m == nil:
		m = newMembership(c, name, o)
		c.channels[topic] = m
		m.want(o)
		m.onUp()
	case m.isPrivate == o.Public:
		// They would be one topic on one socket, and joining the one would end the
		// other (J2).
		return nil, &Error{Code: CodeChannelKind, Message: fmt.Sprintf("channel %s is claimed as public and as private at once", name)}
	default:
		m.want(o)
	}
	ch := &Channel{
		m: m, self: o.Self, streams: map[*Stream[Message]][]string{}, diffs: map[*Stream[PresenceDiff]]struct{}{},
		records: map[*Stream[RecordDiff]]*kept{},
	}
	if catchesUp {
		ch.early = ch.newStream()
		ch.streams[ch.early] = nil
	}
	m.claims[ch] = struct{}{}
	return ch, nil
}

// Name is the channel's name.
func (ch *Channel) Name() string { return ch.m.name }

// Status is the channel's state now.
func (ch *Channel) Status() ChannelStatus {
	ch.m.c.mu.Lock()
	defer ch.m.c.mu.Unlock()
	return ch.m.status()
}

// Watch ranges over the channel's states, the present one first. What changes
// while a state is being handled comes as one. It ends with ctx, or when the
// channel is left.
func (ch *Channel) Watch(ctx context.Context) iter.Seq[ChannelStatus] {
	return watch(ctx, &ch.m.c.mu, &ch.m.changed, func() (ChannelStatus, bool) {
		s := ch.m.status()
		return s, s.State == Left
	})
}

// Ready waits until the channel is joined. It fails when ctx ends before, with
// the reason of the last attempt, when the server refuses, and when the channel
// is left.
func (ch *Channel) Ready(ctx context.Context) error {
	var last error
	for s := range ch.Watch(ctx) {
		switch s.State {
		case Joined:
			return nil
		case Refused, Left:
			return fmt.Errorf("channel %s: %w", ch.m.name, s.Err)
		}
		if s.Err != nil {
			last = s.Err
		}
	}
	if last == nil {
		last = ch.m.c.Status().Err // what keeps the channel from being asked for
	}
	if last != nil {
		return fmt.Errorf("channel %s: %w: %w", ch.m.name, context.Cause(ctx), last)
	}
	return fmt.Errorf("channel %s: %w", ch.m.name, context.Cause(ctx))
}

// Subscribe begins a stream of the messages with one of these events; without
// events, of all. It has what comes from now on, in the order of the log, each
// once: after a disconnect it goes on where it was, or says with a [*Resync] that
// it cannot. Where the claim's From or Replay counts, its first stream has all that
// came since the claim was made, however late it is asked for; what waits until then
// has the bounds of every stream. It ends when it is closed, or with the claim.
func (ch *Channel) Subscribe(events ...string) *Stream[Message] {
	m := ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	s := ch.early
	if ch.early = nil; s == nil {
		s = ch.newStream()
	}
	if ch.released || m.ended != nil {
		s.end(ch.whyReleased())
		return s
	}
	s.keep(func(message Message) bool { return wants(events, &message) })
	ch.streams[s] = events
	s.onClose = func() {
		m.c.mu.Lock()
		defer m.c.mu.Unlock()
		delete(ch.streams, s)
	}
	return s
}

func (ch *Channel) newStream() *Stream[Message] {
	name := ch.m.name
	return newStream[Message](&ch.m.c.opts, func() error { return &Resync{Channel: name, Reason: ResyncSlow} })
}

// wants says whether a message is one of these events; all are without any.
func wants(events []string, message *Message) bool {
	return len(events) == 0 || slices.Contains(events, message.Event)
}

func (ch *Channel) handOn(message Message) {
	if message.Own && !ch.self {
		return
	}
	for s, events := range ch.streams {
		if wants(events, &message) {
			s.push(item[Message]{value: message, bytes: len(message.Payload) + len(message.Binary)})
		}
	}
}

func (ch *Channel) resync(missed *Resync) {
	for s := range ch.streams {
		s.push(item[Message]{err: missed})
	}
}

func (ch *Channel) endStreams(err error) {
	for s := range ch.streams {
		s.end(err)
	}
	for s := range ch.diffs {
		s.end(err)
	}
	for s, k := range ch.records {
		delete(k.diffs, s)
		s.end(err)
	}
	clear(ch.streams)
	clear(ch.diffs)
	clear(ch.records)
}

// ---- publishing

// PublishOption varies one call of Publish.
type PublishOption func(*publishOptions)

type publishOptions struct {
	id        string
	ephemeral bool
	noAck     bool
	persist   time.Duration
}

// WithID gives the message an identity: publishing the same id again does
// nothing (B2). Without it each call is a message of its own.
func WithID(id string) PublishOption { return func(o *publishOptions) { o.id = id } }

// Ephemeral delivers without logging: cursors, typing. Such a message is never
// kept until the channel is joined, and never acknowledged.
func Ephemeral() PublishOption { return func(o *publishOptions) { o.ephemeral = true } }

// WithoutAck returns when the message was handed to the connection. It is still
// sent again until it is in the log, as long as the client lives.
func WithoutAck() PublishOption { return func(o *publishOptions) { o.noAck = true } }

// Persist keeps the message for so long, in whole seconds, up to 30 days, where
// the channel's rule allows it (B6).
func Persist(d time.Duration) PublishOption { return func(o *publishOptions) { o.persist = d } }

// Publish publishes a payload, which is marshalled as JSON, and returns when it
// is in the channel's log, as durable as the channel's class says (R2). While
// the channel is not joined the message waits. However often the connection is
// lost meanwhile, it is logged once. Messages are logged in the order in which
// they were published.
//
// It fails with [ErrQueueFull] when 1,000 messages or 1 MiB wait already, with
// the server's [*Error] when it is refused, and when ctx ends: then the message
// may be in the log or not, and to publish it again under the same id
// ([WithID]) does no harm.
func (ch *Channel) Publish(ctx context.Context, event string, payload any, options ...PublishOption) (Receipt, error) {
	raw, err := marshal(payload)
	if err != nil {
		return Receipt{}, fmt.Errorf("publish to %s: %w", ch.m.name, err)
	}
	return ch.publish(ctx, &publish{event: event, payload: raw}, options)
}

// PublishBytes is Publish of raw bytes, which travel as they are. Clients that
// speak JSON only do not receive them.
func (ch *Channel) PublishBytes(ctx context.Context, event string, data []byte, options ...PublishOption) (Receipt, error) {
	return ch.publish(ctx, &publish{event: event, binary: slices.Clone(data), isRaw: true}, options)
}

func (ch *Channel) publish(ctx context.Context, p *publish, options []PublishOption) (Receipt, error) {
	var o publishOptions
	for _, option := range options {
		option(&o)
	}
	if o.id == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return Receipt{}, fmt.Errorf("publish to %s: %w", ch.m.name, err)
		}
		o.id = id.String()
	}
	p.id, p.noAck, p.done = o.id, o.noAck, make(chan published, 1)
	p.encode(&o)
	receipt, err := ch.enqueue(ctx, p, o.ephemeral)
	if err != nil {
		return receipt, fmt.Errorf("publish to %s: %w", ch.m.name, err)
	}
	return receipt, nil
}

// encode makes the push's payload of the user's.
func (p *publish) encode(o *publishOptions) {
	type persist struct {
		TTL int64 `json:"ttl"`
	}
	type meta struct {
		ID        string   `json:"id"`
		Ephemeral bool     `json:"ephemeral,omitempty"`
		Persist   *persist `json:"persist,omitempty"`
	}
	m := meta{ID: o.id, Ephemeral: o.ephemeral}
	if o.persist != 0 {
		m.Persist = &persist{int64(o.persist / time.Second)}
	}
	if p.isRaw {
		p.payload = mustMarshal(m)
		return
	}
	p.payload = mustMarshal(struct {
		Type    string          `json:"type"`
		Event   string          `json:"event"`
		Payload json.RawMessage `json:"payload"`
		Meta    meta            `json:"meta"`
	}{protocol.EventBroadcast, p.event, p.payload, m})
}

func (ch *Channel) enqueue(ctx context.Context, p *publish, ephemeral bool) (Receipt, error) {
	m := ch.m
	if err := ctx.Err(); err != nil {
		return Receipt{}, context.Cause(ctx)
	}
	m.c.mu.Lock()
	err := ch.begin(p, ephemeral)
	m.c.mu.Unlock()
	if err != nil || ephemeral {
		return Receipt{ID: p.id}, err
	}
	select {
	case answer := <-p.done:
		return Receipt{ID: p.id, Position: answer.Position}, answer.err
	case <-ctx.Done():
	}
	m.c.mu.Lock()
	m.queue.withdraw(p)
	m.c.mu.Unlock()
	select {
	case answer := <-p.done: // it came at the same moment
		return Receipt{ID: p.id, Position: answer.Position}, answer.err
	default:
		return Receipt{ID: p.id}, context.Cause(ctx)
	}
}

func (ch *Channel) begin(p *publish, ephemeral bool) error {
	m := ch.m
	switch {
	case ch.released || m.ended != nil:
		return ch.whyReleased()
	case m.state == Refused:
		return m.err
	case len(p.event) > protocol.MaxEventBytes:
		return &Error{Code: protocol.CodeInvalidPayload, Message: fmt.Sprintf("an event has %d bytes at most", protocol.MaxEventBytes)}
	case p.size()+len(m.topic)+frameMargin > m.limits.frame:
		return &Error{Code: protocol.CodePayloadTooLarge, Message: fmt.Sprintf("a frame holds %d bytes at most", m.limits.frame)}
	}
	m.own.add(p.id)
	if !ephemeral {
		return m.queue.add(p)
	}
	if m.c.conn.isBehind() {
		return ErrQueueFull
	}
	if !m.pushMessage(p, func(r reply) {
		if r.err != nil {
			m.c.emit(&Fault{Channel: m.name, Err: r.err})
		}
	}) {
		return ErrNotJoined
	}
	return nil
}

// ---- the end

// Pending is how many writes to this channel's collections have not settled.
func (ch *Channel) Pending() int {
	ch.m.c.mu.Lock()
	defer ch.m.c.mu.Unlock()
	return ch.m.records.outbox.size()
}

// Flush waits until every write to this channel's collections that was made so
// far has settled. It fails when ctx ends or the client is closed before.
func (ch *Channel) Flush(ctx context.Context) error {
	return ch.m.c.waitSettled(ctx, func() int { return ch.m.records.outbox.size() })
}

// Release gives the claim back: its streams end, and what it said of presence.
// Writes to collections that have not settled are sent before the channel is
// left. It is idempotent.
func (ch *Channel) Release() {
	m := ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if ch.released {
		return
	}
	ch.released = true
	delete(m.claims, ch)
	ch.endStreams(ErrReleased)
	if m.ended != nil {
		return
	}
	// The channel may go on for others, who are not to see somebody who has left.
	if ch.takesPart && !m.takesPart() {
		m.presence.clear()
	}
	m.closeWhenSettled()
}

// takesPart says whether presence was said through one of the claims.
func (m *membership) takesPart() bool {
	for claim := range m.claims {
		if claim.takesPart {
			return true
		}
	}
	return false
}

func (ch *Channel) whyReleased() *Error {
	if ch.m.ended != nil {
		return ch.m.ended
	}
	return ErrReleased
}
