package transport

import (
	"context"
	"sync"
	"time"
)

// turns puts the POSTs of one stream into their order: 1, 2, 3… A client may have
// several under way, on connections of which any may be the fastest.
//
// A POST waits for its turn before its body is read, so what waits is held by the
// network and not by the server. Its methods may be called from any goroutine.
type turns struct {
	mu      sync.Mutex // guards the following
	next    uint64     // the number that is due, or is being handled
	busy    bool       // it is being handled
	waiting int
	changed chan struct{} // closed and replaced with each change
}

// A turn is what a POST may do.
type turn int

const (
	turnDue      turn = iota // handle it, then call done
	turnRepeated             // it was handled
	turnMissing              // one before it did not come
	turnCrowded              // too many wait already
	turnGone                 // the stream, or whoever asks, has gone
)

const (
	// missingAfter is how long a POST waits for those before it: they are on
	// their way, or their connection broke and they will be sent again.
	missingAfter = 5 * time.Second
	// maxWaiting is how many POSTs of one stream may wait. Each costs a goroutine
	// and a connection.
	maxWaiting = 8
)

func newTurns() *turns { return &turns{next: 1, changed: make(chan struct{})} }

// await waits until it is n's turn.
func (t *turns) await(ctx context.Context, gone <-chan struct{}, n uint64) turn {
	var patience *time.Timer
	for {
		answer, changed := t.look(n, patience != nil)
		if changed == nil {
			return answer
		}
		if patience == nil {
			patience = time.NewTimer(missingAfter)
			defer patience.Stop()
			defer t.leave()
		}
		select {
		case <-changed:
			patience.Reset(missingAfter)
		case <-patience.C:
			if t.isStuck(changed) {
				return turnMissing
			}
			patience.Reset(missingAfter)
		case <-gone:
			return turnGone
		case <-ctx.Done():
			return turnGone
		}
	}
}

// look answers, or returns a channel that is closed when it is worth asking
// again; then whoever asks is counted as waiting, if it was not.
func (t *turns) look(n uint64, waits bool) (turn, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case n < t.next:
		return turnRepeated, nil
	case n == t.next && !t.busy:
		t.busy = true
		return turnDue, nil
	case !waits && t.waiting == maxWaiting:
		return turnCrowded, nil
	}
	if !waits {
		t.waiting++
	}
	return 0, t.changed
}

// isStuck says that nothing has changed since look gave out this channel, and
// nothing is being handled: what is slow is not missing.
func (t *turns) isStuck(changed <-chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.busy && (<-chan struct{})(t.changed) == changed
}

func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
}

// done ends a turn. When the POST was not handled the number is due again.
func (t *turns) done(handled bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = false
	if handled {
		t.next++
	}
	close(t.changed)
	t.changed = make(chan struct{})
}
