package collection

import (
	"context"
	"hash/maphash"
)

// gateStripes: enough that two records which are both contended rarely share
// one, few enough to be made with every Store.
const gateStripes = 256

// A gate lets mutations that have collided pass one at a time per record, so
// that they wait for each other instead of spoiling each other's attempts. The
// first attempt does not come here: most records have one writer.
//
// A place is held while the engine appends, hence a channel and not a mutex:
// those who wait can give up with their context.
type gate struct {
	seed    maphash.Seed
	stripes [gateStripes]chan struct{}
}

func newGate() gate {
	g := gate{seed: maphash.MakeSeed()}
	for i := range g.stripes {
		g.stripes[i] = make(chan struct{}, 1)
	}
	return g
}

// enter waits for the record's turn. leave must be called.
func (g *gate) enter(ctx context.Context, channel, key string) (leave func(), err error) {
	stripe := g.stripes[maphash.Comparable(g.seed, [2]string{channel, key})%gateStripes]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
