package natsengine

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// heldMax bounds what waits in a channel for messages of its log that are on
// their way. Beyond it the oldest goes ahead.
const heldMax = 1000

// heard takes what was published live for a channel: a message of its log, or
// what another node tells.
func (e *Engine) heard(msg *nats.Msg) {
	kind, escaped := channelOf(msg.Subject)
	name, err := unescape(escaped)
	if err != nil {
		return
	}
	if kind != "log" {
		e.heardNotice(name, msg)
		return
	}
	st, err := newStored(msg)
	if err != nil {
		e.options.Logger.Warn("live message cannot be read", "channel", name, "cause", err)
		return
	}
	m := &message{stored: st}
	if len(m.pieces) == 0 {
		if err := m.decode(name); err != nil {
			e.options.Logger.Error("live message cannot be read", "channel", name, "seq", m.seq, "cause", err)
			return
		}
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[name]; c != nil {
		e.heardLocked(c, m)
	}
}

// heardLocked applies a live message if it follows what was applied. Else what
// lies between is read.
func (e *Engine) heardLocked(c *channel, m *message) {
	c.ahead = max(c.ahead, m.seq)
	if c.loading != nil {
		return
	}
	e.checkSoonLocked(c)
	switch {
	case m.seq <= c.seq:
	case m.last == c.seq && len(m.pieces) == 0 && !c.isBehind() && c.apply(m): // one that is behind reads what it has left out
		c.handOut()
	default:
		e.repairLocked(c)
	}
}

// missed is told that messages of a subscription were dropped.
func (e *Engine) missed(sub *nats.Subscription) {
	if !e.ready.Load() {
		return
	}
	if e.store.subjects.isOfNodes(sub.Subject) {
		e.deaf.Store(true)
		return
	}
	_, escaped := channelOf(sub.Subject)
	name, err := unescape(escaped)
	if err != nil {
		return
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[name]; c != nil {
		e.lookAgainLocked(c)
	}
}

// Watch implements engine.Engine.
func (e *Engine) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	s, c, err := e.acquireMet(ctx, channel)
	if err != nil {
		return engine.Position{}, nil, wrap("watch", channel, err)
	}
	defer s.mu.Unlock()
	w := &chanlog.Watcher{Sink: sink}
	c.Watch(w)
	stop := func() {
		if w.Stopped.Swap(true) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.Unwatch(w)
	}
	return c.Position(), stop, nil
}

// Send implements engine.Engine. Other nodes deliver it behind what this one had
// applied when it was sent.
func (e *Engine) Send(ctx context.Context, channel string, entry engine.Entry) error {
	return wrap("send", channel, e.send(ctx, channel, entry))
}

func (e *Engine) send(ctx context.Context, channel string, entry engine.Entry) error {
	if channel == "" {
		return errName
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	entry.Offset, entry.Prev = 0, 0
	if entry.Time == 0 {
		entry.Time = e.now()
	}
	r := &chanlog.Record{Entry: entry}
	n := &notice{kind: noticeSend, channel: escape(channel), entry: r}
	s := e.shardOf(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return engine.ErrClosed
	}
	c := s.channels[channel]
	if c == nil || c.loading != nil {
		e.tell(partition(channel, e.store.partitions), n)
		return nil
	}
	if len(c.out) > heldMax || c.isBehind() {
		return engine.ErrOverloaded
	}
	n.after = c.seq
	e.tell(c.part, n)
	if len(c.Watchers) > 0 {
		o := &op{done: make(chan struct{})}
		c.gather(r.Events(), o)
		return c.await(ctx, o)
	}
	return nil
}

// await hands out what was gathered and waits until an op of it is done. The
// shard is locked when it is called and when it returns.
func (c *channel) await(ctx context.Context, o *op) error {
	c.handOut()
	c.shard.mu.Unlock()
	defer c.shard.mu.Lock()
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell publishes a notice about a channel. It may get lost, see noticeKind.
func (e *Engine) tell(p int, n *notice) {
	n.node = e.id
	e.publish(e.store.subjects.live(p, "ev", n.channel), n)
}

// tellAll publishes a notice to all nodes.
func (e *Engine) tellAll(n *notice) {
	n.node = e.id
	e.publish(e.store.subjects.nodes(), n)
}

// tellNode publishes a notice to one node.
func (e *Engine) tellNode(id string, n *notice) {
	n.node = e.id
	e.publish(e.store.subjects.node(id), n)
}

func (e *Engine) publish(subject string, n *notice) {
	if err := e.store.nc.Publish(subject, n.encode()); err != nil && e.store.nc.IsConnected() {
		e.options.Logger.Warn("other nodes are not told", "subject", subject, "cause", err)
	}
}

// hintLocked tells others that a channel's log may have grown.
func (e *Engine) hintLocked(c *channel) {
	e.tell(c.part, &notice{kind: noticeHint, channel: c.escaped})
}

// heardNotice takes what another node tells about a channel.
func (e *Engine) heardNotice(name string, msg *nats.Msg) {
	n, err := decodeNotice(msg.Data)
	if err != nil {
		e.options.Logger.Warn("notice cannot be read", "channel", name, "cause", err)
		return
	}
	if n.node == e.id {
		return
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[name]
	if c == nil {
		return
	}
	if c.loading != nil {
		c.ahead = max(c.ahead, n.after)
		if len(c.leases.early) < heldMax {
			c.leases.early = append(c.leases.early, n)
		}
		return
	}
	e.takeLocked(c, n)
}

// takeLocked obeys a notice, or keeps it until what it follows was applied.
func (e *Engine) takeLocked(c *channel, n *notice) {
	e.checkSoonLocked(c)
	if n.kind == noticeSend && c.isBehind() {
		return // it may get lost, and nothing bounds how many there are
	}
	if n.after <= c.seq && len(c.held) == 0 {
		c.obey(n)
		c.handOut()
		return
	}
	c.held = append(c.held, n)
	c.ahead = max(c.ahead, n.after)
	if len(c.held) > heldMax {
		first := c.held[0]
		c.held = c.held[1:]
		c.obey(first)
		c.handOut()
	}
	if c.ahead > c.seq {
		e.repairLocked(c)
	}
}

// obey does what a notice says.
func (c *channel) obey(n *notice) {
	e := c.shard.engine
	switch n.kind {
	case noticeSend:
		c.gather(n.entry.Events())
	case noticeLease, noticeLeases, noticeSome:
		e.takeLeases(c, n)
	case noticeHint:
		e.lookAgainLocked(c)
	default:
		e.options.Logger.Debug("notice is not for a channel", "kind", n.kind)
	}
}
