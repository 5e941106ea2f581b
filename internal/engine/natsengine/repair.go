package natsengine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// pauseAfter is how long to wait after that many attempts: little at first, for
// what passes at once.
func pauseAfter(tries int) time.Duration {
	return min(time.Millisecond<<min(tries, 20), 500*time.Millisecond)
}

// pauseIn waits, or returns false when ctx or the engine ends.
func (e *Engine) pauseIn(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-e.stop.Done():
		return false
	case <-t.C:
		return true
	}
}

// errBehind: the time was over because this node's own watchers were waited for,
// which says nothing of the servers.
var errBehind = fmt.Errorf("watchers on this node do not keep up: %w", engine.ErrOverloaded)

// catchUp applies everything that the leader has of a channel's log at this
// moment and delivers it. When the log has less than was applied, it has lost
// something and goes on under another epoch. Whatever was applied before an error
// stays.
func (e *Engine) catchUp(ctx context.Context, c *channel) error {
	return (&reading{engine: e, channel: c}).run(ctx)
}

func (r *reading) run(ctx context.Context) error {
	err := r.catchUp(ctx)
	if err != nil && r.waited && ctx.Err() != nil && r.engine.stop.Err() == nil {
		return errBehind // the servers had what was left of the time
	}
	return err
}

// reading is one attempt to catch up. One goroutine has it.
type reading struct {
	engine  *Engine
	channel *channel
	placed  bool // it has a place among the repairs that read at a time
	waited  bool // for this node's own watchers
}

func (r *reading) catchUp(ctx context.Context) error {
	e, c := r.engine, r.channel
	for range readTries {
		before, _ := r.at()
		end, err := e.store.end(ctx, c.part, c.escaped)
		switch {
		case errors.Is(err, errNoStream):
			return errors.Join(err, e.store.openStreams(ctx))
		case errors.Is(err, errGone) && before == 0, err == nil && end.seq == before:
			return nil
		case errors.Is(err, errGone), err == nil && end.seq < before:
			return e.recoverLoss(ctx, c, before)
		case err != nil:
			return err
		}
		done, err := r.upTo(ctx, end)
		if done || err != nil {
			return err
		}
	}
	return errHole
}

// at is the place up to which messages are applied, and whether anybody may still
// want those behind it.
func (r *reading) at() (seq uint64, wanted bool) {
	c := r.channel
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	return c.seq, !c.shard.closed || c.pumping
}

// upTo applies what is missing up to end, the newest message. It reads as much as
// one request does and applies that before it reads on, because what is missing may
// be more than there is room for. It says false when it has to be tried again.
func (r *reading) upTo(ctx context.Context, end stored) (bool, error) {
	e, c := r.engine, r.channel
	for {
		at, wanted := r.at()
		switch {
		case at >= end.seq:
			return true, nil
		case !wanted:
			return false, engine.ErrClosed
		case ctx.Err() != nil:
			return false, ctx.Err()
		}
		list, err := e.store.step(ctx, c.part, c.escaped, at+1, end)
		if errors.Is(err, errGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		follows, err := r.apply(ctx, list)
		if err != nil {
			return false, err
		}
		if !follows {
			return e.reload(ctx, c)
		}
	}
}

// apply applies messages, and says false when one does not follow what was applied.
func (r *reading) apply(ctx context.Context, list []stored) (bool, error) {
	e, c := r.engine, r.channel
	for i := range list {
		m, err := e.decode(ctx, c, &list[i])
		if errors.Is(err, errGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if follows, err := r.take(ctx, m); !follows || err != nil {
			return false, err
		}
	}
	return true, nil
}

// take applies one message and hands it out, once watchers have kept up.
func (r *reading) take(ctx context.Context, m *message) (follows bool, err error) {
	c := r.channel
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.isBehind() && !r.keepUp(ctx) {
		return false, errBehind
	}
	follows = m.seq <= c.seq || c.apply(m)
	c.handOut()
	return follows, nil
}

// keepUp waits for watchers, and lets another repair read meanwhile (E10). The shard is
// locked when it is called and when it returns.
func (r *reading) keepUp(ctx context.Context) bool {
	r.waited = true
	if !r.placed {
		return r.channel.keepUp(ctx)
	}
	r.engine.checks.leave()
	kept := r.channel.keepUp(ctx)
	r.channel.shard.mu.Unlock()
	r.engine.checks.enter()
	r.channel.shard.mu.Lock()
	return kept
}

// reload reads a channel from the start, when it lacks something that is not in
// the stream any more.
func (e *Engine) reload(ctx context.Context, c *channel) (bool, error) {
	img, err := e.readImage(ctx, c)
	if err != nil {
		return false, err
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if img.seq > c.seq || img.log.Epoch != c.Epoch {
		c.become(img)
		c.account()
		c.handOut()
	}
	return true, nil
}

// recoverLoss begins a new epoch for a log whose stream has less of it than was
// applied here (E7). That the servers take the base proves it: a leader that is
// cut off from the others cannot.
func (e *Engine) recoverLoss(ctx context.Context, c *channel, applied uint64) error {
	if err := e.store.openStreams(ctx); err != nil { // a stream that was made anew has a new epoch
		return err
	}
	img, err := e.readImage(ctx, c)
	if err != nil {
		return err
	}
	s := c.shard
	s.mu.Lock()
	known := c.Epoch
	s.mu.Unlock()
	if img.seq < applied && img.log.Epoch == known {
		img.log.Epoch = newEpoch()
		body := encodeBase(img.log, img.log.Epoch, img.seq)
		seq, pieces, err := e.store.append(ctx, c.part, c.escaped, body, img.seq)
		if err != nil {
			return err
		}
		img.seq, img.based, img.size = seq, seq, logSize{base: len(body)}
		if len(pieces) > 0 {
			img.size.pieces = []held{{seq, pieces[0]}}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.seq > applied || c.Epoch != known {
		return nil // somebody was quicker, or it was a leader that knew less
	}
	if img.log.Epoch != known {
		e.options.Logger.Error("a log has lost entries and goes on under another epoch; clients load anew",
			"channel", c.name, "applied", applied, "left", img.seq)
		c.ahead = 0
		c.become(img)
		c.account()
		c.handOut()
	}
	return nil
}

// lookAgainLocked lets the leader be asked for the log's end, also when a repair is under
// way that has asked already: what there is may have come since.
func (e *Engine) lookAgainLocked(c *channel) {
	c.hinted = true
	e.repairLocked(c)
}

// repairLocked lets what is missing be read, unless that is under way.
func (e *Engine) repairLocked(c *channel) {
	if c.repairs || c.gone || c.loading != nil || c.shard.closed {
		return
	}
	c.repairs = true
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		e.repair(c)
	}()
}

// repair reads until nothing is missing that this node was told of.
func (e *Engine) repair(c *channel) {
	s := c.shard
	for try := 1; ; try++ {
		s.mu.Lock()
		before := c.seq
		c.hinted = false
		s.mu.Unlock()
		err := e.repairOnce(c)
		s.mu.Lock()
		if c.seq > before { // it grows while it is read, as when this node is behind
			try = 1
		}
		if err == nil && c.seq < c.ahead && try > readTries {
			c.ahead = c.seq // it was told wrong
			c.release()
			c.handOut()
		}
		if c.gone || s.closed || (err == nil && c.seq >= c.ahead && !c.hinted) {
			c.repairs = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err != nil && try == readTries {
			e.options.Logger.Warn("a log cannot be read; it is tried again", "channel", c.name, "cause", err)
		}
		if !e.pause(pauseAfter(try)) {
			s.mu.Lock()
			c.repairs = false
			s.mu.Unlock()
			return
		}
	}
}

// repairOnce is one attempt of a repair. It has its place among those that read at a time
// for no longer: one that fails must not keep others from theirs while it pauses.
func (e *Engine) repairOnce(c *channel) error {
	e.checks.enter()
	defer e.checks.leave()
	ctx, cancel := context.WithTimeout(e.stop, e.options.Patience)
	defer cancel()
	return (&reading{engine: e, channel: c, placed: true}).run(ctx)
}

// release applies what other nodes told of and what happened behind messages
// that have been applied by now, or that there are none of any more.
func (c *channel) release() {
	n := 0
	for n < len(c.held) && (c.held[n].after <= c.seq || c.held[n].after > c.ahead) {
		n++
	}
	ready := c.held[:n]
	c.held = append([]*notice(nil), c.held[n:]...)
	for _, told := range ready {
		c.obey(told)
	}
}
