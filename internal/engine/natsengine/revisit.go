package natsengine

import (
	"sync"
	"time"
)

const (
	// revisitAbove is how many bytes of a log in the stream are worth being looked at once
	// more: a base of nothing has some hundred.
	revisitAbove = 4 << 10
	// revisitsMax is how many channels are remembered. What is beyond is looked at when it
	// is used the next time.
	revisitsMax = 1 << 17
	// revisitsAtOnce is how many are loaded at a time, of which there are 32 in
	// Options.SweepEvery.
	revisitsAtOnce = 16
)

// revisits says when channels that have left memory are to be loaded once more: when
// retention has dropped what the stream holds of them, it is to be deleted there. Every
// node that had a channel looks, because one of them may be gone by then.
type revisits struct {
	mu   sync.Mutex
	heap dueHeap[string]
	at   map[string]int64 // of a channel's entry that counts; there may be older ones
}

func (r *revisits) init() { r.at = make(map[string]int64) }

func (r *revisits) add(at int64, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heap) < revisitsMax {
		r.heap.add(at, name)
		r.at[name] = at
	}
}

// due takes a channel whose time has come by the instant now (Unix ms).
func (r *revisits) due(now int64) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		next, ok := r.heap.take(now)
		if !ok {
			return "", false
		}
		if r.at[next.what] == next.at {
			delete(r.at, next.what)
			return next.what, true
		}
	}
}

// revisitAt is when retention has dropped all that it will of a channel that nobody uses
// (Unix ms). It is false when there is nothing or too little.
func (c *channel) revisitAt(now int64, pause time.Duration) (int64, bool) {
	at := int64(0)
	if c.size.lost > 0 {
		at = now
	}
	if c.Tail.Len() > 0 {
		at = c.Appended + c.Retention.Age.Milliseconds()
	}
	for _, r := range c.Kept.Records() {
		at = max(at, r.Until)
	}
	return max(at, now+pause.Milliseconds()), at > 0 && c.size.base+c.size.since > revisitAbove
}

// revisit loads channels whose time has come. What they drop makes them untidy, which
// the sweep sees to.
func (e *Engine) revisit() {
	now := e.now()
	for range revisitsAtOnce {
		name, ok := e.revisits.due(now)
		if !ok {
			return
		}
		s := e.shardOf(name)
		s.mu.Lock()
		if s.channels[name] == nil && !s.closed {
			s.beginLoad(name)
		}
		s.mu.Unlock()
	}
}
