package embedded

import (
	"cmp"
	"slices"
)

// makeRoom says whether there was room for so many bytes more, after letting go
// of channels if need be. Others may have taken it already. No shard may be
// locked by the caller.
func (e *Engine) makeRoom(size int) bool {
	m := &e.memory
	if m.fits(size) {
		return true
	}
	if int64(size) > m.max || m.short(e.now()) {
		return false
	}
	m.relief.Lock()
	defer m.relief.Unlock()
	if now := e.now(); !m.fits(size) && !m.short(now) {
		e.relieve(m.max-m.max/roomShare-int64(size), now)
	}
	return m.fits(size) || !m.short(e.now())
}

// relieve lets go of channels that nobody watches until no more than target
// bytes are used: first those that lose nothing by it, then those that are in
// memory only and begin anew, each in the order of their last use.
func (e *Engine) relieve(target, now int64) {
	var left, lost int
	enough := func() bool { return e.memory.used.Load() <= target }
	reached := enough()
	for _, d := range e.dispensable() {
		if reached {
			break
		}
		if d.shard.dismiss(&d) {
			left++
			if d.lossy {
				lost++
			}
			reached = enough()
		}
	}
	if lost > 0 {
		e.options.Logger.Warn("channels in memory were given up, because there are too many; clients that come back to them begin anew",
			"channels", lost, "max_bytes", e.memory.max)
	}
	if reached {
		e.memory.shortAt.Store(0)
	} else if e.memory.shortAt.Swap(now) == 0 {
		e.options.Logger.Warn("channels in use nearly fill the memory they may; beyond it appends are refused",
			"used_bytes", e.memory.used.Load(), "max_bytes", e.memory.max, "channels_left", left)
	}
}

// dispensable is a channel that may leave memory.
type dispensable struct {
	shard   *shard
	channel *channel
	used    int64 // Unix ms of its last use when it was looked at
	lossy   bool  // something would be lost, if only its position
}

// dispensable lists the channels that may leave memory, in the order in which
// they are to.
func (e *Engine) dispensable() []dispensable {
	var out []dispensable
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		for _, c := range s.channels {
			if c.unused() {
				out = append(out, dispensable{shard: s, channel: c, used: c.used, lossy: c.lossy()})
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b dispensable) int {
		switch {
		case a.lossy == b.lossy:
			return cmp.Compare(a.used, b.used)
		case b.lossy:
			return -1
		}
		return 1
	})
	return out
}

// dismiss lets go of a channel, unless it was used since it was looked at.
func (s *shard) dismiss(d *dispensable) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := d.channel
	if s.closed || s.channels[c.Name] != c || c.used != d.used || !c.unused() || c.lossy() != d.lossy {
		return false
	}
	s.letGoLocked(c)
	s.reportLocked()
	return true
}

// letGoLocked takes a channel out of memory. A log that is lost by it goes on
// under another epoch.
func (s *shard) letGoLocked(c *channel) {
	delete(s.channels, c.Name)
	s.account(-c.Forget())
	if c.lossy() {
		s.renewEpoch()
	}
}
