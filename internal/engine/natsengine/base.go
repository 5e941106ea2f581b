package natsengine

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

// baseAfter is the number of bytes after which a base is written at the
// earliest. Above that it is written when the log has grown by twice as much as
// the last one had: then a log takes at most three times what the channel holds,
// and writing costs half as much again.
const baseAfter = 64 << 10

// wantsBase says whether this node is to write a base now: when its own message
// was the one that made the log long, so that not all nodes try.
func (c *channel) wantsBase() bool {
	if c.shard.closed || c.seq == 0 {
		return false
	}
	long := max(baseAfter, 2*c.size.base)
	return c.tidy || (c.size.since > long && c.wrote == c.seq) || c.size.since > 4*long
}

// draft is a base that is not in the log yet.
type draft struct {
	body   []byte
	pieces []uint64 // where the body is, when it is sent ahead
	epoch  string
	upTo   uint64 // place of the last message that is in it
	based  uint64 // place of the base before it
}

// prepareBase encodes what the channel holds at this moment.
func (c *channel) prepareBase() *draft {
	e := c.shard.engine
	c.Expire(e.now())
	c.ForgetTombstones(e.tombstonesBefore())
	return &draft{body: encodeBase(&c.Log, c.Epoch, c.seq), epoch: c.Epoch, upTo: c.seq, based: c.based}
}

// baseTries is how often a base is tried while others append. Each try is one
// small message, as an append is.
const baseTries = 32

// writeBase stores a base and deletes what nobody needs then. What goes wrong is
// left to the next time: nothing is lost by it but space.
func (e *Engine) writeBase(c *channel, d *draft) {
	ctx, cancel := context.WithTimeout(e.stop, e.options.Patience)
	defer cancel()
	err := e.sendAhead(ctx, c, d)
	if err == nil {
		err = e.storeBase(ctx, c, d)
	}
	if err != nil {
		e.options.Logger.Debug("a log was not compacted", "channel", c.name, "cause", err)
	}
}

// sendAhead sends a large base ahead in pieces.
func (e *Engine) sendAhead(ctx context.Context, c *channel, d *draft) (err error) {
	if len(d.body) > e.store.pieceSize() {
		d.pieces, err = e.store.appendPieces(ctx, c.part, c.escaped, d.body)
	}
	return err
}

func (e *Engine) storeBase(ctx context.Context, c *channel, d *draft) error {
	s := c.shard
	for range baseTries {
		s.mu.Lock()
		expected := c.seq
		current := c.Epoch == d.epoch && expected >= d.upTo && c.based == d.based
		s.mu.Unlock()
		if !current {
			// Whoever stored another base may have deleted the pieces of this one, which
			// no message names yet; what is to be deleted is that one's.
			return errMoved
		}
		seq, err := e.store.appendBody(ctx, c.part, c.escaped, d.body, d.pieces, expected)
		if errors.Is(err, errMoved) {
			if err := e.catchUp(ctx, c); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		return e.compact(ctx, c, &message{stored: stored{seq: seq, body: d.body, pieces: d.pieces}}, expected, d.upTo)
	}
	return errMoved
}

// compact deletes what is older than a base that was stored.
func (e *Engine) compact(ctx context.Context, c *channel, m *message, expected, upTo uint64) error {
	base, err := decodeBase(c.name, m.body)
	if err != nil {
		return err
	}
	m.base = base
	s := c.shard
	s.mu.Lock()
	if c.seq == expected {
		if !c.apply(m) {
			s.mu.Unlock()
			return errHole
		}
		c.handOut()
	}
	oldest := m.seq
	for _, p := range c.size.pieces {
		oldest = min(oldest, p.first)
	}
	if len(m.pieces) > 0 {
		oldest = min(oldest, m.pieces[0])
	}
	s.mu.Unlock()
	err = e.store.purge(ctx, c.part, e.store.subjects.log(c.part, c.escaped), upTo+1)
	return errors.Join(err, e.store.purge(ctx, c.part, e.store.subjects.part(c.part, c.escaped), oldest))
}

func newEpoch() string { return strings.ToLower(rand.Text()[:12]) }

// quietFor is how long nothing must have been appended before a sweep writes a
// base: an active channel has one soon anyway.
const quietFor = 30 * time.Second
