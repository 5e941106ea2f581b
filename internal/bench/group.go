package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/client"
)

// A group are the followers of several channels: one run's clock, what they wrote
// and saw, and how often they had to come back.
type group struct {
	subject   *chorale
	durable   bool          // private channels with a collection, as the rules of the notes app have them
	awayEvery time.Duration // how long a follower stays on average before it leaves by itself; 0: it does not
	text      string        // in every write
	base      time.Time

	verdict    verdict
	complaints *slog.Logger // of clients, which are breaches
	ledgers    []*ledger    // by channel
	followers  []*follower
	ctx        context.Context // of all that follows; stop ends it
	stop       context.CancelFunc
	loops      sync.WaitGroup // of followers and what they write
	restless   atomic.Bool    // followers leave by themselves

	acks       Histogram // from the instant a write was due to its acknowledgement
	acked      atomic.Int64
	deliveries atomic.Int64
	refused    atomic.Int64 // for the moment, of those who come to compare
	resyncs    atomic.Int64

	mu      sync.Mutex // guards the following
	reasons map[string]int64
}

// A gathering is the shape of a group.
type gathering struct {
	channels  int
	members   int // per channel; the first writers write
	writers   int
	durable   bool
	awayEvery time.Duration
	textSize  int
}

func (g gathering) validate() error {
	return hold(
		condition{g.channels >= 1, "at least one channel is needed"},
		condition{g.writers >= 1, "at least one writer is needed"},
		condition{g.members >= 2, "at least two members are needed: one writes, another reads"},
		condition{g.awayEvery >= 0, "members cannot stay for less than no time"},
		condition{g.textSize >= 0 && g.textSize <= textMax, fmt.Sprintf("a text has 0 to %d bytes", textMax)},
	)
}

// gather starts the followers and waits until all are live. disperse must be
// called, also after an error.
func gather(ctx context.Context, s site, shape gathering) (*group, error) {
	subject, ok := s.subject.(*chorale)
	if !ok {
		return nil, fmt.Errorf("only a Chorale server can be followed")
	}
	ctx, stop := context.WithCancel(ctx)
	g := &group{
		subject: subject, durable: shape.durable, awayEvery: shape.awayEvery, text: strings.Repeat(".", shape.textSize),
		base: time.Now(), ctx: ctx, stop: stop, reasons: make(map[string]int64),
	}
	g.complaints = slog.New(slog.NewTextHandler(&g.verdict, nil))
	for i := range shape.channels {
		l := newLedger(g.mode().topic(s.run, i), &g.verdict)
		g.ledgers = append(g.ledgers, l)
	}
	// A few at a time, as Connect does it: what is measured comes later.
	g.followers = make([]*follower, shape.channels*shape.members)
	err := inParallel(ctx, len(g.followers), openers, func(i int) error {
		l, k := g.ledgers[i/shape.members], i%shape.members
		f, err := g.newFollower(l, seat{mode: g.mode(), run: s.run, channel: i / shape.members, index: k, writes: k < shape.writers})
		if err != nil {
			return err
		}
		g.followers[i] = f
		g.loops.Go(func() { f.run(ctx) })
		err = until(ctx, dialTimeout, f.who+" to join", func() bool { return f.visits.Load() > 0 || f.gaveUp() || !g.verdict.clean() })
		if err != nil || f.gaveUp() {
			return errors.Join(err, fmt.Errorf("%s: %s", f.who, f.situation()))
		}
		return nil
	})
	return g, err
}

// mode names the channels: those of the notes app are durable.
func (g *group) mode() Mode {
	if g.durable {
		return Notes
	}
	return Broadcast
}

// now is the instant of the group's clock.
func (g *group) now() int64 { return int64(time.Since(g.base)) }

// resync counts a follower that was told that it cannot go on from its position.
func (g *group) resync(reason string) {
	g.resyncs.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reasons[reason]++
}

// whyNot counts the resyncs by reason (S2).
func (g *group) whyNot() map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.reasons)
}

// write pushes at random until ctx ends, perSecond writes of all writers
// together, and returns when nobody writes any more.
func (g *group) write(ctx context.Context, perSecond float64) {
	var writers []*follower
	for _, f := range g.followers {
		if f.seat.writes {
			writers = append(writers, f)
		}
	}
	var wg sync.WaitGroup
	for _, f := range writers {
		a := &author{follower: f}
		wg.Go(func() { a.write(g.ctx, ctx, perSecond/float64(len(writers))) })
	}
	wg.Wait()
}

// settle waits until every write is acknowledged and everybody has everything. What
// is missing when the patience is over is counted by testify.
func (g *group) settle(ctx context.Context, patience time.Duration) error {
	g.restless.Store(false)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for done := 0; done < len(g.followers); {
		f := g.followers[done]
		if f.caughtUp() {
			done++
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not up to date after %s: %s", f.who, patience, f.situation())
		case <-tick.C:
		}
	}
	return nil
}

// disperse ends all followers and waits for them. Idempotent.
func (g *group) disperse() {
	g.stop()
	g.loops.Wait()
}

// report writes what was counted into f.
func (g *group) report(f *Figures) {
	g.verdict.report(f)
	var pause time.Duration
	for _, l := range g.ledgers {
		pause = max(pause, l.longestPause())
	}
	f.Followed = &FollowedFigures{
		Acknowledged: g.acked.Load(), Deliveries: g.deliveries.Load(), Retried: g.refused.Load(),
		Resyncs: g.resyncs.Load(), PauseUs: micros(pause),
	}
	for _, member := range g.followers {
		s := member.conn.Stats()
		f.Followed.Retried += s.Refusals
		f.Followed.Reconnects += s.Joins - 1
		f.Followed.Resumed += s.Resumes
	}
}

// until waits for a condition.
func until(ctx context.Context, patience time.Duration, what string, is func() bool) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("waited %s for %s", patience, what)
		case <-tick.C:
		}
	}
	return nil
}

// An author makes the writes of one follower: messages, and where there is a
// collection every third time a mutation of a record that all share. For one
// goroutine.
type author struct {
	*follower
	mutations, count int
}

// sharedRecords is how many records of a channel everybody patches: few, so that
// writes of the same record meet.
const sharedRecords = 5

// write makes one write at once, so that no channel stays empty, and then at
// random instants, perSecond on average, until writing ends. ctx ends later: what
// has begun goes on until it is acknowledged.
func (a *author) write(ctx, writing context.Context, perSecond float64) {
	next := func() time.Duration { return time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)) }
	due := time.Now()
	for {
		pause(writing, time.Until(due))
		if writing.Err() != nil {
			return
		}
		select {
		case <-writing.Done():
			return
		case a.unanswered <- struct{}{}:
		}
		a.push(ctx, due)
		due = due.Add(next())
		if now := time.Now(); due.Before(now.Add(-time.Second)) { // who had to wait does not make up for it
			due = now.Add(next())
		}
	}
}

// push makes one write, which was due then.
func (a *author) push(ctx context.Context, due time.Time) {
	a.count++
	if a.notes == nil || a.count%3 != 1 {
		id := uuid.NewString()
		a.group.loops.Go(func() {
			defer func() { <-a.unanswered }()
			a.publish(ctx, id, due)
		})
		return
	}
	m, err := a.mutate()
	if err != nil {
		a.refused(ctx, err)
		<-a.unanswered
		return
	}
	a.group.loops.Go(func() {
		defer func() { <-a.unanswered }()
		a.follow(ctx, m, due)
	})
}

// mutate makes a record that all share, or patches it.
func (a *author) mutate() (*client.Mutation, error) {
	k := a.mutations % sharedRecords
	a.mutations++
	record := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", a.ledger.topic, k)).String()
	values := map[string]any{"content": fmt.Sprintf("%d of %s%s", a.mutations, a.who, a.group.text)}
	if a.mutations > sharedRecords {
		return a.notes.Patch(record, values)
	}
	values["timestampMs"], values["authorName"], values["kind"] = 61_000, "Bench", "note"
	return a.notes.Put(record, values)
}
