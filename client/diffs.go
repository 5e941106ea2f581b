package client

import (
	"maps"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

// RecordDiff is how the records of a collection have changed in the channel's log.
// What this client has written is in it when the server has taken it, and not
// before.
type RecordDiff struct {
	// Position up to which the records are told of.
	Position Position
	// Loaded is true of what came with a join: what happened to a record meanwhile
	// comes as one change, and Changed may have records that are as they were.
	Loaded bool
	// Mutation is the id of the one write that did it, [Mutation].ID for its author,
	// and By its author as a token's sub. They are "" with Loaded.
	Mutation, By string
	Changed      []*Record // as they are now, ordered by id
	Deleted      []string  // ids, in order
}

// Diffs begins a stream of what happens to the collection's records, in the order
// of the log, for programs that keep something in step with them: an index, a
// table, a queue. The first has all that are there now, when they are loaded
// already. While the channel is joined each change comes by itself; after a
// disconnect there is one diff of what happened meanwhile. It ends when it is
// closed, or with the claim.
func (co *Collection) Diffs() *Stream[RecordDiff] {
	ch, k, m := co.ch, co.k, co.ch.m
	s := newStream[RecordDiff](&m.c.opts, func() error { return &Resync{Channel: m.name, Reason: ResyncSlow} })
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if ch.released || m.ended != nil {
		s.end(ch.whyReleased())
		return s
	}
	if k.base.loaded {
		s.push(itemOf(k.loadedDiff(m.log, k.base.records)))
	}
	ch.records[s], k.diffs[s] = k, struct{}{}
	s.onClose = func() {
		m.c.mu.Lock()
		defer m.c.mu.Unlock()
		delete(ch.records, s)
		delete(k.diffs, s)
	}
	return s
}

// tellChange tells of an applied change that made a record what it is now.
func (k *kept) tellChange(epoch string, c *protocol.Change, now *protocol.Record) {
	if len(k.diffs) == 0 {
		return
	}
	d := RecordDiff{Position: Position{epoch, c.Offset}, Mutation: c.ID, By: c.By}
	if isAlive(now) {
		d.Changed = []*Record{recordOf(now, 0)}
	} else {
		d.Deleted = []string{now.ID}
	}
	k.tell(d)
}

// tellLoaded tells of the records that came with a join, by what they were before.
func (k *kept) tellLoaded(epoch string, before map[string]*protocol.Record) {
	if len(k.diffs) > 0 {
		k.tell(k.loadedDiff(epoch, before))
	}
}

// loadedDiff is how the records that are named have come to be what they are.
func (k *kept) loadedDiff(epoch string, named map[string]*protocol.Record) RecordDiff {
	d := RecordDiff{Position: Position{epoch, k.base.upTo}, Loaded: true}
	for _, id := range slices.Sorted(maps.Keys(named)) {
		switch now := k.base.records[id]; {
		case isAlive(now):
			d.Changed = append(d.Changed, recordOf(now, 0))
		case isAlive(named[id]):
			d.Deleted = append(d.Deleted, id)
		}
	}
	return d
}

func (k *kept) tell(d RecordDiff) {
	it := itemOf(d)
	for s := range k.diffs {
		s.push(it)
	}
}

// itemOf is a diff with about its size.
func itemOf(d RecordDiff) item[RecordDiff] {
	bytes := 256
	for _, r := range d.Changed {
		bytes += 256
		for _, value := range r.Values {
			bytes += len(value)
		}
	}
	return item[RecordDiff]{value: d, bytes: bytes}
}
