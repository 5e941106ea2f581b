package natsengine

import (
	"context"
	"errors"
	"fmt"

	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// image is what the stream holds of a channel.
type image struct {
	log   *chanlog.Log
	seq   uint64 // place of the newest message, 0 when there is none
	based uint64 // place of the newest base, 0 when there is none
	size  logSize
}

// readTries is how often a log is read from the start while others compact it.
const readTries = 8

// errHole is a log that lacks a part. While it is compacted it looks so for a
// moment.
var errHole = fmt.Errorf("log has a hole: %w", chanlog.ErrCorrupt)

// readImage reads a channel from the stream.
func (e *Engine) readImage(ctx context.Context, c *channel) (*image, error) {
	for try := 1; ; try++ {
		img, err := e.tryImage(ctx, c)
		switch {
		case err == nil:
			return img, nil
		case errors.Is(err, errNoStream):
			err = e.store.openStreams(ctx)
		case errors.Is(err, errHole), errors.Is(err, errGone):
			if try >= readTries {
				return nil, err
			}
			err = nil
		}
		if ctx.Err() != nil || errors.Is(err, chanlog.ErrCorrupt) || errors.Is(err, errLayout) {
			return nil, errors.Join(err, ctx.Err())
		}
		if !e.pauseIn(ctx, pauseAfter(try)) {
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

func (e *Engine) tryImage(ctx context.Context, c *channel) (*image, error) {
	end, err := e.store.end(ctx, c.part, c.escaped)
	if errors.Is(err, errGone) {
		l := &chanlog.Log{}
		l.Init(c.name)
		l.Epoch = e.store.epoch(c.part)
		return &image{log: l}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := e.store.between(ctx, c.part, c.escaped, 0, end)
	if err != nil {
		return nil, err
	}
	var messages []*message
	for i := range list {
		m, err := e.decode(ctx, c, &list[i])
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", list[i].seq, err)
		}
		messages = append(messages, m)
	}
	return fold(c.name, messages, e.now())
}

// decode reads what a message says, and its pieces where it has some.
func (e *Engine) decode(ctx context.Context, c *channel, s *stored) (*message, error) {
	body, err := e.store.body(ctx, c.part, s)
	if err != nil {
		return nil, err
	}
	m := &message{stored: *s}
	m.body = body
	return m, m.decode(c.name)
}

// decode reads the body.
func (m *message) decode(name string) error {
	kind, err := kindOf(m.body)
	if err != nil {
		return err
	}
	if kind == kindBase {
		m.base, err = decodeBase(name, m.body)
	} else {
		m.batch, err = decodeBatch(m.body)
	}
	return err
}

// fold makes an image of the messages of a log, which are in order: the newest
// base, and what comes behind it.
func fold(name string, messages []*message, now int64) (*image, error) {
	img := &image{}
	for _, m := range messages {
		img.seq = m.seq
		if m.base != nil {
			img.based = m.seq
		}
		if m.base != nil && (img.log == nil || m.base.head >= img.log.Head) {
			img.log, img.size = m.base.log, logSize{base: m.base.seenIn}
			if len(m.pieces) > 0 {
				img.size.pieces = []held{{m.seq, m.pieces[0]}}
			}
		}
	}
	if img.log == nil {
		img.log = &chanlog.Log{}
		img.log.Init(name)
		for _, m := range messages {
			if m.batch != nil {
				img.log.Epoch = m.batch.epoch
				break
			}
		}
	}
	img.log.Keeper = (*lostIn)(&img.size)
	for _, m := range messages {
		b := m.batch
		switch {
		case b == nil, b.last() <= img.log.Head, b.epoch != img.log.Epoch:
			continue
		case b.first > img.log.Head+1:
			return nil, errHole
		case b.first < img.log.Head+1:
			continue // void
		}
		img.log.SetRetention(b.retention)
		for _, en := range b.entries {
			img.log.Apply(en.record, en.values, now)
		}
		img.size.since += len(m.body)
		if len(m.pieces) > 0 {
			img.size.pieces = append(img.size.pieces, held{m.seq, m.pieces[0]})
		}
	}
	img.log.Expire(now)
	return img, nil
}

// lostIn counts what a log that is read drops at once, which is in the stream still.
type lostIn logSize

// RecordLost implements chanlog.Keeper.
func (s *lostIn) RecordLost(_ uint64, size int) { s.lost += size }

// TombstoneLost implements chanlog.Keeper.
func (s *lostIn) TombstoneLost(v *chanlog.Value) { s.lost += v.Size() }
