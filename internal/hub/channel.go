package hub

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/presence"
	"github.com/chorale-rt/chorale/protocol"
)

// Channel hands one log's events to the members that this node has.
type Channel struct {
	hub   *Hub
	name  protocol.Channel
	topic string
	log   string // the name in the engine
	refs  int    // guarded by Hub.mu

	delivered *metrics.Cell // frames that members were handed

	starting sync.Mutex // guards the following; held for moments
	attempt  *attempt   // to start the watch that is under way; nil when none is
	stop     func()     // of the watch; nil until it runs

	hasWaiting atomic.Bool // something is in waiting; set under delivery

	mu       sync.Mutex // guards the following
	members  []*Member  // replaced, not changed, when one leaves: deliver walks a snapshot
	presence presence.State

	delivery sync.Mutex     // held while members are handed frames; taken before mu. Guards the following
	holds    int            // see Member.Hold
	waiting  []engine.Event // that came while there were holds; empty when there are none
	frames   []frame
	scratch  []protocol.Message

	due      []Sink    // were handed something and are not flushed; each once
	spare    []Sink    // room for the next due
	turn     uint64    // how often due was taken, from 1 on; see Member.turn
	flushing bool      // somebody flushes what was due before
	flushed  sync.Cond // of delivery: nobody does any more
}

func newChannel(h *Hub, name protocol.Channel, delivered *metrics.Cell) *Channel {
	c := &Channel{hub: h, name: name, topic: name.Topic(), log: name.Log(), delivered: delivered, turn: 1}
	c.flushed.L = &c.delivery
	return c
}

// An attempt to start a channel's watch, for all who join meanwhile.
type attempt struct {
	over    chan struct{} // is closed behind the following
	err     error
	givenUp bool // by who made it, and nothing is wrong with the engine
}

// open starts the watch, once. Who comes while somebody else tries to waits for that one and
// no longer: an engine that is away takes its time to say so, and each would wait for all
// before him. When it failed the next caller tries again.
func (c *Channel) open(ctx context.Context) error {
	for {
		c.starting.Lock()
		if c.stop != nil {
			c.starting.Unlock()
			return nil
		}
		a := c.attempt
		if a == nil {
			a = &attempt{over: make(chan struct{})}
			c.attempt = a
			c.starting.Unlock()
			return c.try(ctx, a)
		}
		c.starting.Unlock()
		select {
		case <-a.over:
			if !a.givenUp {
				return a.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Channel) try(ctx context.Context, a *attempt) error {
	stop, err := c.start(ctx)
	c.starting.Lock()
	c.stop, c.attempt = stop, nil
	c.starting.Unlock()
	a.err, a.givenUp = err, err != nil && ctx.Err() != nil
	close(a.over)
	return err
}

// start starts the watch, and returns what stops it.
func (c *Channel) start(ctx context.Context) (stop func(), err error) {
	_, stop, err = c.hub.eng.Watch(ctx, c.log, c)
	if err != nil {
		return nil, err
	}
	leases, err := c.hub.eng.Leases(ctx, c.log)
	if err != nil {
		stop()
		return nil, err
	}
	c.mu.Lock()
	c.presence.Load(leases)
	c.mu.Unlock()
	return stop, nil
}

// close ends the watch behind the last who joined, so that nobody starts it any more.
func (c *Channel) close() {
	c.starting.Lock()
	stop := c.stop
	c.stop = nil
	c.starting.Unlock()
	if stop != nil {
		stop()
	}
}

func (c *Channel) add(m *Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)
	if m.opts.Presence {
		m.catchUp.presence = c.presence.Payload()
	}
}

func (c *Channel) remove(m *Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.members, m); i >= 0 {
		rest := make([]*Member, 0, len(c.members))
		c.members = append(append(rest, c.members[:i]...), c.members[i+1:]...)
	}
}

// Deliver implements engine.Sink: members are handed what happened, which nothing is
// written for yet.
func (c *Channel) Deliver(events []engine.Event) {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	switch {
	case c.holds > 0 && c.mayWait(events):
		c.waiting = append(c.waiting, events...)
		c.hasWaiting.Store(true)
	case len(c.waiting) > 0:
		c.waiting = append(c.waiting, events...)
		c.handWaiting()
	default:
		c.hand(events)
	}
}

// mayWait says whether events may wait for whoever holds the channel: what is in the log,
// and what the same sender says behind that. A hold is as long as its append takes, which
// may be a cluster's election. Others' appends wait for that as well; their pointers and
// presence do not, and are worth nothing when they are late. They take what waits along.
func (c *Channel) mayWait(events []engine.Event) bool {
	var before *engine.Entry
	if n := len(c.waiting); n > 0 {
		before = c.waiting[n-1].Entry
	}
	for i := range events {
		e := events[i].Entry
		if e == nil || e.Offset == 0 && (before == nil || e.Origin == "" || e.Origin != before.Origin) {
			return false
		}
		before = e
	}
	return true
}

// Flush implements engine.Sink: what members were handed is written. Nothing is locked
// meanwhile, so that others' messages are handed over, and go into the writes that are
// still to be made. One caller flushes at a time, for all, with help when these are many;
// the others wait until theirs is in somebody's hands. So who pushes more than can be
// written is slowed down, and the more of them there are, the more goes into one write.
func (c *Channel) Flush() {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	if c.flushing && len(c.waiting) > 0 {
		// For a hold, whose holder may be who calls: nobody may wait for him longer. He
		// flushes behind his release.
		return
	}
	c.flushLocked()
}

// flushHeld is Flush for who has released a hold.
func (c *Channel) flushHeld() {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	c.flushLocked()
}

// dueNow is how many members are to be flushed.
func (c *Channel) dueNow() int {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	return len(c.due)
}

// flushLocked unlocks delivery in between.
func (c *Channel) flushLocked() {
	turn := c.turn
	for c.flushing && c.turn == turn && len(c.due) > 0 {
		c.flushed.Wait()
	}
	if c.turn != turn || len(c.due) == 0 { // somebody has taken it
		return
	}
	due := c.due
	c.due, c.spare = c.spare, nil
	c.turn++
	c.flushing = true
	c.delivery.Unlock()
	flushAll(due)
	clear(due)
	c.delivery.Lock()
	if cap(due) <= 2*len(due)+minKeptDue { // as the channel needs it, and not as it once did
		c.spare = due[:0]
	}
	c.flushing = false
	c.flushed.Broadcast()
}

// minKeptDue is for how many members the room of a flush is kept however few they are.
const minKeptDue = 4

// hold makes what happens in the channel wait for the release that follows.
func (c *Channel) hold() {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	c.holds++
}

// release ends a hold. What has waited is handed over whether others hold on or
// not, so that nothing waits for longer than the first of them.
func (c *Channel) release() {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	c.holds--
	c.handWaiting()
}

// handOwn hands over what has waited when something of it is the member's own, whose
// answer comes next. Whoever holds the channel flushes the others behind his release.
func (c *Channel) handOwn(m *Member) {
	if !c.hasWaiting.Load() { // what it wrote came before this call
		return
	}
	c.delivery.Lock()
	defer c.delivery.Unlock()
	for i := range c.waiting {
		if e := c.waiting[i].Entry; e != nil && m.opts.getsOwn(e) {
			c.handWaiting()
			return
		}
	}
}

// handWaiting hands over what has waited. delivery is locked.
func (c *Channel) handWaiting() {
	if len(c.waiting) == 0 {
		return
	}
	c.hasWaiting.Store(false)
	c.hand(c.waiting)
	clear(c.waiting)
	if c.waiting = c.waiting[:0]; cap(c.waiting) > maxKeptWaiting {
		c.waiting = nil
	}
}

// maxKeptWaiting is for how many events the room of one burst is kept for the next.
const maxKeptWaiting = 1024

// hand is the only place where members are handed anything of the log. delivery
// is locked.
func (c *Channel) hand(events []engine.Event) {
	members, broken := c.render(events)
	if broken {
		for _, m := range members {
			m.breakOff()
		}
	}
	if len(c.frames) == 0 {
		return
	}
	delivered := 0
	b := batch{frames: c.frames, scratch: c.scratch, turn: c.turn}
	for _, m := range members {
		n, isDue := m.deliver(&b)
		if delivered += n; isDue {
			c.due = append(c.due, m.sink)
		}
	}
	clear(c.frames) // the encoded bytes live on with those that still write them
	c.scratch = b.scratch
	clear(c.scratch[:cap(c.scratch)])
	c.delivered.Add(delivered)
}

// render folds the events into frames and returns the members of that moment:
// who joins later has read them as the past. broken says that the events do not
// continue those before.
func (c *Channel) render(events []engine.Event) (members []*Member, broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = c.frames[:0]
	for _, e := range events {
		switch {
		case e.Entry != nil:
			c.frames = append(c.frames, entryFrame(c.topic, e.Entry, false))
		case e.Lease != nil:
			if diff := c.presence.Apply(e.Lease); diff != nil {
				c.frames = append(c.frames, frame{topic: c.topic, kind: framePresence, payload: diff})
			}
		case e.Reset != nil:
			broken = true
		}
	}
	return c.members, broken
}
