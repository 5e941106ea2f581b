package natsengine

import (
	"context"
	"fmt"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// question is one look at what the leader has of a channel's log, which all who
// asked before it began share.
type question struct {
	done chan struct{}
	err  error // once done is closed
}

// fresh is the looks at one channel's log: one that is under way, and the one
// after it, for who came when that had begun.
type fresh struct{ now, next *question }

// Head implements engine.Engine. Each call rests on a look at the leader that
// began after it (E9); calls at the same time share one.
func (e *Engine) Head(ctx context.Context, channel string) (engine.Position, error) {
	at, err := e.head(ctx, channel)
	return at, wrap("head", channel, err)
}

func (e *Engine) head(ctx context.Context, channel string) (engine.Position, error) {
	begun := time.Now()
	for {
		s, c, err := e.acquire(ctx, channel)
		if err != nil {
			return engine.Position{}, err
		}
		if !c.began.Before(begun) { // loading it was such a look
			defer s.mu.Unlock()
			return c.Position(), nil
		}
		if err := e.refusal(c.part); err != nil {
			s.mu.Unlock()
			return engine.Position{}, err
		}
		q := e.askLocked(c)
		s.mu.Unlock()
		select {
		case <-q.done:
		case <-ctx.Done():
			return engine.Position{}, ctx.Err()
		}
		if q.err != nil {
			return engine.Position{}, q.err
		}
		s.mu.Lock()
		if gone := c.gone; gone {
			s.mu.Unlock()
			continue // it left memory meanwhile
		}
		defer s.mu.Unlock()
		return c.Position(), nil
	}
}

// askLocked returns a look that begins after this.
func (e *Engine) askLocked(c *channel) *question {
	if c.fresh.now == nil {
		q := &question{done: make(chan struct{})}
		c.fresh.now = q
		e.work.Add(1)
		go func() {
			defer e.work.Done()
			e.look(c)
		}()
		return q
	}
	if c.fresh.next == nil {
		c.fresh.next = &question{done: make(chan struct{})}
	}
	return c.fresh.next
}

// look answers the questions about a channel until there are none.
func (e *Engine) look(c *channel) {
	s := c.shard
	s.mu.Lock()
	for c.fresh.now != nil {
		q := c.fresh.now
		s.mu.Unlock()
		q.err = e.lookOnce(c)
		s.mu.Lock()
		c.fresh.now, c.fresh.next = c.fresh.next, nil
		close(q.done)
	}
	s.mu.Unlock()
}

// lookOnce catches up with the leader, with patience.
func (e *Engine) lookOnce(c *channel) error {
	ctx, cancel := context.WithTimeout(e.stop, e.options.Patience)
	defer cancel()
	for try := 1; ; try++ {
		err := e.catchUp(ctx, c)
		if err == nil {
			return nil
		}
		e.blame(c.part, err)
		if ctx.Err() != nil || c.shard.isClosed() || !e.pauseIn(ctx, pauseAfter(try)) {
			return fmt.Errorf("the log's end is not known: %w", unavailable(err))
		}
	}
}
