package sim

import (
	"encoding/json"

	"github.com/chorale-rt/chorale/protocol"
)

// records is what the server told of a collection.
type records struct {
	base   map[string]*protocol.Record // tombstones included as far as they are known
	pages  []protocol.RecordsPage      // until synced
	upTo   uint64                      // the base holds everything up to here
	synced uint64                      // offset of the newest synced
	loaded bool
	told   map[string]bool // ids of all that it was told of in this epoch
}

// held names the collections that the client has at its position.
func (r *records) held(spec *channelSpec) []string {
	if r.loaded {
		return []string{spec.collection}
	}
	return []string{}
}

func (r *records) stage(p protocol.RecordsPage) {
	if p.Reset {
		r.pages = nil
	}
	r.pages = append(r.pages, p)
}

// commit takes the pages that came with a catch-up.
func (r *records) commit(m *membership) {
	for _, p := range r.pages {
		if p.Reset {
			r.base, r.loaded = make(map[string]*protocol.Record), true
		}
		for _, raw := range p.Records {
			rec := new(protocol.Record)
			if err := json.Unmarshal(raw, rec); err != nil {
				m.world().fail("record %s: %v", raw, err)
				return
			}
			r.base[rec.ID], r.told[rec.ID] = rec, true
		}
		r.upTo = p.Offset
	}
	r.pages = nil
	m.checkBase()
}

// change takes a change: an applied one into the base, an own one out of the
// outbox.
func (r *records) change(m *membership, c *protocol.Change) {
	own := (*write)(nil)
	if c.Client == m.clientID {
		own = m.outbox.byNumber(c.N)
	}
	before, known := m.view(c.Record), m.knows(c.Record, c.Offset)
	if c.Status == protocol.StatusApplied && c.Offset > r.upTo {
		r.upTo = c.Offset
		if next := applied(r.base[c.Record], c); next != nil {
			r.base[c.Record], r.told[c.Record] = next, true
		}
		m.checkRecord(c.Record)
	}
	if own != nil {
		o := protocol.Outcome{N: c.N, Offset: c.Offset, Status: c.Status, Error: c.Error}
		if c.Status != protocol.StatusApplied {
			o.State = c.State
		}
		m.settle(own, o)
		if c.Status == protocol.StatusApplied && known {
			m.checkOwn(own, before, m.view(c.Record))
		}
	}
	for _, w := range m.outbox.answered(c.Offset) {
		m.settle(w, *w.answer)
	}
	m.flush()
}

// view is a record as its user sees it: as it is in the log, with what is
// pending.
func (m *membership) view(id string) *protocol.Record {
	rec := m.records.base[id]
	for _, w := range m.outbox.writes {
		if w.mutation.Record == id {
			rec, _ = merged(rec, &w.mutation)
		}
	}
	return rec
}
