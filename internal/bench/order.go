package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Order is a check more than a load: does everybody see one order, without a gap
// or a repeat, however often they leave and come back, at whichever node? Members
// write and read in several channels, leave without a word, and resume at the
// next node. Then what each has seen is compared with what the others saw, with
// what was acknowledged, and with what every node has stored.
type Order struct {
	Channels int
	Writers  int           // per channel
	Readers  int           // per channel
	Rate     float64       // writes per second, all together
	Duration time.Duration // of writing
	Away     time.Duration // how long a member stays on average before it leaves; 0: it does not
	TextSize int           // bytes of text in a write
	// Durable takes private channels with records, as the rules of the notes app
	// have them, and mutates records too. Otherwise the channels are public, and a
	// memory of their own is all that they have.
	Durable bool
}

func (o Order) name() string { return "order" }

func (o Order) unit() string { return "acknowledgements" }

func (o Order) describe() string {
	what := "messages in public channels"
	if o.Durable {
		what = "messages and mutations in durable channels"
	}
	text := fmt.Sprintf("%d channels × %d writers and %d readers, %g writes/s, %s, text of %d bytes, %s", o.Channels, o.Writers, o.Readers, o.Rate, what, o.TextSize, o.Duration)
	if o.Away > 0 {
		text += fmt.Sprintf("; everybody leaves every %s or so and resumes", o.Away)
	}
	return text
}

func (o Order) gathering() gathering {
	return gathering{channels: o.Channels, members: o.Writers + o.Readers, writers: o.Writers, durable: o.Durable, awayEvery: o.Away, textSize: o.TextSize}
}

func (o Order) validate() error {
	return errors.Join(o.gathering().validate(), hold(
		condition{o.Readers >= 0, "there cannot be fewer than no readers"},
		condition{o.Rate > 0, "the rate must be above 0"},
		condition{o.Duration > 0, "the duration must be above 0"},
	))
}

func (o Order) run(ctx context.Context, s site) ([]Figures, error) {
	m, err := newMeter(s.pid, o.Channels*(o.Writers+o.Readers))
	if err != nil {
		return nil, err
	}
	g, err := gather(ctx, s, o.gathering())
	if g != nil {
		defer g.disperse()
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.memory(&m.idle), m.begin()); err != nil {
		return nil, err
	}
	g.restless.Store(o.Away > 0)
	writing, done := context.WithTimeout(ctx, o.Duration)
	defer done()
	g.write(writing, o.Rate)
	if err := errors.Join(ctx.Err(), m.end()); err != nil {
		return nil, err
	}
	var f Figures
	if err := g.conclude(ctx, s.patience); err != nil {
		return nil, err
	}
	if err := m.memory(&m.after); err != nil {
		return nil, err
	}
	m.report(&f, g.acked.Load())
	f.setLatency(&g.acks)
	g.report(&f)
	return []Figures{f}, nil
}

// conclude lets everybody catch up, and compares.
func (g *group) conclude(ctx context.Context, patience time.Duration) error {
	if err := g.settle(ctx, patience); err != nil {
		g.verdict.found(failed, "%v", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, f := range g.followers {
		f.testify()
	}
	if err := g.compare(ctx, patience); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		g.verdict.found(failed, "%v", err)
	}
	g.disperse()
	return nil
}
