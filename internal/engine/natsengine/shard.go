package natsengine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
)

// shard is a part of the channels, and their lock.
type shard struct {
	engine *Engine

	mu       sync.Mutex // guards the following, and the channels
	channels map[string]*channel
	closed   bool
}

func (s *shard) init(e *Engine) {
	s.engine, s.channels = e, make(map[string]*channel)
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *shard) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// acquire returns a channel with the shard locked. After an error it is not.
func (s *shard) acquire(ctx context.Context, name string) (*channel, error) {
	s.mu.Lock()
	for {
		if s.closed {
			s.mu.Unlock()
			return nil, engine.ErrClosed
		}
		c := s.channels[name]
		if c == nil {
			c = s.beginLoad(name)
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
		if c.failed != nil { // written before loading was closed
			return nil, c.failed
		}
		s.mu.Lock()
	}
}

// beginLoad makes a channel and lets it be loaded, whoever waits for that.
func (s *shard) beginLoad(name string) *channel {
	c := newChannel(s, name)
	s.channels[name] = c
	s.engine.work.Add(1)
	go func() {
		defer s.engine.work.Done()
		s.engine.load(c)
	}()
	return c
}

// load brings a channel into memory: it listens first and reads then, so that
// nothing is missed in between.
func (e *Engine) load(c *channel) {
	img, err := e.loadImage(c)
	s := c.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	loaded := c.loading
	c.loading = nil
	defer close(loaded)
	if err == nil && s.closed {
		err = engine.ErrClosed
	}
	if err != nil {
		c.failed = fmt.Errorf("load: %w", err)
		e.letGoLocked(c)
		return
	}
	c.become(img)
	c.used = e.now()
	c.account()
	early := c.leases.early
	c.leases.early = nil
	for _, n := range early {
		e.takeLocked(c, n)
	}
	if c.ahead > c.seq || c.hinted {
		e.repairLocked(c)
	}
}

func (e *Engine) loadImage(c *channel) (*image, error) {
	if !e.makeRoom(c.Held) {
		return nil, errMemory
	}
	sub, err := e.store.nc.ChanSubscribe(e.store.subjects.live(c.part, "*", c.escaped), e.live[hash(c.name)%listeners])
	if err != nil {
		return nil, unavailable(err)
	}
	c.sub.Store(sub)
	ctx, cancel := context.WithTimeout(e.stop, e.options.Patience)
	defer cancel()
	img, err := e.readImage(ctx, c)
	switch {
	case errors.Is(err, errMemory):
		return nil, err
	case err != nil:
		return nil, unavailable(err)
	case !e.makeRoom(img.log.Held): // its size is known only now
		return nil, errMemory
	}
	return img, nil
}

// letGoLocked takes a channel out of memory.
func (e *Engine) letGoLocked(c *channel) {
	s := c.shard
	if s.channels[c.name] == c {
		delete(s.channels, c.name)
	}
	c.gone = true
	if c.failed == nil {
		now := e.now()
		if at, ok := c.revisitAt(now, e.options.IdleAfter); ok {
			e.revisits.add(at, c.name)
		}
	}
	e.memory.used.Add(-c.Forget())
	if sub := c.sub.Load(); sub != nil {
		if err := sub.Unsubscribe(); err != nil && e.store.nc.IsConnected() {
			e.options.Logger.Debug("unsubscribe", "channel", c.name, "cause", err)
		}
	}
}
