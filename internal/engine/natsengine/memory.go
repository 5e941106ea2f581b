package natsengine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/chorale-rt/chorale/internal/engine"
)

const (
	// roomShare is the part of the bound that is made free at a time, as a
	// divisor: making room looks at every channel, so it has to last for a while.
	roomShare = 8
	// shortPause is how long (ms) no room is looked for after there was too
	// little: what a refused append costs must stay small.
	shortPause = 100
)

// memory is the sum of what the channels hold in memory, in bytes, and of what
// waits. Its methods may be called concurrently.
type memory struct {
	max     int64
	used    atomic.Int64
	waiting atomic.Int64 // of used: what waits to be written

	relief  sync.Mutex   // held by who makes room; taken before a shard's lock
	shortAt atomic.Int64 // Unix ms at which there was too little room last
}

// wait adds to what waits.
func (m *memory) wait(n int64) {
	m.waiting.Add(n)
	m.used.Add(n)
}

func (m *memory) fits(size int) bool { return m.used.Load()+int64(size) <= m.max }

// short says whether there was too little room a moment before now (Unix ms).
func (m *memory) short(now int64) bool {
	at := m.shortAt.Load()
	return at != 0 && now >= at && now-at < shortPause
}

// errMemory says which of the bounds was met.
var errMemory = fmt.Errorf("channels in use fill the memory they may: %w", engine.ErrOverloaded)

// acquireFor is acquire for something of that size that is to wait and then to
// stay in memory. It is refused when there is no room for it. A single large
// one always finds room where nothing waits.
func (e *Engine) acquireFor(ctx context.Context, name string, size int64) (*shard, *channel, error) {
	if waiting := e.memory.waiting.Load(); waiting > 0 && waiting+size > e.options.MaxWaiting {
		return nil, nil, fmt.Errorf("%d bytes wait to be written: %w", waiting, engine.ErrOverloaded)
	}
	if !e.makeRoom(int(size)) {
		return nil, nil, errMemory
	}
	return e.acquire(ctx, name)
}

// makeRoom says whether there was room for so many bytes more, after letting go
// of channels that nobody watches if need be; they lose nothing by it. No shard
// may be locked by the caller.
func (e *Engine) makeRoom(size int) bool {
	m := &e.memory
	if m.fits(size) {
		return true
	}
	now := e.now()
	if int64(size) > m.max || m.short(now) {
		return false
	}
	m.relief.Lock()
	defer m.relief.Unlock()
	if m.fits(size) {
		return true
	}
	e.relieve(m.max - m.max/roomShare - int64(size))
	if m.fits(size) {
		m.shortAt.Store(0)
		return true
	}
	if m.shortAt.Swap(now) == 0 {
		e.options.Logger.Warn("channels in use nearly fill the memory they may; beyond it appends are refused",
			"used_bytes", m.used.Load(), "max_bytes", m.max)
	}
	return false
}

// relieve lets go of channels until no more than target bytes are used, first
// of those that were used longest ago.
func (e *Engine) relieve(target int64) {
	type candidate struct {
		c    *channel
		used int64
	}
	var all []candidate
	e.eachLocked(func(c *channel) {
		if c.unused() {
			all = append(all, candidate{c, c.used})
		}
	})
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, k := range all {
		if e.memory.used.Load() <= target {
			return
		}
		s := k.c.shard
		s.mu.Lock()
		if !k.c.gone && k.c.used == k.used && k.c.unused() {
			e.letGoLocked(k.c)
		}
		s.mu.Unlock()
	}
}
