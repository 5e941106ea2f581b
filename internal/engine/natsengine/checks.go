package natsengine

import (
	"sync"
	"time"
)

// checks says which quiet channels are due to be compared with what the leader
// has: live messages are published at most once, and the last one of a channel
// has no successor that would show its loss.
type checks struct {
	mu   sync.Mutex
	heap dueHeap[*channel]
	busy chan struct{} // as many as may read at a time
}

const (
	// checksAtOnce bounds the reads of repairs: after a reconnect all channels
	// want one.
	checksAtOnce = 64
	// checkSeldom is how seldom a channel that stays quiet is checked at last. Who
	// wrote to it says where it ends as well.
	checkSeldom = time.Minute
)

// checkTime is when a channel is checked next.
type checkTime struct {
	at    int64 // Unix ms; 0 for never
	after int64 // ms of quiet that the next check waits for
}

func (k *checks) init() { k.busy = make(chan struct{}, checksAtOnce) }

func (k *checks) enter() { k.busy <- struct{}{} }
func (k *checks) leave() { <-k.busy }

func (k *checks) add(at int64, c *channel) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heap.add(at, c)
}

// due takes a channel whose time has come.
func (k *checks) due(now int64) (due[*channel], bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.heap.take(now)
}

// checkSoonLocked is called at each traffic of a channel: it is checked when it
// has been quiet for a moment.
func (e *Engine) checkSoonLocked(c *channel) {
	quiet := e.options.QuietAfter.Milliseconds()
	c.check.after = quiet
	c.busyAt = time.Now().UnixMilli()
	soon := c.busyAt + quiet
	if c.check.at == 0 || c.check.at > soon+quiet {
		c.check.at = soon
		e.checks.add(soon, c)
	}
}

// checkUntilStopped checks the channels that are due.
func (e *Engine) checkUntilStopped() {
	t := time.NewTicker(max(e.options.QuietAfter/4, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-e.stop.Done():
			return
		case <-t.C:
		}
		now := time.Now().UnixMilli()
		for entry, ok := e.checks.due(now); ok; entry, ok = e.checks.due(now) {
			e.check(entry, now)
		}
	}
}

// check compares a quiet channel with what the leader has, and says when it is
// to be compared again.
func (e *Engine) check(entry due[*channel], now int64) {
	c := entry.what
	s := c.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || c.loading != nil || s.closed || c.check.at != entry.at {
		return
	}
	if c.busyAt+c.check.after > now { // there was traffic since
		c.check.at = c.busyAt + c.check.after
		e.checks.add(c.check.at, c)
		return
	}
	if c.check.after == e.options.QuietAfter.Milliseconds() && c.wrote == c.seq && c.wrote > 0 {
		e.nodes.say(c.news())
	}
	e.repairLocked(c)
	c.check.after = min(2*c.check.after, max(checkSeldom, e.options.QuietAfter).Milliseconds())
	c.check.at = now + c.check.after
	e.checks.add(c.check.at, c)
}
