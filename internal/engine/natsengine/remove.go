package natsengine

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Remove deletes the streams of a prefix with everything in them; those that are
// not Chorale's stay, and are an error. No engine may be using them. It waits for
// Options.OpenTimeout at most.
func Remove(ctx context.Context, o Options) error {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.OpenTimeout)
	defer cancel()
	nothing := func() {}
	nc, err := connect(ctx, &o, events{lost: nothing, back: nothing, missed: func(*nats.Subscription) {}})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	st := &store{nc: nc, js: js, options: &o, subjects: subjects{o.Prefix}}
	n, err := st.countPartitions(ctx)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	for p := range n {
		err := js.DeleteStream(ctx, st.subjects.stream(p))
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("remove %s: %w", st.subjects.stream(p), err)
		}
	}
	return nil
}
