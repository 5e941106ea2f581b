package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// maxRounds is how often everything is carried to its end until nothing is left
// to carry. Who needs more does not come to rest.
const maxRounds = 400

// settle ends all trouble, lets everybody come back and finish, and demands that
// all are told the same.
func (w *World) settle() {
	w.tick()
	w.load(0)
	for _, s := range w.servers {
		s.skew = time.Duration(s.index) * 37 * time.Millisecond
		if c, ok := s.seam.Engine.(*witness); ok {
			c.node.loseAnswer = false
			c.node.heal()
		}
	}
	for _, l := range w.links {
		l.stalled = false
	}
	for range maxRounds {
		if w.fault != nil {
			return
		}
		if w.settled() {
			w.rest()
			if w.settled() { // and no token has expired meanwhile
				w.checkEqual()
				return
			}
		}
		w.round()
	}
	w.fail("the world does not come to rest: %s", w.unsettled())
}

// round carries everything once.
func (w *World) round() {
	w.tick()
	w.resumeAll()
	for _, l := range slices.Clone(w.links) {
		if (l.gone || l.isClosing()) && !l.ended {
			w.quiet.Store(true)
			w.hangUp(l)
			w.quiet.Store(false)
		}
	}
	w.sweep()
	for w.carryUp() && w.fault == nil {
		w.resumeAll()
		for w.carryDown() && w.fault == nil {
			w.sweep()
		}
	}
	w.pump()
	for w.carryDown() && w.fault == nil {
		w.sweep()
	}
	for _, c := range w.clients {
		if c.link == nil {
			c.connect(w.servers[w.rng.IntN(len(w.servers))])
			continue
		}
		for _, m := range c.memberships {
			if m.joinRef == "" {
				m.join()
			}
			m.present.say(m)
			m.flush()
		}
	}
	if w.service.pending != nil || w.service.said != nil {
		w.service.ask(w.servers[0])
		w.resumeAll()
	}
	w.pass(250 * time.Millisecond)
}

// pump lets every node hear everything.
func (w *World) pump() {
	c, ok := w.backend.(*cluster)
	if !ok {
		return
	}
	for _, node := range c.log.nodes {
		for _, name := range sortedKeys(node.feeds) {
			node.feeds[name].deliver(-1)
			node.feeds[name].repair()
		}
	}
}

// rest waits for presence that has to wait for its slot (L4), and lets everybody
// hear of it.
func (w *World) rest() {
	w.pass(3 * time.Second)
	w.pump()
	for w.carryDown() && w.fault == nil {
		w.sweep()
	}
}

func (w *World) settled() bool { return w.unsettled() == "" }

// unsettled says what is still to be done; "" for nothing.
func (w *World) unsettled() string {
	for _, l := range w.links {
		if l.gone || l.isClosing() || len(l.up) > 0 || l.waiting() > 0 {
			return fmt.Sprintf("link %d: %d frames up, %d down, closing %v", l.number, len(l.up), l.waiting(), l.isClosing())
		}
	}
	if w.service.busy || w.service.pending != nil || w.service.said != nil {
		return "the service was not answered"
	}
	for _, c := range w.clients {
		if c.link == nil {
			return fmt.Sprintf("client %d is not connected", c.index)
		}
		for _, m := range c.memberships {
			if !m.live || len(m.outbox.writes) > 0 && !w.options.Faults.KeepsSettled || len(m.posts) > 0 || m.present.said != m.present.state {
				return fmt.Sprintf("client %d in %s: live %v, %d writes, %d posts, presence %d of %d", c.index, m.spec.name, m.live, len(m.outbox.writes), len(m.posts), m.present.said, m.present.state)
			}
		}
	}
	return ""
}

// checkEqual compares what everybody was told in the end (R1, R3, R5).
func (w *World) checkEqual() {
	present := map[string]map[string]int{}
	for _, c := range w.clients {
		for _, m := range c.memberships {
			if present[m.spec.name] == nil {
				present[m.spec.name] = map[string]int{}
			}
			if m.present.state != 0 {
				present[m.spec.name][fmt.Sprintf("%s:%d", c.sub, m.present.state)]++
			}
		}
	}
	for _, c := range w.clients {
		for _, m := range c.memberships {
			w.checkEnd(m, text(present[m.spec.name]))
		}
	}
	for _, s := range w.servers {
		w.verify(s)
		w.checkLoaded(s)
	}
}

func (w *World) checkEnd(m *membership, present string) {
	log := w.truth.log(m.log(), m.seen.epoch)
	if last := w.truth.last[m.log()]; last != nil && last != log && len(last.entries) > 0 && m.seen.epoch != last.epoch {
		w.fail("[R3] client %d ends in %s of %s, whose newest log is %s", m.client.index, m.seen.epoch, m.log(), last.epoch)
	}
	if missed := between(log.messages, m.seen.message, uint64(len(log.entries))+1); missed != 0 {
		w.fail("[R3] client %d was never told message %d of %s", m.client.index, missed, m.log())
	}
	if got := m.present.seenAs(); got != present {
		w.fail("[P3] client %d sees %s in %s; there are %s", m.client.index, got, m.log(), present)
	}
	if m.spec.collection == "" {
		return
	}
	for _, id := range sortedKeys(log.records) {
		want := log.record(id, uint64(len(log.entries)))
		if got := m.view(id); !sameContent(want, got) {
			w.fail("[R5] client %d shows %s as %s; it is %s", m.client.index, id, text(got), text(want))
		}
	}
}

// checkLoaded compares what a server loads with the truth.
func (w *World) checkLoaded(s *server) {
	w.quiet.Store(true)
	defer w.quiet.Store(false)
	at, list, err := s.deps.Collections.Load(context.Background(), room.Log(), "notes", 0)
	if err != nil {
		w.fail("load: %v", err)
		return
	}
	log := w.truth.log(room.Log(), at.Epoch)
	loaded := map[string]*protocol.Record{}
	for _, stored := range list {
		rec := new(protocol.Record)
		if err := json.Unmarshal(stored.Append(nil), rec); err != nil {
			w.fail("load: %v", err)
			return
		}
		loaded[rec.ID] = rec
	}
	for _, id := range sortedKeys(log.records) {
		want := log.record(id, at.Offset)
		if got := loaded[id]; !sameRecord(want, got) && (got != nil || !gone(want)) {
			w.fail("[R5] the server has %s as %s; it is %s", id, text(got), text(want))
		}
	}
}

var _ engine.Engine = (*witness)(nil)
