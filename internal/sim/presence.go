package sim

import (
	"encoding/json"
	"fmt"

	"github.com/chorale-rt/chorale/protocol"
)

// presence is what a client says of itself in a channel, and whom it sees there.
type presence struct {
	state  int // what it says; 0 for nothing
	said   int // what it said last in this incarnation
	roster map[string]seenMeta
	told   bool // presence_state has come
}

type seenMeta struct {
	key   string
	State int
}

type metas map[string]struct {
	Metas []struct {
		Ref   string `json:"phx_ref"`
		State int    `json:"state"`
	} `json:"metas"`
}

func (p *presence) down() { p.roster, p.said, p.told = nil, 0, false }

// say brings the server up to what the client wants to be seen as.
func (p *presence) say(m *membership) {
	if p.state == p.said || !m.joined {
		return
	}
	payload := `{"type":"presence","event":"untrack"}`
	if p.state != 0 {
		payload = fmt.Sprintf(`{"type":"presence","event":"track","payload":{"state":%d}}`, p.state)
	}
	p.said = p.state
	ref := m.client.push(m.joinRef, m.topic(), protocol.EventPresence, []byte(payload))
	m.waits[ref] = func(r reply) {
		if r.Status != "ok" {
			p.said = -1 // to be said again
		}
	}
}

// receive folds what the server says of others.
func (p *presence) receive(m *membership, f *protocol.Frame) {
	if f.Event == protocol.EventPresenceState {
		p.roster, p.told = make(map[string]seenMeta), true
		p.add(m, decode[metas](m.world(), f.Payload))
		return
	}
	if !p.told {
		return // public, or without the permission
	}
	diff := decode[struct {
		Joins  metas `json:"joins"`
		Leaves metas `json:"leaves"`
	}](m.world(), f.Payload)
	for _, key := range sortedKeys(diff.Leaves) {
		for _, meta := range diff.Leaves[key].Metas {
			if _, here := p.roster[meta.Ref]; !here {
				m.world().fail("[P1] %s: %s leaves as %s and was not there", m.log(), key, meta.Ref)
			}
			delete(p.roster, meta.Ref)
		}
	}
	p.add(m, diff.Joins)
}

func (p *presence) add(m *membership, list metas) {
	for _, key := range sortedKeys(list) {
		for _, meta := range list[key].Metas {
			if _, here := p.roster[meta.Ref]; here {
				m.world().fail("[P1] %s: %s joins as %s twice", m.log(), key, meta.Ref)
			}
			p.roster[meta.Ref] = seenMeta{key: key, State: meta.State}
		}
	}
}

// seenAs lists the roster as comparable text.
func (p *presence) seenAs() string {
	list := map[string]int{}
	for _, s := range p.roster {
		list[fmt.Sprintf("%s:%d", s.key, s.State)]++
	}
	b, _ := json.Marshal(list) // a map of integers
	return string(b)
}
