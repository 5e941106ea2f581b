package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// membership is a client's side of one channel: its join, its position, and what
// it was told. What it checks of that is in check.go.
type membership struct {
	client   *client
	spec     *channelSpec
	clientID string

	joinRef string
	joined  bool // the server has said yes
	live    bool // and the catch-up is over
	waits   map[string]func(reply)

	position  *engine.Position // what the next join resumes from
	delivered uint64           // the highest offset that was handed on

	seen    seen
	records records
	outbox  outbox
	posts   []*post
	present presence
}

// post is a broadcast that is not acknowledged yet.
type post struct {
	id      string
	body    string // of the payload, but for the id
	sent    bool   // in this incarnation
	tries   int
	persist bool
}

func newMembership(c *client, spec *channelSpec) *membership {
	m := &membership{client: c, spec: spec, clientID: uuid.NewString()}
	m.outbox.next = 1
	return m
}

func (m *membership) world() *World { return m.client.world }
func (m *membership) topic() string { return protocol.Channel{Name: m.spec.name}.Topic() }
func (m *membership) log() string {
	return protocol.Channel{Name: m.spec.name, Private: m.spec.private}.Log()
}

// join asks to be a member.
func (m *membership) join() {
	chorale := map[string]any{"v": 1, "client": m.clientID}
	if m.spec.collection != "" {
		chorale["collections"] = []string{m.spec.collection}
	}
	if m.position != nil {
		chorale["resume"] = map[string]any{"epoch": m.position.Epoch, "offset": m.position.Offset, "collections": m.records.held(m.spec)}
	}
	payload := text(map[string]any{
		"access_token": m.client.goodToken(),
		"config": map[string]any{
			"broadcast": map[string]any{"ack": true, "self": true},
			"presence":  map[string]any{"enabled": true, "key": m.client.sub},
			"private":   m.spec.private,
			"chorale":   chorale,
		},
	})
	m.down()
	m.joinRef = m.client.push("", m.topic(), protocol.EventJoin, []byte(payload))
	m.waits[m.joinRef] = m.answered
}

// down forgets the incarnation; the position stays.
func (m *membership) down() {
	m.joinRef, m.joined, m.live = "", false, false
	m.waits = make(map[string]func(reply))
	m.outbox.down()
	m.records.pages = nil // the next catch-up begins where this one did
	for _, p := range m.posts {
		p.sent = false
	}
	m.present.down()
}

// leave ends the membership; the client may join again later.
func (m *membership) leave() {
	m.client.push(m.joinRef, m.topic(), protocol.EventLeave, []byte("{}"))
	m.down()
}

// answered takes the answer to a join.
func (m *membership) answered(r reply) {
	joined := r.Response.Chorale
	if r.Status != "ok" || joined == nil {
		if strings.Contains(r.Response.Code, "token") || strings.Contains(r.Response.Code, "jwt") {
			m.client.token = ""
		}
		m.joinRef = ""
		return
	}
	m.joined = true
	m.checkJoined(joined)
	if !joined.Resumed && !m.world().options.Faults.IgnoresResync {
		m.delivered = 0 // the position stays until there is another: records go on from it (S3)
		if m.world().options.Faults.ForgetsPosition {
			m.position = nil
		}
	}
	m.present.say(m)
}

func (m *membership) receive(f *protocol.Frame) {
	switch f.Event {
	case protocol.EventReply:
		if wait := m.waits[f.Ref]; wait != nil {
			delete(m.waits, f.Ref)
			r := decode[reply](m.world(), f.Payload)
			if r.Status != "ok" && r.Response.Code == protocol.CodeUnmatchedTopic {
				m.down()
				return
			}
			wait(r)
		}
		return
	case protocol.EventClose, protocol.EventError:
		if f.Ref == m.joinRef && m.joinRef != "" {
			m.down()
		}
		return
	}
	if !m.joined {
		return
	}
	switch f.Event {
	case protocol.EventBroadcast:
		m.message(f.Payload)
	case protocol.EventPresenceState, protocol.EventPresenceDiff:
		m.present.receive(m, f)
	case protocol.EventRecords:
		m.page(decode[protocol.RecordsPage](m.world(), f.Payload))
	case protocol.EventChange:
		change := decode[protocol.Change](m.world(), f.Payload)
		m.change(&change)
	case protocol.EventSynced:
		m.synced(decode[protocol.Synced](m.world(), f.Payload))
	}
}

func (m *membership) message(payload json.RawMessage) {
	b := decode[struct {
		Meta protocol.BroadcastMeta `json:"meta"`
	}](m.world(), payload)
	if b.Meta.Offset == 0 {
		return // ephemeral
	}
	m.checkMessage(b.Meta.ID, b.Meta.Offset)
	m.advance(b.Meta.Offset)
}

// advance moves the position, which a catch-up that is under way does not.
func (m *membership) advance(offset uint64) {
	m.delivered = max(m.delivered, offset)
	if m.live && m.position != nil {
		m.position = &engine.Position{Epoch: m.position.Epoch, Offset: offset}
	}
}

func (m *membership) change(c *protocol.Change) {
	m.checkChange(c)
	m.advance(c.Offset)
	m.records.change(m, c)
}

func (m *membership) page(p protocol.RecordsPage) {
	m.checkPage(&p)
	m.records.stage(p)
}

func (m *membership) synced(s protocol.Synced) {
	switch {
	case m.records.told == nil:
		m.records.begin()
	case m.position != nil && m.position.Epoch != s.Epoch:
		m.records.begin()
		m.outbox.reloaded()
	}
	m.delivered = max(m.delivered, s.Offset)
	m.position = &engine.Position{Epoch: s.Epoch, Offset: s.Offset}
	m.live = true
	m.checkSynced(&s)
	m.records.commit(m)
	for _, o := range s.Outcomes {
		if w := m.outbox.byNumber(o.N); w != nil {
			m.settle(w, o)
		}
	}
	m.outbox.live(m, s.Last)
	m.flush()
}

// flush sends what waits.
func (m *membership) flush() {
	if !m.live {
		return
	}
	m.outbox.flush(m)
	for _, p := range m.posts {
		if !p.sent {
			m.send(p)
		}
	}
}

// again sends everything that is unsettled once more, as who waits too long for an
// answer does.
func (m *membership) again() {
	if !m.live {
		return
	}
	m.outbox.down()
	for _, p := range m.posts {
		p.sent = false
	}
	m.flush()
}

// publish makes a broadcast, which is sent until it is acknowledged.
func (m *membership) publish(persist bool) {
	w := m.world()
	w.messages++
	m.posts = append(m.posts, &post{
		id: uuid.NewString(), persist: persist,
		body: fmt.Sprintf(`"type":"broadcast","event":"said","payload":{"n":%d,"by":%q}`, w.messages, m.client.sub),
	})
	m.flush()
}

func (m *membership) send(p *post) {
	p.sent = true
	if p.tries++; p.tries > 1 {
		m.world().counts.Repeats++
	}
	if m.world().options.Faults.FreshIDs {
		p.id = uuid.NewString()
	}
	meta := fmt.Sprintf(`"meta":{"id":%q}`, p.id)
	if p.persist {
		meta = fmt.Sprintf(`"meta":{"id":%q,"persist":{"ttl":60}}`, p.id)
	}
	id := p.id
	ref := m.client.push(m.joinRef, m.topic(), protocol.EventBroadcast, []byte("{"+p.body+","+meta+"}"))
	m.waits[ref] = func(r reply) {
		switch {
		case r.Status == "ok":
			m.checkAcknowledged(id, r.Response.ID, r.Response.Offset)
		case r.Response.Retryable:
			p.sent = false
			return
		}
		m.drop(p)
	}
}

func (m *membership) drop(p *post) {
	for i, x := range m.posts {
		if x == p {
			m.posts = append(m.posts[:i], m.posts[i+1:]...)
			return
		}
	}
}

// whisper sends a message that is not logged.
func (m *membership) whisper() {
	m.client.push(m.joinRef, m.topic(), protocol.EventBroadcast,
		[]byte(`{"type":"broadcast","event":"moved","payload":{"x":1},"meta":{"ephemeral":true}}`))
}
