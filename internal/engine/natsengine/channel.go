package natsengine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// channel is a channel in memory and its place in the streams. Everything in it
// is guarded by its shard's lock; while loading is not nil nobody but the
// loading goroutine may touch the rest, but for ahead and hinted.
type channel struct {
	chanlog.Log
	name    string // as the log has it, for those who read from the stream without the lock
	shard   *shard
	part    int
	escaped string
	loading chan struct{} // closed when the channel is loaded or failed to; nil afterwards
	failed  error         // why it was not
	gone    bool          // it has left memory
	began   time.Time     // when loading did
	fresh   fresh
	sub     atomic.Pointer[nats.Subscription]

	seq   uint64 // place in the stream of the newest message of the log that was applied
	based uint64 // place of the newest base of those; 0 when there was none
	ahead uint64 // place up to which there is one, as far as this node was told
	size  logSize

	pending []*op   // not sequenced, oldest first
	flight  *flight // sequenced, on its way to the stream
	adrift  *flight // it may be in what was read anew; who sent it knows more
	pumping bool    // a goroutine takes care of pending
	tidy    bool    // the sweep wants a base written
	repairs bool    // a goroutine reads what is missing
	hinted  bool    // there may be more than it is told of, since it last looked
	used    int64   // Unix ms of the last use
	busyAt  int64   // Unix ms, of the machine's clock, of the last traffic
	check   checkTime
	wrote   uint64 // place of the newest message that this node wrote
	leases  leases
	held    []*notice // that happened behind what is applied, and not behind ahead
	out     []delivery
	handing bool // a goroutine hands out

	due       []*chanlog.Watcher // were handed something, and are not being flushed yet; each once
	unflushed int                // events that they were handed
	flushing  bool               // a goroutine flushes
	flushed   sync.Cond          // of the shard: all who were due are being flushed, or somebody need not wait for it any more
}

// logSize says how much a log holds that a new base would drop.
type logSize struct {
	base   int    // bytes of the newest base
	since  int    // bytes that came after it
	lost   int    // bytes of what memory has dropped and the stream has not
	pieces []held // messages that are in pieces and not covered by the base
}

// held is a message that is in pieces: its place, and that of its first piece.
type held struct{ seq, first uint64 }

// delivery is what watchers are handed of one change, and whose call returns
// after that.
type delivery struct {
	watchers []*chanlog.Watcher
	events   []engine.Event
	ops      []*op
}

func newChannel(s *shard, name string) *channel {
	c := &channel{name: name, shard: s, loading: make(chan struct{}), escaped: escape(name), began: time.Now()}
	c.part = partition(name, s.engine.store.partitions)
	c.flushed.L = &s.mu
	c.Init(name)
	c.Keeper = c
	return c
}

// RecordLost implements chanlog.Keeper.
func (c *channel) RecordLost(_ uint64, size int) { c.size.lost += size }

// TombstoneLost implements chanlog.Keeper.
func (c *channel) TombstoneLost(v *chanlog.Value) { c.size.lost += v.Size() }

// account tells the engine's sum by how much the channel has grown.
func (c *channel) account() { c.shard.engine.memory.used.Add(c.Uncounted()) }

// idle says whether nothing would miss the channel if it left memory at the
// instant now (Unix ms).
func (c *channel) idle(now int64, idleAfter time.Duration) bool {
	return c.unused() && now-c.used >= idleAfter.Milliseconds()
}

// unused says whether nobody watches the channel, is in it from here or works
// on it. Leases of other nodes do not count: they can be asked for again.
func (c *channel) unused() bool {
	return c.loading == nil && c.fresh.now == nil && !c.pumping && !c.repairs && !c.handing && !c.flushing && len(c.pending) == 0 &&
		len(c.Watchers) == 0 && len(c.leases.own) == 0
}

// gather queues events for the watchers of this moment, and calls that return
// once those were handed them.
func (c *channel) gather(events []engine.Event, ops ...*op) {
	if len(c.Watchers) == 0 && len(ops) == 0 {
		return
	}
	d := delivery{events: events, ops: ops}
	if len(events) > 0 {
		d.watchers = c.Watchers
	}
	c.out = append(c.out, d)
}

// handOut delivers what was gathered, in order, unless another goroutine is at
// it, and has it flushed. The shard is locked when it is called and when it returns.
func (c *channel) handOut() {
	if c.handing {
		return
	}
	c.handing = true
	for len(c.out) > 0 {
		out := c.out
		c.out = nil
		c.shard.mu.Unlock()
		for i := range out {
			out[i].hand()
		}
		c.shard.mu.Lock()
		c.owe(out)
	}
	c.handing = false
}

// owe notes whom deliveries were handed to, and sees to it that they are flushed: by a
// goroutine, one for a channel at a time, because those who hand out read for many
// channels.
func (c *channel) owe(deliveries []delivery) {
	for i := range deliveries {
		d := &deliveries[i]
		if len(d.watchers) > 0 {
			c.unflushed += len(d.events)
		}
		for _, w := range d.watchers {
			if !slices.Contains(c.due, w) {
				c.due = append(c.due, w)
			}
		}
	}
	switch {
	case len(c.due) == 0 || c.flushing:
	case c.shard.closed: // nobody is waited for any more who begins now
		c.flush()
	default:
		c.flushing = true
		c.shard.engine.work.Add(1)
		go func() {
			defer c.shard.engine.work.Done()
			c.shard.mu.Lock()
			defer c.shard.mu.Unlock()
			c.flush()
			c.flushing = false
		}()
	}
}

// flush flushes until nobody is due. It unlocks the shard in between.
func (c *channel) flush() {
	for len(c.due) > 0 {
		due := c.due
		c.due, c.unflushed = nil, 0
		c.flushed.Broadcast()
		c.shard.mu.Unlock()
		for _, w := range due {
			w.Sink.Flush()
		}
		c.shard.mu.Lock()
	}
}

// isBehind says whether so much was handed out that is not flushed that no more should be.
func (c *channel) isBehind() bool { return c.unflushed > heldMax }

// keepUp waits until the channel is not behind, for those who would go on handing out.
// It says false when ctx ends before. It unlocks the shard in between.
func (c *channel) keepUp(ctx context.Context) bool {
	if !c.isBehind() {
		return true
	}
	stop := context.AfterFunc(ctx, func() {
		c.shard.mu.Lock() // or it could come just before the wait
		defer c.shard.mu.Unlock()
		c.flushed.Broadcast()
	})
	defer stop()
	for c.isBehind() && ctx.Err() == nil {
		c.flushed.Wait()
	}
	return !c.isBehind()
}

// hand delivers.
func (d *delivery) hand() {
	for _, w := range d.watchers {
		if !w.Stopped.Load() {
			w.Sink.Deliver(d.events)
		}
	}
	for _, o := range d.ops {
		close(o.done)
	}
}

// op is a call that waits. Its outcome stands once done is closed.
type op struct {
	chanlog.Append
	write     engine.Write
	size      int64
	done      chan struct{}
	abandoned bool // nobody waits; guarded by the shard's lock
}

// flight is a batch on its way to the stream.
type flight struct {
	ops       []*op  // all that were decided with it, in order
	entries   []*op  // those of them that add an entry
	number    uint64 // of the batch
	expected  uint64 // place in the stream of the message before it
	retention engine.Retention
	appended  int64 // of before
	body      []byte
	over      bool // it was applied, or cannot be any more
	found     bool // what was read anew has entries like its own

	// The following belong to who sends it.
	stored bool // the servers say so
	unsure bool // they may have stored it without saying so
}

// abandoned says whether nobody waits for any of it.
func (f *flight) abandoned() bool {
	for _, o := range f.ops {
		if !o.abandoned {
			return false
		}
	}
	return true
}

// takeOff decides over pending appends, as many as make a batch of at most max
// bytes.
func (c *channel) takeOff(now int64, max int) *flight {
	e := c.shard.engine
	f := &flight{number: e.number.Add(1), expected: c.seq, retention: c.Retention, appended: c.Appended}
	w := batchWriter{}
	w.begin(c.Epoch, e.id, f.number, c.Head+1)
	tombstones := e.tombstonesBefore()
	n := 0
	for ; n < len(c.pending) && (n == 0 || len(w.body)+int(c.pending[n].size) < max); n++ {
		o := c.pending[n]
		if o.abandoned {
			continue
		}
		f.ops = append(f.ops, o)
		if c.Sequence(&o.Append, &o.write, now, tombstones) {
			f.entries = append(f.entries, o)
			w.entry(&o.Append)
		}
	}
	clear(c.pending[:n])
	c.pending = c.pending[n:]
	f.body = w.end(c.Retention)
	c.flight = f
	return f
}

// land applies a flight whose batch is in the stream at seq.
func (c *channel) land(f *flight, seq uint64, pieces []uint64) {
	f.over, c.flight = true, nil
	var events []engine.Event
	for _, o := range f.entries {
		c.Publish(&o.Append)
		events = append(events, engine.Event{Entry: &o.Record.Entry})
	}
	if len(f.entries) > 0 {
		c.advance(seq, len(f.body), pieces)
		c.wrote = seq
	}
	c.gather(events, f.ops...)
	c.release()
}

// abort takes a flight back. Its calls wait to be decided over again.
func (c *channel) abort() {
	f := c.flight
	f.over, c.flight = true, nil
	appends := make([]*chanlog.Append, len(f.ops))
	for i, o := range f.ops {
		appends[i] = &o.Append
	}
	c.Rollback(appends)
	c.Retention, c.Appended = f.retention, f.appended
	c.requeue(f)
}

// fail takes a flight back and answers its calls with an error.
func (c *channel) fail(err error) {
	f := c.flight
	c.abort()
	c.pending = c.pending[len(f.ops):]
	for _, o := range f.ops {
		o.Err = err
	}
	c.gather(nil, f.ops...)
}

// mayBeIn says whether a log of the flight's epoch, read anew, has its entries, or had
// them as far as anybody can see: it goes as far and has dropped them all. A batch is
// stored as a whole or not at all and no other one has its offsets, so one entry tells
// of all. What another node wrote alike in the same millisecond cannot be told apart,
// but counts only for a batch that may have been stored (settle).
func (f *flight) mayBeIn(l *chanlog.Log) bool {
	if len(f.entries) == 0 {
		return false
	}
	first := f.entries[0].Record.Offset
	last := first + uint64(len(f.entries)) - 1
	if l.Head < last {
		return false
	}
	for _, kept := range [][]*chanlog.Record{l.Kept.Records(), l.Tail.After(first - 1)} {
		for _, r := range kept {
			if r.Offset < first || r.Offset > last {
				continue
			}
			own := f.entries[r.Offset-first].Record
			if !bytes.Equal(chanlog.AppendEntry(nil, r), chanlog.AppendEntry(nil, own)) {
				return false
			}
			f.found = true
		}
	}
	return true
}

// settle answers the calls of a flight that was adrift, once it was sent: as it was
// stored, or not at all when nobody can know. What was refused for sure is decided over
// again.
func (c *channel) settle() {
	f := c.adrift
	c.adrift = nil
	switch {
	case f.stored, f.unsure && f.found:
	case f.unsure:
		for _, o := range f.ops {
			o.Err = errForgotten
		}
	default:
		for _, o := range f.ops {
			o.Append = chanlog.Append{}
		}
		c.requeue(f)
		return
	}
	c.gather(nil, f.ops...)
}

// errForgotten: the answer was lost, and the log does not keep what would show whether
// the append is in it.
var errForgotten = fmt.Errorf("the outcome is unknown: %w", engine.ErrUnavailable)

// requeue lets a flight's calls be the next that are decided over.
func (c *channel) requeue(f *flight) {
	c.pending = append(append(make([]*op, 0, len(f.ops)+len(c.pending)), f.ops...), c.pending...)
}

// advance notes that the message at seq was applied.
func (c *channel) advance(seq uint64, size int, pieces []uint64) {
	c.seq = seq
	c.shard.engine.checkSoonLocked(c)
	c.size.since += size
	if len(pieces) > 0 {
		c.size.pieces = append(c.size.pieces, held{seq, pieces[0]})
	}
	c.account()
}

// message is a decoded message of a log.
type message struct {
	stored
	batch *batch
	base  *base
}

// apply takes over a message that follows what was applied. It says false when
// the channel has to be read anew, because what lies between is gone.
func (c *channel) apply(m *message) bool {
	e := c.shard.engine
	if m.base != nil {
		return c.applyBase(m)
	}
	if f := c.flight; f != nil && m.batch.node == e.id && m.batch.number == f.number {
		c.land(f, m.seq, m.pieces)
		return true
	}
	if m.batch.epoch != c.Epoch || m.batch.first > c.Head+1 {
		return false // the flight may be in what is gone
	}
	if c.flight != nil { // another batch is where it would be
		c.abort()
	}
	if m.batch.first == c.Head+1 {
		c.applyBatch(m.batch)
	} else {
		e.options.Logger.Error("a batch does not follow its log and is left out", "channel", c.name, "seq", m.seq,
			"offset", m.batch.first, "head", c.Head)
	}
	c.advance(m.seq, len(m.body), m.pieces)
	c.release()
	return true
}

func (c *channel) applyBatch(b *batch) {
	now := c.shard.engine.now()
	c.SetRetention(b.retention)
	events := make([]engine.Event, 0, len(b.entries))
	for _, en := range b.entries {
		c.Log.Apply(en.record, en.values, now)
		events = append(events, engine.Event{Entry: &en.record.Entry})
	}
	c.gather(events)
}

// applyBase notes what the log need not hold any more. A flight goes on behind the base,
// which says nothing new.
func (c *channel) applyBase(m *message) bool {
	if m.base.log.Epoch != c.Epoch || m.base.head > c.Head {
		return false
	}
	if c.flight != nil {
		c.flight.expected = m.seq
	}
	c.advance(m.seq, 0, m.pieces)
	c.based, c.size = m.seq, c.size.after(m)
	c.release()
	return true
}

// after is the size once a base is in the log.
func (s logSize) after(m *message) logSize {
	next := logSize{base: m.base.seenIn}
	for _, p := range s.pieces {
		if p.seq > m.base.upTo {
			next.pieces = append(next.pieces, p)
		}
	}
	return next
}

// become takes over what was read of the channel, and tells watchers what they
// have missed and what happened behind it. A flight that may be in there is not decided
// over again: it would be stored twice.
func (c *channel) become(img *image) {
	if f := c.flight; f != nil {
		if img.log.Epoch == c.Epoch && f.mayBeIn(img.log) {
			f.over, c.flight, c.adrift = true, nil, f
		} else {
			c.abort()
		}
	}
	before := c.Position()
	c.Become(img.log)
	c.seq, c.based, c.size = img.seq, img.based, img.size
	c.ahead = max(c.ahead, c.seq)
	c.shard.engine.checkSoonLocked(c)
	c.showSince(before)
	c.release()
}

// showSince tells watchers what they have missed in a log that was read anew.
func (c *channel) showSince(before engine.Position) {
	if len(c.Watchers) == 0 {
		return
	}
	if before.Epoch == c.Epoch && before.Offset <= c.Head && (before.Offset == c.Head || c.FirstKept() <= before.Offset+1) {
		var events []engine.Event
		for _, r := range c.Tail.After(before.Offset) {
			events = append(events, engine.Event{Entry: &r.Entry})
		}
		c.gather(events)
		return
	}
	at := c.Position()
	c.gather([]engine.Event{{Reset: &at}})
}
