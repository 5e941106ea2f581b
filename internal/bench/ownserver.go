package bench

import (
	"context"
	"slices"
	"strings"
)

// An ownServer is a server that was started for a run, and can be started again
// at the same address on the same data. For one goroutine.
type ownServer struct {
	command command // of serve, without the address
	child   *child  // nil while there is none
}

// start starts it: the first time at a free port, then where it was.
func (o *ownServer) start(ctx context.Context) error {
	address := "127.0.0.1:0"
	if o.child != nil {
		address = strings.TrimPrefix(o.child.url, "http://")
	}
	c := o.command
	c.args = slices.Insert(slices.Clone(c.args), 1, "--addr", address)
	k, err := startChild(ctx, c)
	if err == nil {
		o.child = k
	}
	return err
}

// stop ends it in an orderly way. Idempotent.
func (o *ownServer) stop() error { return o.child.stop() }

// kill ends it as a crash would.
func (o *ownServer) kill() error { return o.child.kill() }
