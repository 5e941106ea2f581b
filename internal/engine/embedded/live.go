package embedded

import (
	"context"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// Watch implements engine.Engine.
func (e *Engine) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	s, c, err := e.acquire(ctx, channel)
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

// Send implements engine.Engine.
func (e *Engine) Send(ctx context.Context, channel string, entry engine.Entry) error {
	return wrap("send", channel, e.send(ctx, channel, entry))
}

func (e *Engine) send(ctx context.Context, channel string, entry engine.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := e.shardOf(channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c := s.channels[channel]
	switch {
	case s.closed:
		s.mu.Unlock()
		return engine.ErrClosed
	case c == nil || c.loading != nil || len(c.Watchers) == 0:
		s.mu.Unlock()
		return nil // nobody to deliver to, so nothing to load
	}
	c.used = e.now()
	entry.Offset, entry.Prev = 0, 0
	if entry.Time == 0 {
		entry.Time = c.used
	}
	size := chanlog.Overhead + len(entry.Data)
	if s.full(size) {
		s.mu.Unlock()
		return engine.ErrOverloaded
	}
	return s.queueLocked(ctx, c, size, func(o *op) {
		o.kind, o.Record = opSend, &chanlog.Record{Entry: entry}
	})
}

// PutLease implements engine.Engine.
func (e *Engine) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	if value == nil {
		value = []byte{} // nil means dropped
	}
	return wrap("put lease", channel, e.putLease(ctx, channel, engine.LeaseEvent{Holder: holder, Value: value}))
}

func (e *Engine) putLease(ctx context.Context, channel string, l engine.LeaseEvent) error {
	size := chanlog.LeaseSize(l.Holder, l.Value)
	s, c, err := e.acquireFor(ctx, channel, size)
	if err != nil {
		return err
	}
	return s.queueLocked(ctx, c, size, func(o *op) {
		o.kind, o.lease = opLease, l
		c.claim(l.Holder)
	})
}

// DropLease implements engine.Engine. It is never refused for what is waiting:
// who is gone must not stay in the channel because the channel is busy. The
// queue grows by it once per lease at most.
func (e *Engine) DropLease(ctx context.Context, channel, holder string) error {
	return wrap("drop lease", channel, e.dropLease(ctx, channel, holder))
}

func (e *Engine) dropLease(ctx context.Context, channel, holder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := e.shardOf(channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c := s.channels[channel]
	switch {
	case s.closed:
		s.mu.Unlock()
		return engine.ErrClosed
	case c == nil || c.loading != nil || !c.holders[holder]:
		s.mu.Unlock()
		return nil // channels with leases stay in memory, so there is none
	}
	delete(c.holders, holder)
	return s.queueLocked(ctx, c, chanlog.LeaseSize(holder, nil), func(o *op) {
		o.kind, o.lease = opLease, engine.LeaseEvent{Holder: holder}
	})
}

// queueLocked queues an op that needs no sequencing and waits for it. The shard
// is locked when it is called and unlocked when it returns.
func (s *shard) queueLocked(ctx context.Context, c *channel, size int, fill func(*op)) error {
	o := s.engine.ops.get()
	o.ch, o.size = c, size
	fill(o)
	if err := s.submit(ctx, o); err != nil {
		return err
	}
	err := o.Err
	s.engine.ops.put(o)
	return err
}

// Leases implements engine.Engine.
func (e *Engine) Leases(ctx context.Context, channel string) ([]engine.Lease, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return nil, wrap("leases", channel, err)
	}
	defer s.mu.Unlock()
	return c.ListLeases(), nil
}
