package client

import (
	"context"
	"iter"
	"sync"
)

// A bell tells whoever waits that something has changed. The zero bell is ready;
// it is guarded by the lock of what it is about.
type bell struct{ ch chan struct{} }

// wait returns a channel that is closed at the next ring.
func (b *bell) wait() <-chan struct{} {
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// watch yields what read returns, now and after each ring. Changes that happen
// while a value is being handled come as one: nothing is buffered. It ends with
// ctx, or after the value with which read says that there will be no other.
func watch[T any](ctx context.Context, mu *sync.Mutex, b *bell, read func() (value T, last bool)) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			mu.Lock()
			value, last := read()
			rung := b.wait()
			mu.Unlock()
			if ctx.Err() != nil || !yield(value) || last {
				return
			}
			select {
			case <-rung:
			case <-ctx.Done():
				return
			}
		}
	}
}
