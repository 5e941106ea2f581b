package natsengine

import "time"

// sweepUntilStopped visits the shards in turn, each once per SweepEvery.
func (e *Engine) sweepUntilStopped() {
	t := time.NewTicker(max(e.options.SweepEvery/shardCount, time.Millisecond))
	defer t.Stop()
	for i := 0; ; i = (i + 1) % shardCount {
		select {
		case <-e.stop.Done():
			return
		case <-t.C:
			e.shards[i].sweep()
			e.revisit()
		}
	}
}

// sweep drops what is too old in the shard's channels, lets it be deleted from
// the stream, and lets go of channels that nobody misses.
func (s *shard) sweep() {
	e := s.engine
	now, tombstones := e.now(), e.tombstonesBefore()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, c := range s.channels {
		if c.loading != nil {
			continue
		}
		c.Expire(now)
		c.ForgetTombstones(tombstones)
		c.account()
		switch {
		case c.untidy(now):
			c.tidy = true
			e.pumpLocked(c)
		case c.idle(now, e.options.IdleAfter):
			e.letGoLocked(c)
		}
	}
}

// untidy says whether the stream holds what the quiet channel has dropped, and
// this node is the one to see to it: the first of all, or when that does not, which may
// not have the channel, any that has it.
func (c *channel) untidy(now int64) bool {
	e := c.shard.engine
	quiet := quietFor
	if !e.nodes.first(e.id) {
		quiet *= 2
	}
	return c.size.lost > 0 && c.seq > 0 && now-c.Appended > quiet.Milliseconds() && !c.pumping
}
