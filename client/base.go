package client

import (
	"github.com/chorale-rt/chorale/protocol"
)

// A base is what the server told of one collection: every record as it is in the
// log, tombstones included as far as they are known.
//
// Pages wait until commit. Between the first page and synced the records are
// neither what they were nor what they are, and writes that the pages hold
// already have not been settled yet: shown then, they would be shown twice.
type base struct {
	records map[string]*protocol.Record
	pages   []recordsPage
	upTo    uint64 // the records hold everything up to this offset
	loaded  bool   // the whole collection was told
}

// stage keeps a page for commit. Pages of a catch-up that was cut off are kept
// too: the next one may go on from behind them.
func (b *base) stage(p recordsPage) {
	if p.reset {
		b.pages = nil
	}
	b.pages = append(b.pages, p)
}

// commit takes the staged pages. It says which records they touched, with what was
// there before, and whether they were the whole collection.
func (b *base) commit() (touched map[string]*protocol.Record, whole bool) {
	touched = map[string]*protocol.Record{}
	touch := func(id string) {
		if _, known := touched[id]; !known {
			touched[id] = b.records[id]
		}
	}
	for _, p := range b.pages {
		if p.reset {
			for id := range b.records {
				touch(id)
			}
			b.records, b.loaded, whole = map[string]*protocol.Record{}, true, true
		}
		for _, r := range p.records {
			touch(r.ID)
			put(&b.records, r.ID, r)
		}
		b.upTo = p.offset
	}
	b.pages = nil
	return touched, whole
}

// newestTime is the newest time in the staged pages, for the clock.
func (b *base) newestTime() string {
	newest := ""
	for _, p := range b.pages {
		for _, r := range p.records {
			newest = max(newest, newestStamp(r).Time())
		}
	}
	return newest
}

// apply takes an applied change. after is nil when it is in the records already,
// or is not about one that is known.
func (b *base) apply(c *protocol.Change) (before, after *protocol.Record) {
	if c.Offset <= b.upTo {
		return nil, nil
	}
	b.upTo = c.Offset
	before = b.records[c.Record]
	if after = c.Apply(before); after != nil {
		put(&b.records, c.Record, after)
	}
	return before, after
}

// newestStamp is the newest stamp in a record, of a field, an element or the
// deletion; "" when there is none.
func newestStamp(r *protocol.Record) protocol.Stamp {
	newest := r.Deleted
	for _, stamp := range r.Stamps {
		newest = max(newest, stamp)
	}
	for _, elements := range r.SetStamps {
		for _, sign := range elements {
			newest = max(newest, protocol.Stamp(sign[1:]))
		}
	}
	return newest
}
