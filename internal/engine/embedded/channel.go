package embedded

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// channel is a channel in memory. Everything in it is guarded by its shard's
// lock; while loading is not nil nobody but the loading goroutine may touch the
// rest.
//
// What was sequenced and what was published differ while a commit is under way:
// conditions and idempotency look at the former, readers at the latter.
type channel struct {
	name    string
	epoch   string
	loading chan struct{} // closed when the channel is loaded or failed to; nil afterwards

	sequenced uint64            // newest offset given away
	ids       map[string]uint64 // offsets of sequenced or kept entries that have an ID
	durable   bool              // something durable was sequenced: everything is persisted
	retention engine.Retention  // of the newest append
	appended  int64             // Unix ms of the newest append
	holders   map[string]bool   // who has a lease once everything queued is done

	head          uint64 // newest published offset
	tail          tail
	kept          kept
	values        values
	lostUnkeyed   uint64 // highest offset of a dropped entry that set no key
	lostTombstone uint64 // highest version of a dropped tombstone
	leases        map[string][]byte
	watchers      []*watcher // copied on write

	onDisk      bool     // header, kept entries and values are stored
	headerStale bool     // the stored header says less than it must
	diskFirst   uint64   // no stored entry has a lower offset, but for those in kept and diskLost
	diskLost    []uint64 // entries below diskFirst that memory has dropped and the disk has not
	diskKeys    []string // of tombstones that memory has dropped and the disk has not

	held    int   // bytes of all that the channel holds, see memory
	counted int64 // those of them that are in the engine's sum

	queued   int            // ops in the shard's queue
	used     int64          // Unix ms of the last use
	inCommit bool           // already part of the batch that is being put together
	events   []engine.Event // of the batch that is being published
}

// watcher is one call of Watch.
type watcher struct {
	sink    func([]engine.Event)
	stopped atomic.Bool
}

func newChannel(name string) *channel {
	return &channel{
		name: name, loading: make(chan struct{}), retention: withDefaults(engine.Retention{}),
		held: channelCost + len(name),
	}
}

// uncounted is by how much the channel has grown since it was last asked, and
// must be added to the engine's sum. What expires when somebody reads may wait
// until then.
func (c *channel) uncounted() int64 {
	d := int64(c.held) - c.counted
	c.counted += d
	return d
}

func (c *channel) position() engine.Position {
	return engine.Position{Epoch: c.epoch, Offset: c.head}
}

// sequence decides over an append and prepares its op: an entry with an offset,
// or an answer (a duplicate, a conflict) that stands once everything before it
// is published.
func (c *channel) sequence(o *op, w *engine.Write, now, tombstonesBefore int64) {
	o.ch = c
	c.expire(now)
	if off, ok := c.ids[w.ID]; ok && w.ID != "" {
		o.kind = opAnswer
		o.receipt = engine.Receipt{Position: engine.Position{Epoch: c.epoch, Offset: off}, Duplicate: true}
		return
	}
	if err := c.check(w.If, tombstonesBefore); err != nil {
		o.kind, o.err = opAnswer, err
		return
	}
	o.kind = opAppend
	o.durability = w.Durability
	o.record = &record{keyed: len(w.Puts) > 0}
	if w.Keep > 0 {
		o.record.until = now + w.Keep.Milliseconds()
	}
	o.record.Entry = engine.Entry{
		Offset: c.sequenced + 1, Prev: c.sequenced, Time: now,
		Kind: w.Kind, ID: w.ID, Origin: w.Origin, Data: w.Data,
	}
	c.sequenced++
	o.receipt.Position = engine.Position{Epoch: c.epoch, Offset: c.sequenced}
	if w.ID != "" {
		if c.ids == nil {
			c.ids = make(map[string]uint64)
		}
		c.ids[w.ID] = c.sequenced
	}
	c.sequencePuts(o, w.Puts)
	if w.Durability > engine.Memory {
		c.durable = true
	}
	if r := withDefaults(w.Retention); r != c.retention {
		c.retention, c.headerStale = r, true
	}
	c.appended = now
}

func (c *channel) sequencePuts(o *op, puts []engine.Put) {
	if len(puts) == 0 {
		return
	}
	o.puts = make([]put, len(puts))
	for i, p := range puts {
		s := c.values.slot(p.Key)
		o.puts[i] = put{slot: s, val: value{
			Value: engine.Value{Key: s.key, Version: c.sequenced, Tombstone: p.Tombstone, Data: p.Data},
			time:  o.record.Time,
		}}
		s.next = &o.puts[i].val
	}
}

// check demands every condition of the newest sequenced values.
func (c *channel) check(conditions []engine.Condition, tombstonesBefore int64) error {
	for _, cond := range conditions {
		current := engine.Value{Key: cond.Key}
		if s := c.values.byKey[cond.Key]; s != nil {
			if v := s.newest(); v != nil && !v.expired(tombstonesBefore) {
				current = v.Value
			}
		}
		if current.Version != cond.Version {
			return &engine.ConflictError{Current: current}
		}
	}
	return nil
}

// publish shows a committed entry to readers and drops what retention says.
func (c *channel) publish(o *op) {
	r := o.record
	c.head = r.Offset
	c.tail.push(r)
	c.held += r.size()
	for i := range o.puts {
		c.setValue(o.puts[i].slot, &o.puts[i].val)
	}
	c.expire(r.Time)
}

// setValue shows a value to readers.
func (c *channel) setValue(s *slot, v *value) {
	c.held += v.size() - s.cur.size()
	c.values.publish(s, v)
}

// expire drops the entries that retention no longer keeps at the instant now
// (Unix ms), and lets those that are to stay longer stay aside.
func (c *channel) expire(now int64) {
	for c.tail.exceeds(c.retention, now) {
		if r := c.tail.drop(); r.until > now {
			c.kept.push(r)
		} else {
			c.lose(r)
		}
	}
	c.kept.expire(now, c.lose)
}

// lose notes that an entry is gone.
func (c *channel) lose(r *record) {
	c.held -= r.size()
	if !r.keyed && r.Offset > c.lostUnkeyed {
		c.lostUnkeyed = r.Offset
	}
	if r.ID != "" && c.ids[r.ID] == r.Offset {
		delete(c.ids, r.ID)
	}
	if c.onDisk && r.Offset < c.diskFirst { // no later deletion of a range covers it
		c.diskLost = append(c.diskLost, r.Offset)
		c.headerStale = true
	}
}

// forgetTombstones drops the tombstones that were set at or before the given
// instant (Unix ms).
func (c *channel) forgetTombstones(setBefore int64) {
	for _, v := range c.values.dropTombstones(setBefore) {
		c.held -= v.size()
		c.lostTombstone = max(c.lostTombstone, v.Version)
		if c.onDisk {
			c.diskKeys = append(c.diskKeys, v.Key)
			c.headerStale = true
		}
	}
}

// claim notes that a lease is on its way.
func (c *channel) claim(holder string) {
	if c.holders == nil {
		c.holders = make(map[string]bool)
	}
	c.holders[holder] = true
}

// setLease puts a lease, or drops it when value is nil. It says whether
// anything happened.
func (c *channel) setLease(l engine.LeaseEvent) bool {
	old, held := c.leases[l.Holder]
	if held {
		c.held -= leaseSize(l.Holder, old)
	}
	if l.Value == nil {
		delete(c.leases, l.Holder)
		return held
	}
	c.held += leaseSize(l.Holder, l.Value)
	if c.leases == nil {
		c.leases = make(map[string][]byte)
	}
	c.leases[l.Holder] = l.Value
	return true
}

// read answers engine.Engine.Read.
func (c *channel) read(after engine.Position, limit int) ([]engine.Entry, error) {
	switch {
	case after.Epoch != "" && after.Epoch != c.epoch:
		return nil, engine.ErrEpoch
	case after.Offset > c.head:
		return nil, engine.ErrFuture
	case after.Offset < c.lostUnkeyed:
		return nil, engine.ErrTruncated
	}
	aside, records := c.kept.after(after.Offset), c.tail.after(after.Offset)
	out := make([]engine.Entry, 0, min(limit, len(aside)+len(records)))
	for _, r := range aside[:min(limit, len(aside))] {
		out = append(out, r.Entry)
	}
	for _, r := range records[:min(limit-len(out), len(records))] {
		out = append(out, r.Entry)
	}
	return out, nil
}

// since answers engine.Engine.Since. The clock may have been set back between
// two entries, so each one's time counts.
func (c *channel) since(unixMs int64, limit int) []engine.Entry {
	var out []engine.Entry
	for _, records := range [][]*record{c.tail.kept(), c.kept.records} {
		for _, r := range slices.Backward(records) {
			if len(out) == limit {
				break
			}
			if r.Time >= unixMs {
				out = append(out, r.Entry)
			}
		}
	}
	slices.Reverse(out)
	return out
}

// state answers engine.Engine.State with pointers, which are quick to collect
// under the lock.
func (c *channel) state(prefix string, after uint64, tombstonesBefore int64) ([]*value, error) {
	if after > 0 && after < c.lostTombstone {
		return nil, engine.ErrTruncated
	}
	slots := c.values.prefixed(prefix)
	out := make([]*value, 0, len(slots))
	for _, s := range slots {
		v := s.cur
		if v == nil || v.Version <= after || (v.Tombstone && after == 0) {
			continue
		}
		if v.expired(tombstonesBefore) {
			return nil, engine.ErrTruncated
		}
		out = append(out, v)
	}
	return out, nil
}

// get answers engine.Engine.Get.
func (c *channel) get(key string, tombstonesBefore int64) engine.Value {
	if s := c.values.byKey[key]; s != nil && s.cur != nil && !s.cur.expired(tombstonesBefore) {
		return s.cur.Value
	}
	return engine.Value{Key: key}
}

func (c *channel) watch(w *watcher) { c.watchers = append(slices.Clip(c.watchers), w) }

func (c *channel) unwatch(w *watcher) {
	c.watchers = slices.DeleteFunc(slices.Clone(c.watchers), func(x *watcher) bool { return x == w })
}

// firstKept is the offset below which nothing is kept any more but what stays
// aside.
func (c *channel) firstKept() uint64 {
	if c.tail.len() == 0 {
		return c.head + 1
	}
	return c.tail.oldest().Offset
}

// holdsNothing says whether the channel is as good as new, but for its position.
func (c *channel) holdsNothing() bool {
	return c.tail.len() == 0 && c.kept.len() == 0 && len(c.values.byKey) == 0 && len(c.leases) == 0 && len(c.watchers) == 0 && c.queued == 0
}

// idle says whether nothing would miss the channel if it left memory at the
// instant now (Unix ms).
func (c *channel) idle(now int64, idleAfter time.Duration) bool {
	return c.unused() && now-c.used >= idleAfter.Milliseconds() && (c.onDisk || c.holdsNothing())
}

// unused says whether nobody watches the channel, is in it or works on it.
func (c *channel) unused() bool {
	return c.loading == nil && c.queued == 0 && len(c.watchers) == 0 && len(c.leases) == 0
}

// lossy says whether the channel's log would end if the channel left memory.
func (c *channel) lossy() bool { return !c.onDisk && c.head > 0 }

// header is what is to be stored of the channel now.
func (c *channel) header(generation string) header {
	return header{
		Epoch: c.epoch, Generation: generation,
		Head: c.sequenced, First: c.firstKept(), LostUnkeyed: c.lostUnkeyed, LostTombstone: c.lostTombstone,
		Appended: c.appended, Retention: c.retention,
	}
}

// adopt takes over what the store holds of the channel. An entry that is not
// the successor of the one before it means that the store is damaged, unless
// that one was dropped and this one stays longer.
func (c *channel) adopt(img *image) error {
	c.epoch, c.sequenced, c.head = img.header.Epoch, img.header.Head, img.header.Head
	c.lostUnkeyed, c.lostTombstone = img.header.LostUnkeyed, img.header.LostTombstone
	c.retention, c.appended = withDefaults(img.header.Retention), img.header.Appended
	c.durable, c.onDisk = true, true
	dense := uint64(0) // the first stored entry that a deletion of a range is to begin with
	for i, r := range img.records {
		if i > 0 && r.Offset > img.header.First && r.Offset != img.records[i-1].Offset+1 {
			return fmt.Errorf("entry %d follows %d: %w", r.Offset, img.records[i-1].Offset, errCorrupt)
		}
		c.head = max(c.head, r.Offset)
		c.appended = max(c.appended, r.Time)
		below := r.Offset < img.header.First
		if dense == 0 && (!below || r.until == 0) {
			dense = r.Offset
		}
		switch {
		case below && r.until == 0:
			// It was dropped under a stricter retention than the one that holds now.
			continue
		case below:
			c.kept.push(r)
		default:
			c.tail.push(r)
		}
		c.held += r.size()
		if r.ID != "" {
			if c.ids == nil {
				c.ids = make(map[string]uint64, len(img.records))
			}
			c.ids[r.ID] = r.Offset
		}
	}
	c.sequenced = c.head
	c.diskFirst = c.head + 1
	if dense > 0 {
		c.diskFirst = dense
	}
	for _, v := range img.values {
		c.setValue(c.values.slot(v.Key), v)
	}
	return nil
}
