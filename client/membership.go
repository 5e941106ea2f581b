package client

import (
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	joinWithin = 10 * time.Second
	// A refusal for good is asked about again, because rules and roles change.
	refusedRetry = 30 * time.Second
	// Ids of own messages, and of those that were handed on, that are remembered.
	idsKept = 2_000
	// Room for refs, topic and event around a payload. Bytes.
	frameMargin = 1_024
)

// tokenCode matches refusals that a new token may cure.
var tokenCode = regexp.MustCompile(`^(api_key|token|invalid_jwt|signature|key|claims?|algorithm|expiration|issuer|audience)_`)

// Position is a place in a channel's log. Offsets of different epochs have
// nothing to do with each other.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// ChannelState says how a channel of this client stands.
type ChannelState string

// The states of a channel.
const (
	Joining   ChannelState = "joining"   // for the first time
	Joined    ChannelState = "joined"    // what the server had is here, and what comes follows
	Rejoining ChannelState = "rejoining" // was joined, is coming back
	Refused   ChannelState = "refused"   // it is asked again every 30 s, and when there is a new token
	Left      ChannelState = "left"      // released, or the client was closed
)

// ChannelStatus is the state of a channel with what is known about it.
type ChannelStatus struct {
	State ChannelState
	// Synced is true from the first Joined on: what is shown is what the server had.
	Synced bool
	// Position up to which everything was heard; zero before the first Joined.
	Position Position
	Err      error // why it is not joined, an *Error; nil when there is nothing to tell
}

// A membership is one channel of a client: its join, its position in the log, and
// what it hands to streams, presence and records. All claims on a channel share
// it. It is guarded by Client.mu.
type membership struct {
	c         *Client
	name      string
	topic     string
	isPrivate bool
	claims    map[*Channel]struct{}

	state   ChannelState
	synced  bool
	err     *Error
	changed bell

	presence *presence
	records  *recordStore
	queue    publishQueue
	own      recent // ids that were published here
	seen     recent // ids of logged messages that were handed on

	wantsPresence bool
	replay        *Replay // for the first join only
	clientID      string
	joinRef       string // "" without a join
	joined        bool   // the server has said yes
	live          bool   // and the catch-up is over
	joinedWith    joinConfig
	token         string // the newest that the server was told
	attempt       int
	generation    int
	timer, rejoin *alarm

	// position is what the next join resumes from; zero for nothing. It moves while
	// the channel is live: a catch-up that was cut short is begun again.
	position Position
	// log is the epoch that the newest join is of, and resumed whether that went on
	// where the one before it ended.
	log     string
	resumed bool
	// isOneLog is true as long as all joins were of one epoch.
	isOneLog bool
	// delivered is the highest offset that was handed on, so that what comes again
	// with the next catch-up is not.
	delivered  uint64
	limits     limits
	clockAhead time.Duration // of the server's clock
	subject    string
	// ended is why nothing happens here any more.
	ended *Error
}

func newMembership(c *Client, name string, o *ChannelOptions) *membership {
	m := &membership{
		c: c, name: name, topic: protocol.TopicPrefix + name, isPrivate: !o.Public,
		claims: map[*Channel]struct{}{}, state: Joining,
		own: newRecent(idsKept), seen: newRecent(idsKept), isOneLog: true,
		replay: o.Replay, clientID: c.id, limits: limits{protocol.MaxRecordBytes, protocol.MaxFrameBytes},
	}
	if o.From != nil {
		m.position, m.delivered = *o.From, o.From.Offset
	}
	m.queue.m = m
	m.presence = newPresence(m)
	m.records = newRecordStore(name, m)
	return m
}

func (m *membership) isCurrent() bool { return m.c.channels[m.topic] == m }

// ---- the join

// onUp hears that the connection is there.
func (m *membership) onUp() {
	m.attempt = 0
	m.join(false)
}

// onDown hears that the connection is gone. The position stays.
func (m *membership) onDown() {
	m.endIncarnation()
	if m.state != Refused {
		m.show(m.joiningState(), nil)
	}
}

func (m *membership) joiningState() ChannelState {
	if m.synced {
		return Rejoining
	}
	return Joining
}

func (m *membership) endIncarnation() {
	m.generation++
	m.c.alarms.stop(m.timer)
	m.c.alarms.stop(m.rejoin)
	m.timer, m.rejoin = nil, nil
	m.joinRef, m.joined = "", false
	if m.live {
		m.live = false
		m.records.onDown()
	}
	m.queue.onDown()
	m.presence.onDown()
}

// join asks the server again. refused says that it may have ended or refused the
// channel because of its token.
func (m *membership) join(refused bool) {
	if m.ended != nil || !m.c.conn.isOpen() {
		return
	}
	m.endIncarnation()
	generation := m.generation
	m.show(m.joiningState(), nil)
	then := func(token string, err error) {
		if generation != m.generation || m.ended != nil {
			return
		}
		if err != nil {
			m.retry(asError(err, CodeTokenUnavailable), false)
			m.c.conn.tokenFailed(err) // which may end all tries
			return
		}
		m.token = token
		m.pushJoin(generation)
	}
	if refused {
		m.c.tokens.instead(m.token, then)
	} else {
		m.c.tokens.get(then)
	}
}

// A joinConfig is what a join asks for, without what may differ from join to join.
type joinConfig struct {
	presence    bool
	client      string
	collections string // joined with commas
}

func (m *membership) config() joinConfig {
	return joinConfig{m.wantsPresence, m.clientID, strings.Join(m.records.names(), ",")}
}

func (m *membership) pushJoin(generation int) {
	m.joinedWith = m.config()
	m.joinRef = m.c.conn.nextRef()
	m.timer = m.c.alarms.start(joinWithin, func() {
		m.push(protocol.EventLeave, []byte("{}"), nil)
		m.retry(&Error{Code: CodeJoinTimeout, Message: "the server did not answer the join within 10 s", Retryable: true}, false)
	})
	m.c.conn.push(m.joinRef, m.joinRef, m.topic, protocol.EventJoin, m.joinPayload(), func(r reply) {
		if generation == m.generation && m.ended == nil {
			m.answered(r)
		}
	})
}

func (m *membership) joinPayload() []byte {
	type resume struct {
		Position
		Collections []string `json:"collections"`
	}
	type chorale struct {
		V           int      `json:"v"`
		Client      string   `json:"client"`
		Collections []string `json:"collections"`
		Resume      *resume  `json:"resume,omitempty"`
	}
	broadcast := map[string]any{"ack": true, "self": true}
	ask := chorale{V: 1, Client: m.clientID, Collections: m.records.names()}
	switch {
	case m.position.Epoch != "":
		ask.Resume = &resume{m.position, m.records.loaded()}
	case m.replay != nil && !m.synced:
		broadcast["replay"] = map[string]int64{"since": m.replay.Since.UnixMilli(), "limit": int64(m.replay.limit())}
	}
	return mustMarshal(map[string]any{
		"config": map[string]any{
			"broadcast": broadcast,
			"presence":  map[string]any{"enabled": m.wantsPresence, "key": m.c.id},
			"private":   m.isPrivate,
			"chorale":   ask,
		},
		"access_token": m.token,
	})
}

func (m *membership) answered(r reply) {
	m.c.alarms.stop(m.timer)
	m.timer = nil
	if r.err != nil {
		m.refused(r.err)
		return
	}
	j, err := decodeJoined(r.response)
	if err != nil {
		m.retry(asError(err, CodeProtocol), false)
		return
	}
	m.isOneLog = m.isOneLog && (m.log == "" || m.log == j.Epoch)
	m.joined, m.log, m.resumed = true, j.Epoch, j.Resumed
	m.subject, m.limits = j.Subject, j.limits
	m.clockAhead = time.Duration(j.Now-time.Now().UnixMilli()) * time.Millisecond
	if !j.Resumed {
		m.delivered = 0 // what follows is counted anew
		if m.position.Epoch != "" {
			m.position = Position{}
			m.resync(resyncReason(j.Reason), Position{j.Epoch, j.Offset})
		}
	}
	if held := m.c.tokens.held.token; held != "" && held != m.token {
		m.onToken(held) // it came while the join was on the way
	}
	m.presence.onJoined()
}

func resyncReason(reason string) ResyncReason {
	switch r := ResyncReason(reason); r {
	case ResyncTruncated, ResyncFuture:
		return r
	}
	return ResyncEpoch
}

func (m *membership) refused(e *Error) {
	if e.Retryable || tokenCode.MatchString(e.Code) {
		m.c.stats.Refusals++
		m.retry(e, !e.Retryable)
		return
	}
	m.endIncarnation()
	m.records.onClosed(e)
	m.queue.close(e)
	m.show(Refused, e)
	m.timer = m.c.alarms.start(refusedRetry, func() { m.join(false) })
}

// retry joins again after a while.
func (m *membership) retry(e *Error, tokenRefused bool) {
	m.endIncarnation()
	m.show(m.joiningState(), e)
	d := e.RetryAfter
	if d == 0 {
		d = backoff(m.attempt, m.c.opts.roll(), backoffBase, backoffMost)
		m.attempt++
	}
	m.timer = m.c.alarms.start(d, func() { m.join(tokenRefused) })
}

// rejoinSoon joins again when what is wanted is not what was joined with. In a
// moment, because wishes come in handfuls.
func (m *membership) rejoinSoon() {
	if m.ended != nil || m.rejoin != nil || m.joinRef == "" {
		return
	}
	m.rejoin = m.c.alarms.start(0, func() {
		m.rejoin = nil
		if m.joinRef != "" && m.config() != m.joinedWith {
			m.join(false)
		} else {
			m.presence.tell() // which has waited for this
		}
	})
}

// onToken hears of a new token. A join that is on the way looks for it when it is
// answered.
func (m *membership) onToken(token string) {
	switch {
	case m.joined:
		m.token = token
		m.push(protocol.EventAccessToken, mustMarshal(map[string]string{"access_token": token}), nil)
	case m.state == Refused:
		m.join(false)
	}
}

// close leaves. The records stay readable.
func (m *membership) close(e *Error) {
	if m.ended != nil {
		return
	}
	m.push(protocol.EventLeave, []byte("{}"), nil)
	m.endIncarnation()
	m.ended = e
	m.queue.close(e)
	m.records.onClosed(nil)
	m.presence.onClosed()
	for claim := range m.claims {
		claim.endStreams(e)
	}
	m.show(Left, e)
}

// closeWhenSettled closes a membership that nobody claims, once its writes have
// settled: nothing is lost because a channel was released quickly.
func (m *membership) closeWhenSettled() {
	if len(m.claims) > 0 || m.records.outbox.size() > 0 || !m.isCurrent() {
		return
	}
	delete(m.c.channels, m.topic)
	m.close(ErrReleased)
}

// ---- pushes

// push sends while there is a join. onReply may be nil, and is not called when
// the server turns out to know nothing of that join: it is made again.
func (m *membership) push(event string, payload []byte, onReply func(reply)) bool {
	if m.joinRef == "" {
		return false
	}
	return m.c.conn.push(m.joinRef, m.c.conn.nextRef(), m.topic, event, payload, m.unlessUnmatched(onReply))
}

func (m *membership) unlessUnmatched(onReply func(reply)) func(reply) {
	joinRef := m.joinRef
	return func(r reply) {
		switch {
		case r.err == nil || r.err.Code != protocol.CodeUnmatchedTopic:
			if onReply != nil {
				onReply(r)
			}
		case joinRef == m.joinRef:
			m.retry(r.err, false)
		}
	}
}

// pushMessage sends a message while the channel is live.
func (m *membership) pushMessage(p *publish, onReply func(reply)) bool {
	if !m.live {
		return false
	}
	if !p.isRaw {
		return m.push(protocol.EventBroadcast, p.payload, onReply)
	}
	return m.c.conn.pushBinary(m.joinRef, m.c.conn.nextRef(), m.topic, p.event, p.payload, p.binary, m.unlessUnmatched(onReply))
}

// say tells the server something of this client's presence.
func (m *membership) say(payload []byte) bool {
	return m.joined && m.push(protocol.EventPresence, payload, func(r reply) {
		if r.err == nil {
			return
		}
		m.c.emit(&Fault{Channel: m.name, Err: r.err})
		if r.err.Retryable {
			m.presence.onRefused(r.err.RetryAfter)
		}
	})
}

// sendMutation pushes a mutation while the channel is live. onReply is not called
// when the connection ends first: what a join that is gone has to say, the next
// one's synced says as well.
func (m *membership) sendMutation(payload []byte, onReply func(*protocol.Outcome, *reply)) bool {
	joinRef := m.joinRef
	return m.live && m.push(protocol.EventMutate, payload, func(r reply) {
		if joinRef != m.joinRef {
			return
		}
		if r.err != nil {
			onReply(nil, &r)
			return
		}
		o, err := decodeOutcome(r.response)
		if err != nil {
			m.c.report("an answer to a mutation was dropped", err)
			return
		}
		onReply(o, nil)
	})
}

// ---- what records need: a membership is their storeHost

func (m *membership) client() string      { return m.clientID }
func (m *membership) seenOffset() uint64  { return m.position.Offset }
func (m *membership) logEpoch() string    { return m.log }
func (m *membership) refusal()            { m.c.stats.Refusals++ }
func (m *membership) author() string      { return m.subject }
func (m *membership) bounds() limits      { return m.limits }
func (m *membership) emit(e Event)        { m.c.emit(e) }
func (m *membership) stopAlarm(al *alarm) { m.c.alarms.stop(al) }
func (m *membership) startAlarm(d time.Duration, fire func()) *alarm {
	return m.c.alarms.start(d, fire)
}

// settled hears that fewer writes are pending. The membership may be over by that,
// but not in the middle of what the records do.
func (m *membership) settled() {
	m.c.settled.ring()
	if len(m.claims) == 0 {
		m.c.alarms.start(0, m.closeWhenSettled)
	}
}

// renewClient takes another client id for the records of this channel: the server
// has forgotten the old one.
func (m *membership) renewClient() {
	id, err := uuid.NewV7()
	if err != nil { // the system has no chance left to give; the old id stays
		m.c.report("no new client id", err)
		return
	}
	m.clientID = id.String()
	m.rejoinSoon()
}

// serverNow is the server's time as well as this client knows it, Unix ms.
func (m *membership) serverNow() int64 { return time.Now().Add(m.clockAhead).UnixMilli() }

// ---- what the server says

// onFrame takes a frame of this topic that is no reply.
func (m *membership) onFrame(f *protocol.Frame) error {
	if f.JoinRef != "" && f.JoinRef != m.joinRef {
		return nil // of an incarnation that is gone
	}
	switch f.Event {
	case protocol.EventError:
		m.retry(&Error{Code: CodeChannelError, Message: "the server ended the channel; joining again", Retryable: true}, false)
		return nil
	case protocol.EventClose:
		m.retry(&Error{Code: CodeChannelClosed, Message: "the server closed the channel; joining again", Retryable: true}, true)
		return nil
	}
	if !m.joined {
		return nil
	}
	switch f.Event {
	case protocol.EventBroadcast:
		return m.onBroadcast(f)
	case protocol.EventPresenceState:
		return m.presence.onState(f.Payload)
	case protocol.EventPresenceDiff:
		return m.presence.onDiff(f.Payload)
	case protocol.EventRecords:
		page, err := decodeRecords(f.Payload)
		if err == nil {
			m.records.onRecords(page)
		}
		return err
	case protocol.EventChange:
		change, err := decodeChange(f.Payload)
		if err == nil {
			m.repeated(!m.advance(change.Offset) && m.live)
			m.records.onChange(change)
		}
		return err
	case protocol.EventSynced:
		return m.onSynced(f.Payload)
	}
	return nil
}

func (m *membership) onBroadcast(f *protocol.Frame) error {
	w, err := decodeBroadcast(f)
	if err != nil {
		return err
	}
	if w.offset > 0 && !m.advance(w.offset) {
		m.repeated(m.live)
		return nil
	}
	// A publisher that got no answer publishes again, perhaps into another epoch.
	if w.offset > 0 && w.id != "" && !m.seen.add(w.id) {
		m.repeated(m.isOneLog)
		return nil
	}
	message := Message{
		ID: w.id, Channel: m.name, Event: w.event, Payload: w.payload, Binary: w.binary, IsBinary: w.isBinary,
		Offset: w.offset, Replayed: w.replayed, Own: w.id != "" && m.own.has(w.id),
	}
	if w.offset > 0 {
		message.Epoch = m.log
	}
	for claim := range m.claims {
		claim.handOn(message)
	}
	return nil
}

// repeated counts what came a second time, unless there is a reason: a catch-up
// that was cut short and begun again, or a log that goes on as another one.
func (m *membership) repeated(isOdd bool) {
	if isOdd {
		m.c.stats.Repeats++
	}
}

// advance says whether an offset is new.
func (m *membership) advance(offset uint64) bool {
	if offset <= m.delivered {
		return false
	}
	m.delivered = offset
	if m.live {
		m.position.Offset = offset
	}
	return true
}

func (m *membership) onSynced(payload []byte) error {
	s, err := decodeSynced(payload)
	if err != nil {
		return err
	}
	m.delivered = max(m.delivered, s.Offset)
	m.position = Position{s.Epoch, m.delivered}
	m.live, m.attempt = true, 0
	m.c.stats.Joins++
	if m.resumed {
		m.c.stats.Resumes++
	}
	m.records.onSynced(s)
	m.synced = true
	m.show(Joined, nil)
	m.queue.flush()
	m.rejoinSoon()
	return nil
}

// resync tells everybody who reads messages that some were missed, up to at.
func (m *membership) resync(reason ResyncReason, at Position) {
	m.c.stats.Resyncs++
	missed := &Resync{Channel: m.name, Reason: reason, Position: at}
	for claim := range m.claims {
		claim.resync(missed)
	}
	m.c.emit(missed)
}

// ---- what is shown

func (m *membership) show(s ChannelState, e *Error) {
	if m.state == s && m.err == e && s != Joined {
		return
	}
	m.state, m.err = s, e
	m.changed.ring()
}

func (m *membership) status() ChannelStatus {
	s := ChannelStatus{State: m.state, Synced: m.synced, Position: m.position}
	if m.err != nil {
		s.Err = m.err
	}
	return s
}

// want adds the wishes of another claim.
func (m *membership) want(o *ChannelOptions) {
	m.wantsPresence = m.wantsPresence || o.Presence
	for _, name := range o.Collections {
		m.records.keep(name)
	}
	m.rejoinSoon()
}
