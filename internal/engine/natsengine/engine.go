package natsengine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

const (
	// shardCount spreads channels over locks: several times the cores of the
	// machines this is for.
	shardCount = 32
	// listeners is how many goroutines take what the servers send; a channel's
	// messages always go through the same one.
	listeners = 8
	// listenBuffer is how many messages may wait for each of them. What comes
	// beyond is dropped, noticed and read from the stream.
	listenBuffer = 16 << 10
	// defaultLimit of Read and Since.
	defaultLimit = 1000
)

// Engine implements engine.Engine on NATS JetStream.
//
// All methods may be called concurrently. Whoever opened it closes it; Close
// waits for what was accepted and for all goroutines.
type Engine struct {
	options  Options
	store    *store
	id       string      // of this node, for this run
	ready    atomic.Bool // the store is there
	shards   [shardCount]shard
	memory   memory
	nodes    nodes
	checks   checks
	revisits revisits
	number   atomic.Uint64 // of the newest batch, and of the newest change of a lease
	live     [listeners]chan *nats.Msg
	told     chan *nats.Msg // what nodes tell each other
	deaf     atomic.Bool    // some of it was dropped

	work       sync.WaitGroup // appends, loads and repairs; added to under a shard's lock while it is not closed
	background sync.WaitGroup
	stop       context.Context // of background, and of what repairs
	stopAll    context.CancelFunc
	closing    sync.Once
	closed     error // what Close answers
}

var _ engine.Engine = (*Engine)(nil)

// Open connects to the servers and makes the streams that are missing. It waits
// for Options.OpenTimeout at most, or until ctx ends.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o = o.withDefaults()
	if len(o.Servers) == 0 {
		return nil, errors.New("no NATS server is given")
	}
	for i := range len(o.Prefix) {
		if c := o.Prefix[i]; !plain(c) || c == ':' || c == '/' || c == '@' {
			return nil, fmt.Errorf("prefix %q: use letters, digits, - and _", o.Prefix)
		}
	}
	e := &Engine{options: o, id: strings.ToLower(rand.Text()[:12])}
	e.stop, e.stopAll = context.WithCancel(context.Background())
	for i := range e.shards {
		e.shards[i].init(e)
	}
	e.memory.max = o.MaxMemory
	e.nodes.init()
	e.checks.init()
	e.revisits.init()
	for i := range e.live {
		e.live[i] = make(chan *nats.Msg, listenBuffer)
	}
	e.told = make(chan *nats.Msg, listenBuffer)
	ctx, cancel := context.WithTimeout(ctx, o.OpenTimeout)
	defer cancel()
	if err := e.open(ctx); err != nil {
		e.stopAll()
		return nil, err
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	nc, err := connect(ctx, &e.options, events{lost: e.disconnected, back: e.reconnected, missed: e.missed})
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return err
	}
	e.store = &store{nc: nc, js: js, options: &e.options, subjects: subjects{e.options.Prefix}}
	if err := e.store.openStreams(ctx); err != nil {
		nc.Close()
		return err
	}
	e.ready.Store(true)
	for _, subject := range []string{e.store.subjects.nodes(), e.store.subjects.node(e.id)} {
		if _, err := nc.ChanSubscribe(subject, e.told); err != nil {
			nc.Close()
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	for i := range e.live {
		e.background.Go(func() { e.listen(e.live[i], e.heard) })
	}
	e.background.Go(func() { e.listen(e.told, e.toldBy) })
	e.background.Go(e.sweepUntilStopped)
	e.background.Go(e.checkUntilStopped)
	e.background.Go(e.beatUntilStopped)
	e.background.Go(e.probeUntilStopped)
	return e.meet(ctx)
}

// listen hands messages over until the engine stops.
func (e *Engine) listen(from <-chan *nats.Msg, to func(*nats.Msg)) {
	for {
		select {
		case <-e.stop.Done():
			return
		case msg := <-from:
			to(msg)
		}
	}
}

// Close implements engine.Engine. It waits for what was accepted, as long as
// that has patience, and tells the other nodes that this one is gone.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		for i := range e.shards {
			e.shards[i].close()
		}
		e.work.Wait()
		e.stopAll()
		e.background.Wait()
		e.tellAll(&notice{kind: noticeBye})
		if err := e.store.nc.FlushTimeout(tryFor); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			e.options.Logger.Warn("other nodes learn by time only that this one is gone", "cause", err)
		}
		e.store.nc.Close()
	})
	return e.closed
}

// Healthy implements engine.Engine.
func (e *Engine) Healthy() error {
	if e.shards[0].isClosed() {
		return engine.ErrClosed
	}
	if !e.store.nc.IsConnected() {
		return fmt.Errorf("no connection to NATS: %w", engine.ErrUnavailable)
	}
	for p := range e.store.parts {
		if e.store.parts[p].trouble.Load() != 0 {
			return fmt.Errorf("stream %s takes no writes: %w", e.store.subjects.stream(p), engine.ErrUnavailable)
		}
	}
	return nil
}

// now is the clock in Unix ms.
func (e *Engine) now() int64 { return e.options.Clock().UnixMilli() }

// tombstonesBefore is the instant (Unix ms) up to which tombstones are dropped.
func (e *Engine) tombstonesBefore() int64 { return e.now() - e.options.TombstoneAge.Milliseconds() }

// errName is a name that is none.
var errName = errors.New("a channel's name is not empty and has no NUL")

// acquire returns a channel with its shard locked, loading it when it is not in
// memory. After an error no shard is locked.
func (e *Engine) acquire(ctx context.Context, name string) (*shard, *channel, error) {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return nil, nil, errName
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s := e.shardOf(name)
	c, err := s.acquire(ctx, name)
	return s, c, err
}

func (e *Engine) shardOf(name string) *shard { return &e.shards[hash(name)>>8%shardCount] }

// Read implements engine.Engine. A position ahead of what this node has may be
// from another node, so the leader is asked before it is refused.
func (e *Engine) Read(ctx context.Context, channel string, after engine.Position, limit int) ([]engine.Entry, error) {
	entries, err := e.read(ctx, channel, after, limit)
	if errors.Is(err, engine.ErrFuture) {
		if _, err := e.Head(ctx, channel); err != nil {
			return nil, err
		}
		entries, err = e.read(ctx, channel, after, limit)
	}
	return entries, wrap("read", channel, err)
}

func (e *Engine) read(ctx context.Context, channel string, after engine.Position, limit int) ([]engine.Entry, error) {
	s, c, err := e.acquire(ctx, channel)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	c.Expire(c.used)
	return c.Read(after, limitOr(limit))
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
	return at, copyValues(found), nil
}

func copyValues(found []*chanlog.Value) []engine.Value {
	out := make([]engine.Value, len(found))
	for i, v := range found {
		out[i] = v.Value
	}
	return out
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

// wrap names the operation in an error; nil stays nil.
func wrap(operation, channel string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", operation, channel, err)
}

// pause waits, or returns false when the engine is stopped.
func (e *Engine) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-e.stop.Done():
		return false
	case <-t.C:
		return true
	}
}
