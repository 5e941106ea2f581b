package natsengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// maxBatch is how many bytes of entries one message holds, unless a single entry
// is larger: enough to pay for the way, little enough to be quick.
const maxBatch = 256 << 10

// Append implements engine.Engine. After engine.ErrUnavailable the outcome may
// be unknown, as after the context's error; retry with the same ID.
func (e *Engine) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	r, err := e.append(ctx, channel, w)
	if err != nil {
		return engine.Receipt{}, wrap("append", channel, err)
	}
	return r, nil
}

func (e *Engine) append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	if w.Durability > engine.Disk {
		return engine.Receipt{}, fmt.Errorf("durability %d: unknown", w.Durability)
	}
	o := &op{write: w, size: int64(chanlog.WriteSize(&w)), done: make(chan struct{})}
	s, c, err := e.acquireFor(ctx, channel, o.size)
	if err != nil {
		return engine.Receipt{}, err
	}
	if cause := e.refusal(c.part); cause != nil {
		s.mu.Unlock()
		return engine.Receipt{}, cause
	}
	c.pending = append(c.pending, o)
	e.pumpLocked(c)
	s.mu.Unlock()
	e.memory.wait(o.size)
	defer e.memory.wait(-o.size)
	patience := time.NewTimer(e.options.Patience)
	defer patience.Stop()
	select {
	case <-o.done:
		return o.Receipt, o.Err
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-o.done:
		return o.Receipt, o.Err
	default:
	}
	o.abandoned = true
	if i := slices.Index(c.pending, o); i >= 0 { // it does not count as waiting any more
		c.pending = slices.Delete(c.pending, i, i+1)
	}
	if err == nil {
		err = fmt.Errorf("no answer for %v: %w", e.options.Patience, c.delay())
	}
	return engine.Receipt{}, err
}

// delay is why appends have no answer yet: nothing is sent while this node's own
// watchers do not keep up, or else the servers do not answer.
func (c *channel) delay() error {
	if c.flight == nil && c.adrift == nil && c.isBehind() {
		return errBehind
	}
	return engine.ErrUnavailable
}

// refusal is why a partition's appends fail at once: it has taken none for as
// long as one would wait.
func (e *Engine) refusal(p int) error {
	since := e.store.parts[p].trouble.Load()
	if since == 0 || time.Now().UnixMilli()-since < e.options.Patience.Milliseconds() {
		return nil
	}
	return fmt.Errorf("NATS takes no writes: %w", engine.ErrUnavailable)
}

// blame notes that a partition could not be read, unless this node's own watchers
// have taken the time for it.
func (e *Engine) blame(p int, err error) {
	if !errors.Is(err, errBehind) {
		e.store.failed(p, time.Now().UnixMilli())
	}
}

// pumpLocked lets pending appends be written, unless that is under way.
func (e *Engine) pumpLocked(c *channel) {
	if c.pumping || c.gone {
		return
	}
	c.pumping = true
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		e.pump(c)
	}()
}

// pump writes pending appends, batch after batch, and a base when the log has
// grown by enough. There is one for a channel at a time.
func (e *Engine) pump(c *channel) {
	s := c.shard
	s.mu.Lock()
	for {
		if c.wantsBase() {
			c.tidy = false
			d := c.prepareBase()
			s.mu.Unlock()
			e.writeBase(c, d)
			s.mu.Lock()
		}
		if len(c.pending) == 0 {
			break
		}
		c.keepUp(context.Background()) // who does not want to wait as long goes out of pending
		if len(c.pending) == 0 {
			continue
		}
		f := c.takeOff(e.now(), min(maxBatch, e.store.pieceSize()))
		s.mu.Unlock()
		e.fly(c, f)
		s.mu.Lock()
		c.handOut()
	}
	c.pumping = false
	c.used = e.now()
	s.mu.Unlock()
}

// fly brings a flight to its end: landed, failed, or taken back.
func (e *Engine) fly(c *channel, f *flight) {
	s := c.shard
	for try := 1; ; try++ {
		err := e.attempt(c, f)
		s.mu.Lock()
		switch {
		case c.adrift == f:
			c.settle()
		case f.over:
		case err == nil && len(f.entries) == 0:
			c.land(f, 0, nil)
		case errors.Is(err, errRefused):
			c.fail(unavailable(err))
		case f.abandoned(): // if it was stored all the same, that will be read
			c.abort()
			c.pending = c.pending[len(f.ops):]
		}
		over := f.over
		s.mu.Unlock()
		if over {
			return
		}
		// After the engine's end nothing waits any more but what was accepted.
		time.Sleep(pauseAfter(try))
	}
}

// attempt tries once to store a flight's batch, or to prove answers that need no
// batch. nil without the flight being over means that there was nothing to store
// and that the answers hold.
func (e *Engine) attempt(c *channel, f *flight) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*tryFor)
	defer cancel()
	if len(f.entries) == 0 {
		if !f.needsProof() {
			return nil
		}
		err := e.catchUp(ctx, c) // takes the flight back if the log has moved on
		if err != nil {
			e.blame(c.part, err)
		}
		return err
	}
	s := c.shard
	s.mu.Lock()
	expected, over := f.expected, f.over
	s.mu.Unlock()
	if over {
		return nil
	}
	seq, pieces, err := e.store.append(ctx, c.part, c.escaped, f.body, expected)
	if err == nil {
		e.store.worked(c.part)
		f.stored = true
		s.mu.Lock()
		defer s.mu.Unlock()
		if !f.over {
			c.land(f, seq, pieces)
		}
		return nil
	}
	if errors.Is(err, errRefused) {
		return err
	}
	if !errors.Is(err, errMoved) {
		e.store.failed(c.part, time.Now().UnixMilli())
	}
	if !errors.Is(err, errMoved) || errors.Is(err, errUnsure) {
		f.unsure = true
		s.mu.Lock()
		e.hintLocked(c) // others may have missed what was stored after all
		s.mu.Unlock()
	}
	if caught := e.catchUp(ctx, c); caught != nil {
		return errors.Join(err, caught)
	}
	if errors.Is(err, errMoved) {
		e.store.worked(c.part)
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.over {
		return nil
	}
	return errors.Join(err, errStays)
}

// errStays: the log is where it was, so the same batch may be tried again.
var errStays = errors.New("not stored yet")

// needsProof says whether an answer rests on this node knowing the log's end: a
// conflict does, a repeat does not.
func (f *flight) needsProof() bool {
	for _, o := range f.ops {
		if o.Err != nil {
			return true
		}
	}
	return false
}
