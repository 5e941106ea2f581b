package client

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
)

// Stream hands over what happened, in order and each once. What is not read
// waits, up to the bounds of [Options]; beyond them all that waits is given up,
// and Next says so with an error before it goes on: a reader that is too slow
// never holds up the client, and never misses anything in silence.
//
// Its methods may be called concurrently.
type Stream[T any] struct {
	maxItems, maxBytes int
	overflow           func() error // what Next says in place of what was given up
	onClose            func()

	mu    sync.Mutex // guards the following
	items []item[T]
	bytes int
	bell  bell
	ended error // what Next says after the items
}

// An item is a value, or an error in its place.
type item[T any] struct {
	value T
	err   error
	bytes int
}

func newStream[T any](o *Options, overflow func() error) *Stream[T] {
	return &Stream[T]{maxItems: o.BufferItems, maxBytes: o.BufferBytes, overflow: overflow}
}

// push appends a value of about so many bytes, or an error.
func (s *Stream[T]) push(it item[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return
	}
	if len(s.items) >= s.maxItems || (s.bytes+it.bytes > s.maxBytes && len(s.items) > 0) {
		s.items, s.bytes = []item[T]{{err: s.overflow()}}, 0
	}
	s.items = append(s.items, it)
	s.bytes += it.bytes
	s.bell.ring()
}

// keep gives up the values that wait and are not wanted.
func (s *Stream[T]) keep(wanted func(T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = slices.DeleteFunc(s.items, func(it item[T]) bool {
		if it.err != nil || wanted(it.value) {
			return false
		}
		s.bytes -= it.bytes
		return true
	})
}

// end lets Next say err when all that waits was read.
func (s *Stream[T]) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
		s.bell.ring()
	}
}

// Next returns the next value, and waits for it until ctx is done.
//
// A [*Resync] error stands for values that cannot be had any more; the calls
// after it return what came later. Every other error is the last: ctx's,
// [ErrClosed], [ErrReleased], or that the stream itself was closed.
func (s *Stream[T]) Next(ctx context.Context) (T, error) {
	for {
		s.mu.Lock()
		it, ok := s.take()
		ended, rung := s.ended, s.bell.wait()
		s.mu.Unlock()
		switch {
		case ok:
			return it.value, it.err
		case ended != nil:
			return it.value, ended
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return it.value, context.Cause(ctx)
		}
	}
}

func (s *Stream[T]) take() (it item[T], ok bool) {
	if len(s.items) == 0 {
		return it, false
	}
	it = s.items[0]
	s.items[0] = item[T]{} // what was read need not be kept
	s.items = s.items[1:]
	s.bytes -= it.bytes
	return it, true
}

// All ranges over the stream until ctx is done or the stream has ended. Errors
// that the loop sees are [*Resync] only.
func (s *Stream[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			value, err := s.Next(ctx)
			if err != nil {
				if _, goesOn := errors.AsType[*Resync](err); !goesOn {
					return
				}
			}
			if !yield(value, err) {
				return
			}
		}
	}
}

// Close gives the stream up, with what waits in it. It is idempotent.
func (s *Stream[T]) Close() {
	s.end(errStream)
	s.mu.Lock()
	s.items, s.bytes = nil, 0
	onClose := s.onClose
	s.onClose = nil
	s.mu.Unlock()
	if onClose != nil {
		onClose()
	}
}
