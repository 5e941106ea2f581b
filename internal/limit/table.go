package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

// table holds the meters of senders that are known by a name only. A meter at
// rest is not kept, so what it holds is bounded by what was sent within the
// longest burst. Its zero value is not ready: see newTable.
type table struct {
	seed   maphash.Seed
	shards [shards]shard
}

// shards keep senders of different channels from waiting for one lock; as many as
// there are cores on a large machine.
const shards = 32

// sweepFrom is how many meters a shard holds before it looks for those at rest.
const sweepFrom = 64

type shard struct {
	mu      sync.Mutex // guards the following
	meters  map[string]Meter
	sweepAt int // number of meters
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].meters, t.shards[i].sweepAt = make(map[string]Meter), sweepFrom
	}
	return t
}

func (t *table) take(now int64, key string, f *Flow, n, size int) (messages, bytes time.Duration) {
	s := &t.shards[maphash.String(t.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meters[key]
	if messages, bytes = m.take(now, f, n, size); messages > 0 || bytes > 0 {
		return messages, bytes
	}
	s.meters[key] = m
	if len(s.meters) > s.sweepAt {
		s.sweep(now)
	}
	return 0, 0
}

// sweep forgets meters at rest. It comes again when there are twice as many as
// were left, so that its cost per entry stays the same.
func (s *shard) sweep(now int64) {
	for key, m := range s.meters {
		if m.atRest(now) {
			delete(s.meters, key)
		}
	}
	s.sweepAt = max(sweepFrom, 2*len(s.meters))
}

// len is the number of meters that are kept.
func (t *table) len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.meters)
		s.mu.Unlock()
	}
	return n
}
