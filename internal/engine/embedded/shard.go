package embedded

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// maxRounds is how often a leader goes on working for others after its own op
// is done, before it hands over: enough that a busy shard seldom pays for the
// change, few enough that nobody's call takes much longer than its neighbours'. One
// that has something to flush hands over at once.
const maxRounds = 4

// shard is a part of the channels and the queue they share. See the package
// documentation for how an op goes through it.
type shard struct {
	engine *Engine

	mu       sync.Mutex // guards the following, and the channels
	channels map[string]*channel
	closed   bool
	lives    uint64 // counts logs that were given up, so that epochs are unique
	epoch    string // of channels that begin now
	leading  bool   // somebody takes care of pending
	pending  []*op  // sequenced, oldest first
	waiting  int    // bytes of ops that are pending or in a commit

	unreported int64 // bytes that are used and not in the engine's sum; negative for released ones

	// Of the leader, which alone uses them while leading is set.
	spare      []*op
	changes    []change
	deliveries []delivery
	scratch    []byte
}

// delivery is what one channel's watchers are handed of one batch.
type delivery struct {
	channel  *channel
	watchers []*chanlog.Watcher
	events   []engine.Event
}

func (s *shard) init(e *Engine) {
	s.engine = e
	s.channels = make(map[string]*channel)
	s.renewEpoch()
}

// renewEpoch must follow when a channel that had a position leaves for good.
func (s *shard) renewEpoch() {
	s.epoch = s.engine.boot + "." + strconv.FormatUint(s.lives, 36)
	s.lives++
}

// acquire returns a channel with the shard locked, loading it when it is not in
// memory. After an error the shard is not locked.
func (s *shard) acquire(ctx context.Context, name string) (*channel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	for {
		if s.closed {
			s.mu.Unlock()
			return nil, engine.ErrClosed
		}
		c := s.channels[name]
		if c == nil {
			return s.loadLocked(name)
		}
		if c.loading == nil {
			c.used = s.engine.now()
			return c, nil
		}
		loaded := c.loading
		s.mu.Unlock()
		select {
		case <-loaded:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.mu.Lock()
	}
}

// loadLocked makes a channel with what the store holds of it. It unlocks the
// shard for as long as it reads, and for good when it fails.
func (s *shard) loadLocked(name string) (*channel, error) {
	c := newChannel(name)
	s.channels[name] = c
	s.engine.work.Add(1)
	defer s.engine.work.Done()
	s.mu.Unlock()

	img, err := s.engine.fill(c)

	s.mu.Lock()
	close(c.loading)
	c.loading = nil
	if err != nil {
		delete(s.channels, name)
		s.mu.Unlock()
		return nil, fmt.Errorf("load: %w", err)
	}
	s.account(c.Uncounted())
	if s.closed { // meanwhile; Close may stop waiting as soon as this load is over
		s.mu.Unlock()
		return nil, engine.ErrClosed
	}
	if img == nil {
		c.Epoch = s.epoch
	}
	c.used = s.engine.now()
	c.Expire(c.used)
	return c, nil
}

// fill reads what the store holds of a channel that is being loaded, nil when
// that is nothing. The channel belongs to the caller alone.
func (e *Engine) fill(c *channel) (*image, error) {
	if !e.makeRoom(c.Held) {
		return nil, errMemory
	}
	img, err := e.store.load(c.Name)
	if err == nil && img != nil {
		err = c.adopt(img)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	case !e.makeRoom(c.Held): // its size is known only now
		return nil, errMemory
	}
	return img, nil
}

// submit queues an op, leads if nobody does, and returns when the op is
// finished. The shard is locked when it is called and unlocked when it returns.
// After an error the op's outcome is unknown and it must not be used again.
func (s *shard) submit(ctx context.Context, o *op) error {
	s.enqueueLocked(o)
	if !s.leading {
		s.beginLocked()
		s.lead(o)
		return nil
	}
	s.mu.Unlock()
	select {
	case <-o.done:
	case <-ctx.Done():
		if s.abandon(o) {
			return ctx.Err()
		}
	}
	if o.lead {
		s.mu.Lock()
		s.lead(o)
		return nil
	}
	o.flush()
	return nil
}

// abandon gives an op up, unless it was signalled already.
func (s *shard) abandon(o *op) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-o.done:
		return false
	default:
		o.abandoned = true
		return true
	}
}

func (s *shard) enqueueLocked(o *op) {
	o.ch.queued++
	s.waiting += o.size
	s.account(int64(o.size))
	s.pending = append(s.pending, o)
}

func (s *shard) beginLocked() {
	s.leading = true
	s.engine.work.Add(1)
}

// lead works until nothing is pending, or until somebody else can go on, and flushes
// for its own op and for those that nobody waits for. own is nil
// for the sweeper, and among the pending otherwise, of which there are some. The shard
// is locked when it is called and unlocked when it returns.
func (s *shard) lead(own *op) {
	if own != nil {
		own.lead = false
	}
	var orphans []*chanlog.Watcher
	for rounds := 1; ; rounds++ {
		orphans = s.roundLocked(own, orphans)
		isDone := len(s.pending) == 0
		hasToFlush := len(orphans) > 0 || own != nil && len(own.watchers) > 0
		if !isDone && !((hasToFlush || rounds >= maxRounds) && s.handOverLocked()) {
			continue
		}
		s.leading = !isDone
		s.mu.Unlock()
		if isDone {
			s.engine.work.Done()
		}
		if own != nil {
			own.flush()
		}
		for _, w := range orphans {
			w.Sink.Flush()
		}
		return
	}
}

// roundLocked commits, publishes and delivers what is pending. It unlocks the shard in
// between, and appends to orphans who is to be flushed for ops that nobody waits for.
func (s *shard) roundLocked(own *op, orphans []*chanlog.Watcher) []*chanlog.Watcher {
	ops := s.pending
	s.pending = s.spare[:0]
	s.spare = nil
	if s.planLocked(ops) {
		s.mu.Unlock()
		err := s.commit(ops)
		s.mu.Lock()
		s.settleLocked(ops, err)
	}
	s.publishLocked(ops)
	s.mu.Unlock()
	s.deliver()
	s.mu.Lock()
	orphans = wakeLocked(ops, own, orphans)
	clear(ops)
	s.spare = ops
	return orphans
}

// handOverLocked makes the first who still waits the leader.
func (s *shard) handOverLocked() bool {
	for _, o := range s.pending {
		if o.done != nil && !o.abandoned {
			o.lead = true
			o.done <- struct{}{}
			return true
		}
	}
	return false
}

// publishLocked shows what the ops did to readers, and gathers the deliveries.
func (s *shard) publishLocked(ops []*op) {
	s.deliveries = s.deliveries[:0]
	grown := int64(0) // of what is in memory: what waited is kept now, or gone
	for _, o := range ops {
		c := o.ch
		c.queued--
		s.waiting -= o.size
		grown -= int64(o.size)
		if o.Err != nil {
			continue
		}
		switch o.kind {
		case opAppend:
			c.Publish(&o.Append)
			s.gather(c, o.Record.Events)
			o.watchers = c.Watchers
		case opSend:
			s.gather(c, o.Record.Events)
			o.watchers = c.Watchers
		case opLease:
			if c.SetLease(o.lease) {
				l := o.lease
				s.gather(c, func() []engine.Event { return []engine.Event{{Lease: &l}} })
				o.watchers = c.Watchers
			}
		}
		grown += c.Uncounted()
	}
	s.account(grown)
	for i := range s.deliveries {
		d := &s.deliveries[i]
		d.events, d.channel.events = d.channel.events, nil
	}
}

// gather adds events to what the channel's watchers are handed. The watchers
// are those of this moment: who watches later starts behind this batch.
func (s *shard) gather(c *channel, events func() []engine.Event) {
	if len(c.Watchers) == 0 {
		return
	}
	if c.events == nil {
		s.deliveries = append(s.deliveries, delivery{channel: c, watchers: c.Watchers})
		c.events = events()
		return
	}
	c.events = append(c.events, events()...)
}

// deliver hands the gathered events to the watchers.
func (s *shard) deliver() {
	for _, d := range s.deliveries {
		for _, w := range d.watchers {
			if !w.Stopped.Load() {
				w.Sink.Deliver(d.events)
			}
		}
	}
	clear(s.deliveries)
}

// wakeLocked tells those who wait for the ops that they are finished. The ops belong to
// them from then on; who is to be flushed for the others is appended to orphans. Locked,
// so that nobody gives up an op that is being signalled.
func wakeLocked(ops []*op, own *op, orphans []*chanlog.Watcher) []*chanlog.Watcher {
	for _, o := range ops {
		o.finished = true
		switch {
		case o == own:
		case o.done == nil || o.abandoned:
			orphans = append(orphans, o.watchers...)
		default:
			o.done <- struct{}{}
		}
	}
	return orphans
}
