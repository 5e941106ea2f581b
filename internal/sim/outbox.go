package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// outbox is the writes that have not settled, in order of n.
type outbox struct {
	writes []*write
	next   uint64
	at     time.Time // of the newest stamp
	tick   uint16
}

type write struct {
	mutation protocol.Mutation
	sent     bool
	tries    int
	onOther  bool // the records are another log's since
	answer   *protocol.Outcome
}

func (o *outbox) byNumber(n uint64) *write {
	for _, w := range o.writes {
		if w.mutation.N == n {
			return w
		}
	}
	return nil
}

func (o *outbox) remove(w *write) {
	for i, x := range o.writes {
		if x == w {
			o.writes = append(o.writes[:i:i], o.writes[i+1:]...)
			return
		}
	}
}

// answered returns the writes whose answer spoke of a place up to an offset.
func (o *outbox) answered(upTo uint64) (out []*write) {
	for _, w := range o.writes {
		if w.answer != nil && w.answer.Offset <= upTo {
			out = append(out, w)
		}
	}
	return out
}

// begin forgets what was told in another epoch.
func (r *records) begin() { r.told = make(map[string]bool) }

// reloaded hears that the records are another log's: what is pending may look
// different on them.
func (o *outbox) reloaded() {
	for _, w := range o.writes {
		w.onOther = true
	}
}

func (o *outbox) down() {
	for _, w := range o.writes {
		w.sent = false
	}
}

// live hears up to which number the log has this client's mutations: they were
// settled just now.
func (o *outbox) live(m *membership, last uint64) {
	expected := o.next
	if len(o.writes) > 0 {
		expected = o.writes[0].mutation.N
	}
	if expected > last+1 {
		m.world().fail("[R4] the log of %s ends at mutation %d of %s, who has settled %d", m.log(), last, m.clientID, expected-1)
	}
	if m.world().options.Faults.RenumbersResent {
		for _, w := range o.writes {
			if w.tries > 0 {
				w.mutation.N = o.next
				o.next++
			}
		}
	}
}

// stamp is the next instant of the client's clock.
func (o *outbox) stamp(now time.Time) string {
	if now.UnixMilli() > o.at.UnixMilli() {
		o.at, o.tick = now, 0
	} else {
		o.tick++
	}
	return protocol.FormatTime(o.at.UnixMilli(), o.tick)
}

// flush sends what was not sent in this incarnation.
func (o *outbox) flush(m *membership) {
	for _, w := range o.writes {
		if w.sent {
			continue
		}
		w.sent = true
		if w.tries++; w.tries > 1 {
			m.world().counts.Repeats++
		}
		ref := m.client.push(m.joinRef, m.topic(), protocol.EventMutate, []byte(text(&w.mutation)))
		m.waits[ref] = func(r reply) { m.told(w, r) }
	}
}

// told takes the answer to a mutation. It settles the write when the stream is
// past its place; an error means that the number was not consumed.
func (m *membership) told(w *write, r reply) {
	if m.outbox.byNumber(w.mutation.N) != w {
		return // its change came before
	}
	if r.Status == "ok" {
		o := r.Response.Outcome
		m.checkOutcome(w, o.Status, o.Offset)
		w.answer = &o
		if m.position != nil && o.Offset <= max(m.position.Offset, m.records.upTo) {
			m.settle(w, o)
		}
		return
	}
	switch code := r.Response.Code; {
	case code == protocol.CodeOutOfOrder, code == protocol.CodeClientUnknown, r.Response.Retryable:
		if code == protocol.CodeOutOfOrder && r.Response.Expect < m.outbox.writes[0].mutation.N {
			m.world().fail("[R4] mutation %d of %s is due again, which has settled", r.Response.Expect, m.clientID)
		}
		for _, x := range m.outbox.writes {
			if x.mutation.N >= w.mutation.N {
				x.sent = false
			}
		}
	default:
		m.world().fail("[R4] mutation %d of %s: %s: %s", w.mutation.N, m.clientID, code, r.Response.Reason)
	}
}

// settle ends a write.
func (m *membership) settle(w *write, o protocol.Outcome) {
	m.checkOutcome(w, o.Status, o.Offset)
	if !m.world().options.Faults.KeepsSettled {
		m.outbox.remove(w)
	}
	m.world().answered(&w.mutation, o)
}

// mutate makes a write of something the client sees, or something like it.
func (m *membership) mutate() {
	w := m.world()
	id := fmt.Sprintf("r%d", w.rng.IntN(6))
	rec := m.view(id)
	o := &m.outbox
	mut := protocol.Mutation{
		Client: m.clientID, N: o.next, ID: uuid.NewString(), Collection: m.spec.collection, Record: id,
		At: o.stamp(w.now().Add(m.client.skew)), Op: protocol.OpPatch,
	}
	if m.position != nil {
		mut.Base = m.position.Offset
	}
	switch dice := w.rng.IntN(10); {
	case rec == nil || dice == 0:
		mut.Op = protocol.OpPut
	case rec.Deleted != "":
		mut.Op = protocol.OpRestore
	case dice == 1:
		mut.Op = protocol.OpDelete
	}
	if mut.Op != protocol.OpDelete {
		m.fill(&mut)
	}
	if w.rng.IntN(3) == 0 {
		version := uint64(0)
		if base := m.records.base[id]; base != nil {
			version = base.Version
		}
		mut.IfVersion = &version
	}
	o.next++
	o.writes = append(o.writes, &write{mutation: mut})
	w.asks(&mut)
	m.flush()
}

func (m *membership) fill(mut *protocol.Mutation) {
	w := m.world()
	w.messages++
	mut.Fields = map[string]json.RawMessage{}
	for _, name := range []string{"title", "body"} {
		if w.rng.IntN(2) == 0 {
			mut.Fields[name] = json.RawMessage(fmt.Sprint(w.messages))
		}
	}
	if w.rng.IntN(3) == 0 {
		mut.Sets = map[string]map[string]bool{"tags": {string(rune('x' + w.rng.IntN(3))): w.rng.IntN(2) == 0}}
	}
	mut.Counters = map[string]float64{"votes": float64(1 + w.rng.IntN(3))}
}
