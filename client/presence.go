package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	// trackEvery is between two tracks at least: a cursor looks smooth at ten a second.
	trackEvery = 100 * time.Millisecond
	// Diffs that may wait for their state. It follows a join at once (J1), so more
	// than a few mean that none will come.
	maxEarlyDiffs = 1_000
)

// Member is somebody in a channel.
type Member struct {
	Key string
	// State is the newest that the key said of itself, a JSON object; States has one
	// for each of its connections, oldest first. They must not be changed.
	State  json.RawMessage
	States []json.RawMessage
	Own    bool // it is this client
}

// PresenceDiff is how members have changed. Each list is ordered by key.
type PresenceDiff struct{ Joined, Changed, Left []Member }

// Presence is who is in a channel, and what this client says of itself there. It
// is lossy: states in between may not be seen, and the newest wins.
//
// Its methods may be called concurrently.
type Presence struct{ ch *Channel }

// Presence makes this client see who is in the channel.
func (ch *Channel) Presence() *Presence {
	m := ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.wantPresence()
	return &Presence{ch}
}

func (m *membership) wantPresence() {
	if !m.wantsPresence {
		m.wantsPresence = true
		m.rejoinSoon()
	}
}

// Track says something of this client: a value that is a JSON object of up to
// 16 KiB. It is said again after each reconnect, until Untrack, or until the last
// Channel through which something was said is released. Others see it in a
// moment; who tracks faster than ten times a second has the newest seen.
func (p *Presence) Track(state any) error {
	raw, err := marshal(state)
	switch {
	case err != nil:
		return fmt.Errorf("track in %s: %w", p.ch.m.name, err)
	case raw[0] != '{':
		return fmt.Errorf("track in %s: %T is no JSON object", p.ch.m.name, state)
	case len(raw) > protocol.MaxPresenceBytes:
		return &Error{Code: protocol.CodePayloadTooLarge, Message: "what a member says of itself is limited to 16 KiB"}
	}
	m := p.ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if p.ch.released || m.ended != nil {
		return p.ch.whyReleased()
	}
	p.ch.takesPart = true
	m.presence.own = raw
	m.wantPresence()
	m.presence.tell()
	return nil
}

// Untrack takes back what was said.
func (p *Presence) Untrack() {
	m := p.ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.presence.clear()
}

// Members is who is in the channel, ordered by key. After a disconnect they stay
// until the server says who is left.
func (p *Presence) Members() []Member {
	m := p.ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return m.presence.members
}

// Watch ranges over the members, the present ones first. What changes while they
// are being handled comes as one. It ends with ctx, or when the channel is left.
func (p *Presence) Watch(ctx context.Context) iter.Seq[[]Member] {
	m := p.ch.m
	return watch(ctx, &m.c.mu, &m.presence.changed, func() ([]Member, bool) { return m.presence.members, m.ended != nil })
}

// Diffs begins a stream of changes: who came, changed and went. The first has all
// who are there now, when somebody is.
func (p *Presence) Diffs() *Stream[PresenceDiff] {
	ch, m := p.ch, p.ch.m
	s := newStream[PresenceDiff](&m.c.opts, func() error { return &Resync{Channel: m.name, Reason: ResyncSlow} })
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if ch.released || m.ended != nil {
		s.end(ch.whyReleased())
		return s
	}
	if d := compare(nil, m.presence.members); !d.isEmpty() {
		s.push(item[PresenceDiff]{value: d, bytes: 1024})
	}
	ch.diffs[s] = struct{}{}
	s.onClose = func() {
		m.c.mu.Lock()
		defer m.c.mu.Unlock()
		delete(ch.diffs, s)
	}
	return s
}

// presence is the presence of one membership. It is guarded by Client.mu.
type presence struct {
	m       *membership
	members []Member
	changed bell
	roster  roster
	// Diffs since the join, until its state is there; hasState once it is.
	early    []rosterDiff
	hasState bool

	own  json.RawMessage // what is to be said; nil for nothing
	told json.RawMessage // what the server was told since the join; nil for nothing
	// rest runs after each track or untrack; nothing is said meanwhile.
	rest *alarm
}

func newPresence(m *membership) *presence { return &presence{m: m} }

func (p *presence) clear() {
	p.own = nil
	p.tell()
}

// tell tells the server what it does not know yet: at once, or when the rest is
// over.
func (p *presence) tell() {
	// Who is about to join again would come, go and come again for the others.
	if p.rest != nil || p.m.rejoin != nil || bytes.Equal(p.own, p.told) {
		return
	}
	payload := []byte(`{"type":"presence","event":"untrack"}`)
	if p.own != nil {
		payload = fmt.Appendf(nil, `{"type":"presence","event":"track","payload":%s}`, p.own)
	}
	if !p.m.say(payload) {
		return // onJoined says it
	}
	p.told = p.own
	p.pause(trackEvery)
}

func (p *presence) pause(d time.Duration) {
	p.m.c.alarms.stop(p.rest)
	p.rest = p.m.c.alarms.start(d, func() {
		p.rest = nil
		p.tell()
	})
}

// onJoined hears that a join was accepted: the server knows nothing of this
// client yet.
func (p *presence) onJoined() {
	p.early, p.hasState = nil, false
	p.onDown()
	p.tell()
}

// onRefused hears that the server did not take what was said; it may later.
func (p *presence) onRefused(after time.Duration) {
	p.told = nil
	p.pause(orDefault(after, retryAfter))
}

// onDown hears that the membership ended. Members stay until the next state.
func (p *presence) onDown() {
	p.m.c.alarms.stop(p.rest)
	p.rest, p.told = nil, nil
}

func (p *presence) onClosed() { p.changed.ring() }

func (p *presence) onState(payload []byte) error {
	r, err := decodeState(payload)
	if err != nil {
		return err
	}
	for _, d := range p.early {
		r = r.apply(d)
	}
	p.early, p.hasState = nil, true
	p.show(r)
	return nil
}

func (p *presence) onDiff(payload []byte) error {
	d, err := decodeDiff(payload)
	switch {
	case err != nil:
		return err
	case p.hasState:
		p.show(p.roster.apply(d))
	case len(p.early) < maxEarlyDiffs:
		p.early = append(p.early, d)
	}
	return nil
}

func (p *presence) show(r roster) {
	members := r.members(p.m.c.id)
	d := compare(p.members, members)
	p.roster = r
	if d.isEmpty() {
		return
	}
	p.members = members
	p.changed.ring()
	for claim := range p.m.claims {
		for s := range claim.diffs {
			s.push(item[PresenceDiff]{value: d, bytes: 1024})
		}
	}
}
