package natsengine

import (
	"context"
	"maps"
	"slices"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// leases is who holds the leases of a channel. Each node knows its own for sure;
// of others it is told each change with the number of the one before, and asks
// when that is not the one it has.
type leases struct {
	own    map[string]bool    // holders that this node put
	number uint64             // of this node's newest change here
	node   map[string]string  // whose a holder is, of other nodes'
	have   map[string]uint64  // by node: number up to which its changes here are known
	parts  map[string]*notice // by node: what it tells in several parts, as far as it has come
	met    bool               // all nodes that live have told theirs
	asking chan struct{}      // closed when they have, or do not answer; nil while nobody asks
	wait   map[string]bool    // nodes that have not answered
	early  []*notice          // came while the channel was loaded
}

// PutLease implements engine.Engine.
func (e *Engine) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	if value == nil {
		value = []byte{} // nil means dropped
	}
	return wrap("put lease", channel, e.putLease(ctx, channel, engine.LeaseEvent{Holder: holder, Value: value}))
}

func (e *Engine) putLease(ctx context.Context, channel string, l engine.LeaseEvent) error {
	s, c, err := e.acquireFor(ctx, channel, int64(chanlog.LeaseSize(l.Holder, l.Value)))
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if c.leases.own == nil {
		c.leases.own = make(map[string]bool)
	}
	c.leases.own[l.Holder] = true
	delete(c.leases.node, l.Holder)
	return e.changeLease(ctx, c, l)
}

// DropLease implements engine.Engine. Only the node that put a lease drops it.
func (e *Engine) DropLease(ctx context.Context, channel, holder string) error {
	return wrap("drop lease", channel, e.dropLease(ctx, channel, holder))
}

func (e *Engine) dropLease(ctx context.Context, channel, holder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := e.shardOf(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	switch {
	case s.closed:
		return engine.ErrClosed
	case c == nil || c.loading != nil || !c.leases.own[holder]:
		return nil // channels with leases stay in memory, so there is none
	}
	delete(c.leases.own, holder)
	return e.changeLease(ctx, c, engine.LeaseEvent{Holder: holder})
}

// changeLease shows a change of this node's leases here, and tells it.
func (e *Engine) changeLease(ctx context.Context, c *channel, l engine.LeaseEvent) error {
	prev := c.leases.number
	c.leases.number = e.number.Add(1)
	e.tell(c.part, &notice{
		kind: noticeLease, channel: c.escaped, after: c.seq, prev: prev, number: c.leases.number, lease: l,
	})
	e.nodes.say(c.news())
	o := &op{done: make(chan struct{})}
	if c.SetLease(l) {
		c.account()
		c.gather([]engine.Event{{Lease: &l}}, o)
	} else {
		c.gather(nil, o)
	}
	return c.await(ctx, o)
}

// news is how far this node is in the channel.
func (c *channel) news() news {
	w := news{channel: c.escaped, number: c.leases.number}
	if c.wrote == c.seq {
		w.seq = c.seq
	}
	return w
}

// Leases implements engine.Engine.
func (e *Engine) Leases(ctx context.Context, channel string) ([]engine.Lease, error) {
	s, c, err := e.acquireMet(ctx, channel)
	if err != nil {
		return nil, wrap("leases", channel, err)
	}
	defer s.mu.Unlock()
	return c.ListLeases(), nil
}

// takeLeases takes over what another node says of its leases. It says false when parts
// of it are still to come, or were missed.
func (e *Engine) takeLeases(c *channel, n *notice) bool {
	if !e.nodes.lives(n.node) { // or not yet known; it will be asked
		return true
	}
	l := &c.leases
	if l.node == nil {
		l.node, l.have, l.parts = make(map[string]string), make(map[string]uint64), make(map[string]*notice)
	}
	if n.kind == noticeSome {
		whole := l.join(n)
		if whole == nil {
			if n.part+1 == n.of {
				e.askNode(n.node, c)
			}
			return false
		}
		n = whole
	}
	have := l.have[n.node]
	switch {
	case n.kind == noticeLease && n.number <= have, n.kind == noticeLeases && n.number < have:
		return true
	case n.kind == noticeLease && n.prev > have: // one in between was missed
		e.askNode(n.node, c)
		return true
	}
	l.have[n.node] = n.number
	if n.kind == noticeLease {
		c.showLease(n.node, n.lease)
	} else {
		c.showLeases(n.node, n.leases)
	}
	return true
}

// askNode asks a node for its leases in a channel.
func (e *Engine) askNode(node string, c *channel) {
	e.tellNode(node, &notice{kind: noticeAsk, channel: c.escaped})
}

// join adds a part of what a node tells of its leases to those before. It returns all of
// it with the last one, unless one was missed.
func (l *leases) join(n *notice) *notice {
	whole := l.parts[n.node]
	switch {
	case n.part == 0:
		whole = &notice{kind: noticeLeases, node: n.node, channel: n.channel, number: n.number}
		l.parts[n.node] = whole
	case whole == nil:
		return nil
	case n.number != whole.number || n.part != whole.part+1:
		delete(l.parts, n.node)
		return nil
	}
	whole.part, whole.leases = n.part, append(whole.leases, n.leases...)
	if n.part+1 < n.of {
		return nil
	}
	delete(l.parts, n.node)
	return whole
}

// showLease shows a lease of another node. A holder that this node has itself is
// its own.
func (c *channel) showLease(node string, l engine.LeaseEvent) {
	owner, known := c.leases.node[l.Holder]
	switch {
	case c.leases.own[l.Holder], l.Value == nil && (!known || owner != node):
		return
	case l.Value == nil:
		delete(c.leases.node, l.Holder)
	default:
		c.leases.node[l.Holder] = node
	}
	if c.SetLease(l) {
		c.gather([]engine.Event{{Lease: &l}})
		c.account()
	}
}

// showLeases makes the leases of another node those that it says.
func (c *channel) showLeases(node string, now []engine.Lease) {
	kept := make(map[string]bool, len(now))
	for _, l := range now {
		kept[l.Holder] = true
		if old, has := c.Log.Leases[l.Holder]; has && c.leases.node[l.Holder] == node && slices.Equal(old, l.Value) {
			continue
		}
		c.showLease(node, engine.LeaseEvent(l))
	}
	for _, holder := range slices.Sorted(maps.Keys(c.leases.node)) {
		if c.leases.node[holder] == node && !kept[holder] {
			c.showLease(node, engine.LeaseEvent{Holder: holder})
		}
	}
}

// ownLeases is what this node tells of its leases in a channel. No change of them has a
// number that is not given yet, so that what it tells is as new as its newest number of
// all channels.
func (c *channel) ownLeases() []*notice {
	var all []engine.Lease
	for _, holder := range slices.Sorted(maps.Keys(c.leases.own)) {
		all = append(all, engine.Lease{Holder: holder, Value: c.Log.Leases[holder]})
	}
	e := c.shard.engine
	number := e.number.Load() // once: other channels change it meanwhile, and parts of two answers are not put together
	parts := pack(all, e.store.pieceSize(), func(l engine.Lease) int { return chanlog.LeaseSize(l.Holder, l.Value) })
	told := make([]*notice, len(parts))
	for i, part := range parts {
		told[i] = &notice{
			kind: noticeSome, channel: c.escaped, number: number, leases: part, part: uint64(i), of: uint64(len(parts)),
		}
	}
	if len(told) == 1 {
		told[0].kind = noticeLeases
	}
	return told
}

// acquireMet is acquire for who must know the leases of all nodes.
func (e *Engine) acquireMet(ctx context.Context, name string) (*shard, *channel, error) {
	for {
		s, c, err := e.acquire(ctx, name)
		if err != nil || c.leases.met {
			return s, c, err
		}
		asking := e.askLeases(c)
		s.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// askLeases asks all nodes for their leases in a channel, unless that is under
// way. What is returned is closed when they have answered, or did not.
func (e *Engine) askLeases(c *channel) <-chan struct{} {
	l := &c.leases
	if l.asking != nil {
		return l.asking
	}
	asking := make(chan struct{})
	l.asking, l.wait = asking, e.nodes.living()
	if len(l.wait) == 0 {
		c.metLocked()
		return asking
	}
	e.tellAll(&notice{kind: noticeAsk, channel: c.escaped})
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		e.stopAsking(c, asking)
	}()
	return asking
}

// stopAsking goes on without those who do not answer: their leases are shown
// when they do.
func (e *Engine) stopAsking(c *channel, asking chan struct{}) {
	e.waitFor(asking, e.options.NodeTimeout/5)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.leases.asking == asking {
		c.metLocked()
	}
}

// metLocked ends the asking.
func (c *channel) metLocked() {
	l := &c.leases
	l.met = true
	close(l.asking)
	l.asking, l.wait = nil, nil
}

// answered notes that a node has told its leases.
func (c *channel) answered(node string) {
	l := &c.leases
	if l.asking == nil {
		return
	}
	delete(l.wait, node)
	if len(l.wait) == 0 {
		c.metLocked()
	}
}

// forgetNode drops the leases of a node that is gone.
func (c *channel) forgetNode(node string) {
	delete(c.leases.have, node)
	delete(c.leases.parts, node)
	for _, holder := range slices.Sorted(maps.Keys(c.leases.node)) {
		if c.leases.node[holder] == node {
			c.showLease(node, engine.LeaseEvent{Holder: holder})
		}
	}
	c.answered(node)
}
