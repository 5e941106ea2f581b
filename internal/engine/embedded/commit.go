package embedded

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

const (
	// trimBatch is how many dropped entries collect before an append deletes them
	// from the store, so that not every batch has to say where the log begins
	// now. The sweep deletes what is left.
	trimBatch = 64
	// rangeAbove is how many entries are deleted one by one at most. A range
	// costs the same for any number, but every read that follows pays for the
	// ranges in Pebble's memtable: with a thousand busy channels opening another
	// one took 6 ms at p99 instead of 0.3 ms, and appends a quarter more.
	rangeAbove = 4 * trimBatch
)

// change is what one commit does to a channel besides adding the new entries.
type change struct {
	channel          *channel
	header           *header           // to be written
	dropFrom, dropTo uint64            // entries to be deleted, dropTo excluded
	spare            []uint64          // those of them that stay
	dropSingly       []uint64          // more entries to be deleted
	dropKeys         []string          // of old tombstones
	records          []*chanlog.Record // all that is kept, of a channel that comes to disk
	values           []*chanlog.Value  // likewise
	forget           bool              // delete the header as well
}

// plan decides what a commit does to the channel. The shard is locked.
func (c *channel) plan(generation string, maintain bool, forgetBefore int64) change {
	ch := change{channel: c}
	switch {
	case maintain && c.forgettable(forgetBefore):
		ch.forget = true
		ch.dropFrom, ch.dropTo, ch.dropSingly = c.diskFirst, c.Head+1, c.diskLost
		return ch
	case !c.onDisk:
		ch.records, ch.values = c.kept(), c.Values.Snapshot()
		c.diskFirst, c.diskLost, c.diskKeys, c.headerStale = c.FirstKept(), nil, nil, true
	}
	first := c.FirstKept()
	if gone := first - c.diskFirst; gone >= trimBatch || maintain && gone > 0 {
		ch.dropFrom, ch.dropTo, ch.spare = c.diskFirst, first, c.Kept.Between(c.diskFirst, first)
		c.diskFirst, c.headerStale = first, true
	}
	ch.dropSingly, c.diskLost = c.diskLost, nil
	ch.dropKeys, c.diskKeys = c.diskKeys, nil
	if c.headerStale {
		h := c.header(generation)
		ch.header, c.headerStale = &h, false
	}
	return ch
}

// forgettable says whether only the position is left of a stored channel, and
// is of no use any more. The one op in the queue is the sweep's.
func (c *channel) forgettable(appendedBefore int64) bool {
	return c.onDisk && c.Tail.Len() == 0 && c.Kept.Len() == 0 && c.Values.Len() == 0 && len(c.Leases) == 0 &&
		len(c.Watchers) == 0 && c.queued == 1 && c.Appended <= appendedBefore
}

// planLocked marks the ops that stand or fall with the store, and plans what
// their commit does. It says whether there are any.
func (s *shard) planLocked(ops []*op) bool {
	s.changes = s.changes[:0]
	stored := false
	for _, o := range ops {
		c := o.ch
		switch o.kind {
		case opAppend, opAnswer:
			// An answer rests on an entry that was sequenced before it, perhaps in
			// a commit that failed.
			o.persist = c.durable
		case opMaintain:
			o.persist = true
		}
		stored = stored || o.persist
		if o.persist && o.kind != opAnswer && !c.inCommit {
			c.inCommit = true
			maintain := o.kind == opMaintain
			s.changes = append(s.changes, c.plan(s.engine.store.generation, maintain, s.engine.tombstonesBefore()))
		}
	}
	return stored
}

// commit writes what the ops and the planned changes need, as durably as the
// most demanding of the ops asks.
func (s *shard) commit(ops []*op) error {
	st := s.engine.store
	if len(s.changes) == 0 {
		return st.failure()
	}
	b := st.db.NewBatch()
	w := batchWriter{b: b, buf: s.scratch}
	for i := range s.changes {
		w.change(&s.changes[i])
	}
	durability := engine.OS
	for _, o := range ops {
		if !o.persist || o.kind != opAppend {
			continue
		}
		durability = max(durability, o.durability)
		w.entry(o.ch.Name, o.Record)
		for i := range o.Puts {
			w.value(o.ch.Name, &o.Puts[i].Value)
		}
	}
	s.scratch = w.buf[:0]
	if w.err != nil { // as with any commit that failed: what was sequenced has no place any more
		st.health.fail(w.err)
		return errors.Join(w.err, b.Close())
	}
	return errors.Join(st.commit(b, durability), b.Close())
}

// settleLocked notes what a commit did.
func (s *shard) settleLocked(ops []*op, err error) {
	for i := range s.changes {
		c := s.changes[i].channel
		c.inCommit = false
		if err == nil {
			c.onDisk = !s.changes[i].forget
		}
	}
	clear(s.changes)
	if err == nil {
		return
	}
	for _, o := range ops {
		if o.persist {
			o.Err = err
		}
	}
}

// tombstonesBefore is the instant (Unix ms) up to which tombstones are dropped.
func (e *Engine) tombstonesBefore() int64 { return e.now() - e.options.TombstoneAge.Milliseconds() }

// now is the clock in Unix ms.
func (e *Engine) now() int64 { return e.options.Clock().UnixMilli() }

// batchWriter encodes into a batch. The first error stays.
type batchWriter struct {
	b   *pebble.Batch
	buf []byte // a key, then a value; reused
	err error
}

func (w *batchWriter) set(key int) {
	if w.err == nil {
		w.err = w.b.Set(w.buf[:key], w.buf[key:], nil)
	}
}

func (w *batchWriter) entry(name string, r *chanlog.Record) {
	w.buf = appendEntryKey(w.buf[:0], name, r.Offset)
	key := len(w.buf)
	w.buf = chanlog.AppendEntry(w.buf, r)
	w.set(key)
}

func (w *batchWriter) value(name string, v *chanlog.Value) {
	w.buf = appendValueKey(w.buf[:0], name, v.Key)
	key := len(w.buf)
	w.buf = chanlog.AppendValue(w.buf, v)
	w.set(key)
}

// drop deletes the entries from one offset up to another, which is excluded.
func (w *batchWriter) drop(name string, from, to uint64) {
	if to > from+rangeAbove && w.err == nil {
		w.buf = appendEntryKey(w.buf[:0], name, from)
		split := len(w.buf)
		w.buf = appendEntryKey(w.buf, name, to)
		w.err = w.b.DeleteRange(w.buf[:split], w.buf[split:], nil)
		return
	}
	for ; from < to && w.err == nil; from++ {
		w.buf = appendEntryKey(w.buf[:0], name, from)
		w.err = w.b.Delete(w.buf, nil)
	}
}

// change writes deletions first: a key whose tombstone is dropped may be set
// again by an entry of the same batch.
func (w *batchWriter) change(ch *change) {
	name := ch.channel.Name
	from := ch.dropFrom
	for _, spare := range ch.spare {
		w.drop(name, from, spare)
		from = spare + 1
	}
	w.drop(name, from, ch.dropTo)
	for _, off := range ch.dropSingly {
		w.drop(name, off, off+1)
	}
	for _, k := range ch.dropKeys {
		if w.err == nil {
			w.buf = appendValueKey(w.buf[:0], name, k)
			w.err = w.b.Delete(w.buf, nil)
		}
	}
	w.buf = appendHeaderKey(w.buf[:0], name)
	switch key := len(w.buf); {
	case ch.forget && w.err == nil:
		w.err = w.b.Delete(w.buf, nil)
	case ch.header != nil:
		w.buf = appendHeader(w.buf, ch.header)
		w.set(key)
	}
	for _, r := range ch.records {
		w.entry(name, r)
	}
	for _, v := range ch.values {
		w.value(name, v)
	}
}
