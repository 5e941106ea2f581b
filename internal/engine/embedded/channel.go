package embedded

import (
	"fmt"
	"slices"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// channel is a channel in memory and its place on the disk. Everything in it is
// guarded by its shard's lock; while loading is not nil nobody but the loading
// goroutine may touch the rest.
type channel struct {
	chanlog.Log
	loading chan struct{} // closed when the channel is loaded or failed to; nil afterwards

	durable bool            // something durable was sequenced: everything is persisted
	holders map[string]bool // who has a lease once everything queued is done

	onDisk      bool     // header, kept entries and values are stored
	headerStale bool     // the stored header says less than it must
	diskFirst   uint64   // no stored entry has a lower offset, but for those kept aside and in diskLost
	diskLost    []uint64 // entries below diskFirst that memory has dropped and the disk has not
	diskKeys    []string // of tombstones that memory has dropped and the disk has not

	queued   int            // ops in the shard's queue
	used     int64          // Unix ms of the last use
	inCommit bool           // already part of the batch that is being put together
	events   []engine.Event // of the batch that is being published
}

func newChannel(name string) *channel {
	c := &channel{loading: make(chan struct{})}
	c.Init(name)
	c.Keeper = c
	return c
}

// sequence decides over an append and prepares its op.
func (c *channel) sequence(o *op, w *engine.Write, now, tombstonesBefore int64) {
	o.ch = c
	before := c.Retention
	if !c.Sequence(&o.Append, w, now, tombstonesBefore) {
		o.kind = opAnswer
		return
	}
	o.kind = opAppend
	o.durability = w.Durability
	if w.Durability > engine.Memory {
		c.durable = true
	}
	if c.Retention != before {
		c.headerStale = true
	}
}

// RecordLost implements chanlog.Keeper.
func (c *channel) RecordLost(offset uint64, _ int) {
	if c.onDisk && offset < c.diskFirst { // no later deletion of a range covers it
		c.diskLost = append(c.diskLost, offset)
		c.headerStale = true
	}
}

// TombstoneLost implements chanlog.Keeper.
func (c *channel) TombstoneLost(v *chanlog.Value) {
	if c.onDisk {
		c.diskKeys = append(c.diskKeys, v.Key)
		c.headerStale = true
	}
}

// claim notes that a lease is on its way.
func (c *channel) claim(holder string) {
	if c.holders == nil {
		c.holders = make(map[string]bool)
	}
	c.holders[holder] = true
}

// holdsNothing says whether the channel is as good as new, but for its position.
func (c *channel) holdsNothing() bool { return c.queued == 0 && c.HoldsNothing() }

// idle says whether nothing would miss the channel if it left memory at the
// instant now (Unix ms).
func (c *channel) idle(now int64, idleAfter time.Duration) bool {
	return c.unused() && now-c.used >= idleAfter.Milliseconds() && (c.onDisk || c.holdsNothing())
}

// unused says whether nobody watches the channel, is in it or works on it.
func (c *channel) unused() bool { return c.loading == nil && c.queued == 0 && c.Unattended() }

// lossy says whether the channel's log would end if the channel left memory.
func (c *channel) lossy() bool { return !c.onDisk && c.Head > 0 }

// kept returns everything that is kept, oldest first.
func (c *channel) kept() []*chanlog.Record {
	return slices.Concat(c.Kept.Records(), c.Tail.After(0))
}

// header is what is to be stored of the channel now.
func (c *channel) header(generation string) header {
	return header{
		Epoch: c.Epoch, Generation: generation,
		Head: c.Sequenced, First: c.FirstKept(), LostUnkeyed: c.LostUnkeyed, LostTombstone: c.LostTombstone,
		Appended: c.Appended, Retention: c.Retention,
	}
}

// adopt takes over what the store holds of the channel. An entry that is not
// the successor of the one before it means that the store is damaged, unless
// that one was dropped and this one stays longer.
func (c *channel) adopt(img *image) error {
	h := &img.header
	c.Epoch = h.Epoch
	c.Restore(h.Head, h.Retention, h.Appended)
	c.LostUnkeyed, c.LostTombstone = h.LostUnkeyed, h.LostTombstone
	c.durable, c.onDisk = true, true
	dense := uint64(0) // the first stored entry that a deletion of a range is to begin with
	for i, r := range img.records {
		if i > 0 && r.Offset > h.First && r.Offset != img.records[i-1].Offset+1 {
			return fmt.Errorf("entry %d follows %d: %w", r.Offset, img.records[i-1].Offset, chanlog.ErrCorrupt)
		}
		below := r.Offset < h.First
		if dense == 0 && (!below || r.Until == 0) {
			dense = r.Offset
		}
		if below && r.Until == 0 {
			continue // it was dropped under a stricter retention than the one that holds now
		}
		c.RestoreRecord(r, below)
	}
	if !c.Tail.EndsAt(c.Head) {
		return fmt.Errorf("entries end before %d: %w", c.Head, chanlog.ErrCorrupt)
	}
	c.diskFirst = c.Head + 1
	if dense > 0 {
		c.diskFirst = dense
	}
	for _, v := range img.values {
		c.RestoreValue(v)
	}
	return nil
}
