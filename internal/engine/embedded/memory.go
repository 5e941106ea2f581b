package embedded

import (
	"sync"
	"sync/atomic"
)

const (
	// roomShare is the part of the bound that is made free at a time, as a
	// divisor: making room looks at every channel, so it has to last for a while.
	roomShare = 8
	// shortPause is how long (ms) no room is looked for after there was too
	// little: what a refused append costs must stay small.
	shortPause = 100
	// slackShare is the part of the bound by which a shard may be ahead of the
	// sum, as a divisor. If each op wrote to the sum, the cores would fight for
	// it: 64 writers on two cores lost a sixth of their appends.
	slackShare = shardCount * 64
)

// memory is the sum of what an engine's channels hold in memory and of what
// waits in its queues, in bytes, but for what shards have not reported yet, see
// shard.account. Its methods may be called concurrently.
type memory struct {
	max   int64
	slack int64 // by which a shard may be ahead; all of them make a 64th of max
	used  atomic.Int64

	relief  sync.Mutex   // held by who makes room; taken before a shard's lock
	shortAt atomic.Int64 // Unix ms at which there was too little room last; 0 when there was enough
}

func (m *memory) init(max int64) { m.max, m.slack = max, max/slackShare }

// account adds to what the shard uses. The shard is locked.
func (s *shard) account(n int64) {
	s.unreported += n
	if m := &s.engine.memory; s.unreported > m.slack || s.unreported < -m.slack {
		s.reportLocked()
	}
}

func (s *shard) reportLocked() {
	s.engine.memory.used.Add(s.unreported)
	s.unreported = 0
}

// fits says whether so many bytes more stay within the bound. Who asks at the
// same time is told the same, so the bound may be passed by one write per shard,
// and by the slack.
func (m *memory) fits(size int) bool { return m.used.Load()+int64(size) <= m.max }

// short says whether there was too little room a moment before now (Unix ms).
func (m *memory) short(now int64) bool {
	at := m.shortAt.Load()
	return at != 0 && now >= at && now-at < shortPause
}
