package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// scanPerTick is how many stored channels are looked at between two shards: a
// few thousand per SweepEvery, for the price of a few reads.
const scanPerTick = 64

// sweep drops what is too old in the shard's channels, deletes it from the
// store, and lets go of channels that nobody misses.
func (s *shard) sweep() {
	now := s.engine.now()
	tombstonesBefore := s.engine.tombstonesBefore()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	for _, c := range s.channels {
		if c.loading != nil {
			continue
		}
		c.Expire(now)
		c.ForgetTombstones(tombstonesBefore)
		s.account(c.Uncounted())
		switch {
		case s.needsMaintenance(c, tombstonesBefore):
			s.enqueueLocked(&op{kind: opMaintain, ch: c})
		case c.idle(now, s.engine.options.IdleAfter):
			s.letGoLocked(c)
		}
	}
	if len(s.pending) == 0 || s.leading {
		s.mu.Unlock()
		return
	}
	s.beginLocked()
	s.lead(nil)
}

// needsMaintenance says whether the store holds what the channel has dropped.
func (s *shard) needsMaintenance(c *channel, tombstonesBefore int64) bool {
	if !c.onDisk || c.queued > 0 || !s.engine.store.health.is(sound) {
		return false
	}
	return c.FirstKept() > c.diskFirst || len(c.diskLost) > 0 || len(c.diskKeys) > 0 ||
		(c.holdsNothing() && c.Appended <= tombstonesBefore)
}

// sweepStore looks at the next few stored channels, and loads those that have
// something too old, so that the sweep of their shard deletes it. The store does
// not grow by channels that nobody opens again.
func (e *Engine) sweepStore(n int) {
	next, due, err := e.store.due(e.scanFrom, n, e.now(), e.tombstonesBefore())
	if err != nil {
		e.options.Logger.Warn("look for old entries in the store", "cause", err)
		return
	}
	e.scanFrom = next
	for _, name := range due {
		if err := e.fetch(name); err != nil && !errors.Is(err, engine.ErrOverloaded) { // else at a quieter time
			e.options.Logger.Warn("drop old entries", "channel", name, "cause", err)
		}
	}
}

// fetch brings a channel into memory for the sweep of its shard, unless it is
// there. That is no use of it: it may leave as soon as the sweep is done.
func (e *Engine) fetch(name string) error {
	s, err := e.shardOf(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.channels[name] != nil || s.closed {
		s.mu.Unlock()
		return nil
	}
	c, err := s.loadLocked(name)
	if err != nil {
		return err
	}
	c.used = 0
	s.mu.Unlock()
	return nil
}

// due returns the channels, of at most n headers from the key from on, that hold
// something that is to be dropped, and the key to go on from: nil for the start.
func (s *store) due(from []byte, n int, now, forgetBefore int64) (next []byte, names []string, err error) {
	if from == nil {
		from = []byte{prefixHeader}
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{prefixHeader + 1}})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if n--; n < 0 {
			return bytes.Clone(it.Key()), names, nil
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, names, err
		}
		h, err := decodeHeader(b)
		if err != nil {
			return nil, names, err
		}
		name := string(it.Key()[1:])
		old, err := s.isDue(name, &h, now, forgetBefore)
		if err != nil {
			return nil, names, err
		}
		if old {
			names = append(names, name)
		}
	}
	return nil, names, it.Error()
}

// isDue looks at the oldest entry of a channel that retention has not dropped
// and at those before it, which stay longer; or, when there is none, at how long
// the channel has been empty.
func (s *store) isDue(name string, h *header, now, forgetBefore int64) (old bool, err error) {
	lower, upper := under(prefixEntry, name)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	empty := true
	for ok := it.First(); ok; ok = it.Next() {
		empty = false
		b, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		appended, until, err := chanlog.EntryTimes(b)
		switch {
		case err != nil:
			return false, err
		case binary.BigEndian.Uint64(it.Key()[len(lower):]) >= h.First:
			return appended <= now-chanlog.WithDefaults(h.Retention).Age.Milliseconds(), nil
		case until <= now:
			return true, nil
		}
	}
	if err := it.Error(); err != nil || !empty || h.Appended > forgetBefore {
		return false, err
	}
	holds, err := s.holdsValues(name)
	return !holds, err
}

func (s *store) holdsValues(name string) (bool, error) {
	lower, upper := under(prefixValue, name)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return false, err
	}
	holds := it.First()
	if err := it.Error(); err != nil {
		_ = it.Close() // the first error is the one that counts
		return false, err
	}
	return holds, it.Close()
}
