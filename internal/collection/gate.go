package collection

import (
	"context"
	"sync"
)

// A gate lets mutations that have collided pass one at a time per record, so
// that they wait for each other instead of spoiling each other's attempts. The
// first attempt does not come here: most records have one writer. It holds what
// is contended at the moment, and nothing else.
//
// A place is held while the engine appends, hence a channel and not a mutex:
// those who wait can give up with their context.
type gate struct {
	mu    sync.Mutex // guards the following
	turns map[turnKey]*turn
}

type turnKey struct{ channel, record string }

// turn is one record's place.
type turn struct {
	taken chan struct{} // capacity 1
	users int           // who holds it or waits for it; guarded by the gate's mu
}

func newGate() gate { return gate{turns: make(map[turnKey]*turn)} }

// enter waits for the record's turn. leave must be called.
func (g *gate) enter(ctx context.Context, channel, record string) (leave func(), err error) {
	key := turnKey{channel, record}
	t := g.use(key)
	select {
	case t.taken <- struct{}{}:
		return func() {
			<-t.taken
			g.release(key, t)
		}, nil
	case <-ctx.Done():
		g.release(key, t)
		return nil, ctx.Err()
	}
}

func (g *gate) use(key turnKey) *turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.turns[key]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		g.turns[key] = t
	}
	t.users++
	return t
}

func (g *gate) release(key turnKey, t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(g.turns, key)
	}
}
