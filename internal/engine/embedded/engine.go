package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

const (
	// shardCount spreads channels so that appends to different ones seldom meet:
	// several times the cores of the machines this is for.
	shardCount = 32
	// defaultLimit of Read and Since.
	defaultLimit = 1000
)

// Engine implements engine.Engine on this machine alone.
//
// All methods may be called concurrently. Whoever opened it closes it; Close
// waits for what was accepted and for the engine's one goroutine, the sweeper.
type Engine struct {
	options Options
	store   *store
	seed    maphash.Seed
	boot    string // begins the epochs of this run
	shards  [shardCount]shard
	memory  memory
	ops     opPool

	scanFrom []byte // where the sweeper goes on in the store; its alone

	work    sync.WaitGroup // leaders and loads; added to under a shard's lock while it is not closed
	stop    chan struct{}  // ends the sweeper
	swept   chan struct{}  // the sweeper has ended
	closing sync.Once
	closed  error // what Close answers
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the store that the options name, making it when there is none.
func Open(o Options) (*Engine, error) {
	o = o.withDefaults()
	st, err := openStore(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options: o, store: st,
		seed: maphash.MakeSeed(), boot: strings.ToLower(rand.Text()[:10]),
		stop: make(chan struct{}), swept: make(chan struct{}),
	}
	e.memory.init(o.MaxMemory)
	for i := range e.shards {
		e.shards[i].init(e)
	}
	go func() {
		defer close(e.swept)
		e.sweepUntilStopped()
	}()
	return e, nil
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		close(e.stop)
		<-e.swept
		for i := range e.shards {
			e.shards[i].close()
		}
		e.work.Wait()
		if err := e.store.close(); err != nil {
			e.closed = fmt.Errorf("close store: %w", err)
		}
	})
	return e.closed
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// Healthy implements engine.Engine.
func (e *Engine) Healthy() error {
	select {
	case <-e.stop:
		return engine.ErrClosed
	default:
		return e.store.health.admit(e.options.Clock)
	}
}

// Append implements engine.Engine.
func (e *Engine) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	r, err := e.append(ctx, channel, &w)
	if err != nil {
		return engine.Receipt{}, wrap("append", channel, err)
	}
	return r, nil
}

func (e *Engine) append(ctx context.Context, channel string, w *engine.Write) (engine.Receipt, error) {
	if w.Durability > engine.Disk {
		return engine.Receipt{}, fmt.Errorf("durability %d: unknown", w.Durability)
	}
	size := chanlog.WriteSize(w)
	refusal := e.store.health.admit(e.options.Clock)
	s, c, err := e.acquireFor(ctx, channel, size)
	if err != nil {
		return engine.Receipt{}, err
	}
	if refusal != nil && (c.durable || w.Durability > engine.Memory) {
		s.mu.Unlock()
		return engine.Receipt{}, refusal
	}
	o := e.ops.get()
	o.size = size
	now := c.used
	c.sequence(o, w, now, now-e.options.TombstoneAge.Milliseconds())
	if o.kind == opAnswer && !s.leading {
		s.mu.Unlock()
	} else if err := s.submit(ctx, o); err != nil {
		return engine.Receipt{}, err
	}
	receipt, err := o.Receipt, o.Err
	e.ops.put(o)
	return receipt, err
}

// full says whether an op of that size has to be refused for what is waiting.
// A single large one always finds room in an empty queue.
func (s *shard) full(size int) bool {
	return s.waiting > 0 && s.waiting+size > s.engine.options.MaxWaiting
}

// Read implements engine.Engine.
func (e *Engine) Read(ctx context.Context, channel string, after engine.Position, limit int) ([]engine.Entry, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return nil, wrap("read", channel, err)
	}
	defer s.mu.Unlock()
	c.Expire(c.used)
	entries, err := c.Read(after, limitOr(limit))
	return entries, wrap("read", channel, err)
}

// Since implements engine.Engine.
func (e *Engine) Since(ctx context.Context, channel string, unixMs int64, limit int) ([]engine.Entry, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return nil, wrap("since", channel, err)
	}
	defer s.mu.Unlock()
	c.Expire(c.used)
	return c.Since(unixMs, limitOr(limit)), nil
}

func limitOr(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return limit
}

// State implements engine.Engine.
func (e *Engine) State(ctx context.Context, channel, prefix string, after uint64) (engine.Position, []engine.Value, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return engine.Position{}, nil, wrap("state", channel, err)
	}
	found, err := c.State(prefix, after, c.used-e.options.TombstoneAge.Milliseconds())
	at := c.Position()
	s.mu.Unlock()
	if err != nil {
		return engine.Position{}, nil, wrap("state", channel, err)
	}
	out := make([]engine.Value, len(found))
	for i, v := range found {
		out[i] = v.Value
	}
	return at, out, nil
}

// Get implements engine.Engine.
func (e *Engine) Get(ctx context.Context, channel, key string) (engine.Value, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return engine.Value{}, wrap("get", channel, err)
	}
	defer s.mu.Unlock()
	return c.Get(key, c.used-e.options.TombstoneAge.Milliseconds()), nil
}

// Head implements engine.Engine.
func (e *Engine) Head(ctx context.Context, channel string) (engine.Position, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return engine.Position{}, wrap("head", channel, err)
	}
	defer s.mu.Unlock()
	return c.Position(), nil
}

// acquire returns a channel with its shard locked.
func (e *Engine) acquire(ctx context.Context, name string) (*shard, *channel, error) {
	s, err := e.shardOf(name)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.acquire(ctx, name)
	return s, c, err
}

// roomTries is how often room is made for one write: loading its channel or
// others may take it meanwhile, but not the eighth of all each time.
const roomTries = 8

// acquireFor is acquire for something of that size that is to wait and then to
// stay in memory. It is refused when there is no room for it.
func (e *Engine) acquireFor(ctx context.Context, name string, size int) (*shard, *channel, error) {
	for range roomTries {
		if !e.makeRoom(size) {
			break
		}
		s, c, err := e.acquire(ctx, name)
		switch {
		case err != nil:
			return nil, nil, err
		case s.full(size):
			s.mu.Unlock()
			return nil, nil, engine.ErrOverloaded
		case e.memory.fits(size):
			return s, c, nil
		}
		s.mu.Unlock()
	}
	return nil, nil, errMemory
}

// errMemory says which of the bounds was met.
var errMemory = fmt.Errorf("channels in use fill the memory they may: %w", engine.ErrOverloaded)

// errName is a name that the store's keys cannot hold.
var errName = errors.New("a channel's name is not empty and has no NUL")

func (e *Engine) shardOf(name string) (*shard, error) {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return nil, errName
	}
	return &e.shards[maphash.String(e.seed, name)%shardCount], nil
}

// wrap names the operation in an error; nil stays nil.
func wrap(operation, channel string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", operation, channel, err)
}

// sweepUntilStopped visits the shards in turn, each once per SweepEvery.
func (e *Engine) sweepUntilStopped() {
	t := time.NewTicker(max(e.options.SweepEvery/shardCount, time.Millisecond))
	defer t.Stop()
	for i := 0; ; i = (i + 1) % shardCount {
		select {
		case <-e.stop:
			return
		case <-t.C:
			e.shards[i].sweep()
			if i == 0 || e.scanFrom != nil { // a new round at most once per SweepEvery
				e.sweepStore(scanPerTick)
			}
		}
	}
}
