package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chorale-rt/chorale/internal/engine"
)

// node is one node's view of a shared log, and an engine.Engine of its own. What
// it shows is a prefix of the log: everything that it has acknowledged, been
// asked about by position, or heard of through its feeds.
type node struct {
	log  *sharedLog
	name string

	// Guarded by log.mu.
	feeds  map[string]*feed
	cut    bool   // off from the log
	drops  []drop // of leases, which the log has not heard of while cut off
	closed bool
	// relaxed: what others append waits for pump. Else it is heard of at once.
	relaxed bool
	// loseAnswer makes the next append succeed without its author being told.
	loseAnswer bool
}

var _ engine.Engine = (*node)(nil)

// join adds a node to the cluster.
func (l *sharedLog) join(name string, relaxed bool) *node {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &node{log: l, name: name, feeds: make(map[string]*feed), relaxed: relaxed}
	l.nodes = append(l.nodes, n)
	return n
}

// drop is a lease that its node has given up.
type drop struct{ channel, holder string }

// sever cuts a node off from the log: what was on its way is lost.
func (n *node) sever() {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.cut = true
	for _, f := range n.feeds {
		f.news = nil
	}
}

// heal ends that. Leases belong to their node, so that giving one up does not
// fail because the log cannot be reached: the log hears of it now.
func (n *node) heal() {
	n.log.mu.Lock()
	n.cut = false
	drops := n.drops
	n.drops = nil
	n.log.mu.Unlock()
	for _, d := range drops {
		n.log.mu.Lock()
		n.dropLease(d.channel, d.holder)
		feeds := n.told(d.channel)
		n.log.mu.Unlock()
		n.settle(feeds)
	}
}

func (n *node) dropLease(channel, holder string) {
	c := n.log.channel(channel)
	if _, held := c.leases[holder]; held {
		delete(c.leases, holder)
		n.log.tell(channel, news{lease: &engine.LeaseEvent{Holder: holder}})
	}
}

// tell puts news on the way to every node that watches the channel.
func (l *sharedLog) tell(channel string, n news) {
	for _, node := range l.nodes {
		if f := node.feeds[channel]; f != nil && !node.cut {
			f.news = append(f.news, n)
		}
	}
}

// told returns the feeds that catch up with what the log of a channel was just told:
// the node's own, and those of nodes whose news take no time. It is asked before the
// log is unlocked, so that a node that closes meanwhile has shown what it acknowledges
// (E3).
func (n *node) told(channel string) []*feed {
	var feeds []*feed
	for _, other := range n.log.nodes {
		if f := other.feeds[channel]; f != nil && (other == n || !other.relaxed) {
			feeds = append(feeds, f)
		}
	}
	return feeds
}

// settle lets feeds catch up after a call of the node's own. The log is not locked.
func (n *node) settle(feeds []*feed) {
	for _, f := range feeds {
		f.deliver(-1)
		if f.node == n {
			f.repair()
		}
	}
}

// catchUp makes a node show everything that was appended so far, or says why it
// cannot.
func (n *node) catchUp(ctx context.Context, channel string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.log.mu.Lock()
	cut, closed, f := n.cut, n.closed, n.feeds[channel]
	n.log.mu.Unlock()
	switch {
	case closed:
		return engine.ErrClosed
	case cut:
		return engine.ErrUnavailable
	}
	if f != nil {
		f.deliver(-1)
		f.repair()
	}
	return nil
}

// shown returns the log of a channel and how much of it the node shows. The log
// is locked when the error is nil.
func (n *node) shown(ctx context.Context, channel string) (c *logChannel, upTo uint64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	n.log.mu.Lock()
	switch f := n.feeds[channel]; {
	case n.closed:
		err = engine.ErrClosed
	case channel == "" || strings.IndexByte(channel, 0) >= 0:
		err = errors.New("a channel's name is not empty and has no NUL")
	case f != nil:
		c, upTo = n.log.channel(channel), f.applied
	case n.cut:
		err = engine.ErrUnavailable
	default:
		c = n.log.channel(channel)
		upTo = c.head()
	}
	if err != nil {
		n.log.mu.Unlock()
		return nil, 0, err
	}
	c.expire(n.log.now().UnixMilli(), n.log.tombstoneAge)
	return c, upTo, nil
}

// Append implements engine.Engine.
func (n *node) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	if _, _, err := n.shown(ctx, channel); err != nil {
		return engine.Receipt{}, fmt.Errorf("append %s: %w", channel, err)
	}
	if n.cut {
		n.log.mu.Unlock()
		return engine.Receipt{}, fmt.Errorf("append %s: %w", channel, engine.ErrUnavailable)
	}
	receipt, entry, err := n.log.append(channel, w)
	if entry != nil {
		n.log.tell(channel, news{offset: entry.Offset})
	}
	lost := n.loseAnswer && entry != nil
	n.loseAnswer = n.loseAnswer && !lost
	feeds := n.told(channel)
	n.log.mu.Unlock()
	if lost {
		return engine.Receipt{}, fmt.Errorf("append %s: %w: %w", channel, context.DeadlineExceeded, errLostAnswer)
	}
	n.settle(feeds) // also after a conflict or a repeat: what it speaks of can be read
	if err != nil {
		return engine.Receipt{}, fmt.Errorf("append %s: %w", channel, err)
	}
	return receipt, nil
}

// Read implements engine.Engine.
func (n *node) Read(ctx context.Context, channel string, after engine.Position, limit int) ([]engine.Entry, error) {
	c, upTo, err := n.shown(ctx, channel)
	if err == nil && after.Offset > upTo && (after.Epoch == "" || after.Epoch == c.epoch) {
		// Ahead of what this node has seen is not ahead of the log.
		n.log.mu.Unlock()
		if err := n.catchUp(ctx, channel); err != nil {
			return nil, fmt.Errorf("read %s: %w", channel, err)
		}
		c, upTo, err = n.shown(ctx, channel)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	switch {
	case after.Epoch != "" && after.Epoch != c.epoch:
		return nil, engine.ErrEpoch
	case after.Offset > upTo:
		return nil, engine.ErrFuture
	case after.Offset < c.lostUnkeyed && !n.log.faults.NoTruncation:
		return nil, engine.ErrTruncated
	}
	if limit <= 0 {
		limit = 1000
	}
	out := c.read(after.Offset, upTo, limit)
	if n.log.faults.SkipsLast && len(out) > 0 && len(out) < limit {
		out = out[:len(out)-1]
	}
	return out, nil
}

// Since implements engine.Engine.
func (n *node) Since(ctx context.Context, channel string, unixMs int64, limit int) ([]engine.Entry, error) {
	c, upTo, err := n.shown(ctx, channel)
	if err != nil {
		return nil, fmt.Errorf("since %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	out := slices.DeleteFunc(c.read(0, upTo, len(c.entries)), func(e engine.Entry) bool { return e.Time < unixMs })
	if limit <= 0 {
		limit = 1000
	}
	return out[max(0, len(out)-limit):], nil
}

// State implements engine.Engine.
func (n *node) State(ctx context.Context, channel, prefix string, after uint64) (engine.Position, []engine.Value, error) {
	c, upTo, err := n.shown(ctx, channel)
	if err == nil && after > upTo {
		n.log.mu.Unlock()
		if err := n.catchUp(ctx, channel); err != nil {
			return engine.Position{}, nil, fmt.Errorf("state %s: %w", channel, err)
		}
		c, upTo, err = n.shown(ctx, channel)
	}
	if err != nil {
		return engine.Position{}, nil, fmt.Errorf("state %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	values, err := c.state(prefix, after, upTo, n.log.now().UnixMilli(), n.log.tombstoneAge)
	if err != nil {
		return engine.Position{}, nil, fmt.Errorf("state %s: %w", channel, err)
	}
	return engine.Position{Epoch: c.epoch, Offset: upTo}, values, nil
}

// Get implements engine.Engine.
func (n *node) Get(ctx context.Context, channel, key string) (engine.Value, error) {
	c, upTo, err := n.shown(ctx, channel)
	if err != nil {
		return engine.Value{}, fmt.Errorf("get %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	return c.get(key, upTo, n.log.now().UnixMilli(), n.log.tombstoneAge), nil
}

// Head implements engine.Engine.
func (n *node) Head(ctx context.Context, channel string) (engine.Position, error) {
	if !n.log.faults.StaleHead {
		if err := n.catchUp(ctx, channel); err != nil {
			return engine.Position{}, fmt.Errorf("head %s: %w", channel, err)
		}
	}
	c, upTo, err := n.shown(ctx, channel)
	if err != nil {
		return engine.Position{}, fmt.Errorf("head %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	return engine.Position{Epoch: c.epoch, Offset: upTo}, nil
}

// Watch implements engine.Engine.
func (n *node) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	f, err := n.feed(ctx, channel)
	if err != nil {
		return engine.Position{}, nil, fmt.Errorf("watch %s: %w", channel, err)
	}
	f.delivering.Lock()
	defer f.delivering.Unlock()
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	w := &watcher{sink: sink}
	f.watchers = append(slices.Clip(f.watchers), w)
	stop := func() {
		n.log.mu.Lock()
		defer n.log.mu.Unlock()
		if w.stopped {
			return
		}
		w.stopped = true
		f.watchers = slices.DeleteFunc(slices.Clone(f.watchers), func(x *watcher) bool { return x == w })
		if len(f.watchers) == 0 && n.feeds[channel] == f {
			delete(n.feeds, channel)
		}
	}
	return engine.Position{Epoch: f.epoch, Offset: f.applied}, stop, nil
}

// feed returns the feed of a channel, beginning it at the head of the log.
func (n *node) feed(ctx context.Context, channel string) (*feed, error) {
	c, upTo, err := n.shown(ctx, channel)
	if err != nil {
		return nil, err
	}
	defer n.log.mu.Unlock()
	f := n.feeds[channel]
	if f == nil {
		f = &feed{node: n, channel: channel, epoch: c.epoch, applied: upTo, leases: make(map[string][]byte)}
		for holder, l := range c.leases {
			f.leases[holder] = l.value
		}
		n.feeds[channel] = f
	}
	return f, nil
}

// Send implements engine.Engine.
func (n *node) Send(ctx context.Context, channel string, e engine.Entry) error {
	if _, _, err := n.shown(ctx, channel); err != nil {
		return fmt.Errorf("send %s: %w", channel, err)
	}
	e.Offset, e.Prev = 0, 0
	if e.Time == 0 {
		e.Time = n.log.now().UnixMilli()
	}
	n.log.tell(channel, news{sent: &e})
	feeds := n.told(channel)
	n.log.mu.Unlock()
	n.settle(feeds)
	return nil
}

// PutLease implements engine.Engine.
func (n *node) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	c, _, err := n.shown(ctx, channel)
	if err != nil {
		return fmt.Errorf("put lease %s: %w", channel, err)
	}
	if n.cut {
		n.log.mu.Unlock()
		return fmt.Errorf("put lease %s: %w", channel, engine.ErrUnavailable)
	}
	c.leases[holder] = lease{value, n}
	n.log.tell(channel, news{lease: &engine.LeaseEvent{Holder: holder, Value: value}})
	feeds := n.told(channel)
	n.log.mu.Unlock()
	n.settle(feeds)
	return nil
}

// DropLease implements engine.Engine.
func (n *node) DropLease(ctx context.Context, channel, holder string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("drop lease %s: %w", channel, err)
	}
	n.log.mu.Lock()
	switch {
	case n.closed:
		n.log.mu.Unlock()
		return fmt.Errorf("drop lease %s: %w", channel, engine.ErrClosed)
	case n.cut && n.log.faults.FailingDrops:
		n.log.mu.Unlock()
		return fmt.Errorf("drop lease %s: %w", channel, engine.ErrUnavailable)
	case n.cut:
		n.drops = append(n.drops, drop{channel, holder})
		n.log.mu.Unlock()
		return nil
	}
	n.dropLease(channel, holder)
	feeds := n.told(channel)
	n.log.mu.Unlock()
	n.settle(feeds)
	return nil
}

// Leases implements engine.Engine.
func (n *node) Leases(ctx context.Context, channel string) ([]engine.Lease, error) {
	c, _, err := n.shown(ctx, channel)
	if err != nil {
		return nil, fmt.Errorf("leases %s: %w", channel, err)
	}
	defer n.log.mu.Unlock()
	out := []engine.Lease{}
	if f := n.feeds[channel]; f != nil && n.relaxed {
		for _, holder := range sortedKeys(f.leases) {
			out = append(out, engine.Lease{Holder: holder, Value: f.leases[holder]})
		}
		return out, nil
	}
	for _, holder := range sortedKeys(c.leases) {
		out = append(out, engine.Lease{Holder: holder, Value: c.leases[holder].value})
	}
	return out, nil
}

// Healthy implements engine.Engine.
func (n *node) Healthy() error {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	switch {
	case n.closed:
		return engine.ErrClosed
	case n.cut:
		return engine.ErrUnavailable
	}
	return nil
}

// Close implements engine.Engine. It is what the end of the process is to the
// cluster too: the node's leases vanish.
func (n *node) Close() error {
	l := n.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	l.nodes = slices.DeleteFunc(slices.Clone(l.nodes), func(x *node) bool { return x == n })
	clear(n.feeds)
	if l.faults.LeakyLeases {
		return nil
	}
	for _, name := range sortedKeys(l.channels) {
		c := l.channels[name]
		for _, holder := range sortedKeys(c.leases) {
			if c.leases[holder].node == n {
				delete(c.leases, holder)
				l.tell(name, news{lease: &engine.LeaseEvent{Holder: holder}})
			}
		}
	}
	return nil
}
