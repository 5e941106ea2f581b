package bench

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// A group are the followers of several channels: one run's clock, what they wrote
// and saw, and how often they had to come back.
type group struct {
	subject   *chorale
	durable   bool          // private channels with a collection, as the rules of the notes app have them
	awayEvery time.Duration // how long a follower stays on average before it leaves by itself; 0: it does not
	textSize  int
	base      time.Time

	verdict   verdict
	ledgers   []*ledger // by channel
	followers []*follower
	stop      context.CancelFunc
	loops     sync.WaitGroup // of followers
	restless  atomic.Bool    // followers leave by themselves

	acks       Histogram // from the instant a write was due to its acknowledgement
	acked      atomic.Int64
	deliveries atomic.Int64
	refused    atomic.Int64 // for the moment
	reconnects atomic.Int64
	resumed    atomic.Int64
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
		subject: subject, durable: shape.durable, awayEvery: shape.awayEvery, textSize: shape.textSize,
		base: time.Now(), stop: stop, reasons: make(map[string]int64),
	}
	for i := range shape.channels {
		l := newLedger(g.mode().topic(s.run, i), &g.verdict)
		g.ledgers = append(g.ledgers, l)
		for k := range shape.members {
			f, err := g.newFollower(l, seat{mode: g.mode(), run: s.run, channel: i, index: k, writes: k < shape.writers})
			if err != nil {
				return g, err
			}
			g.followers = append(g.followers, f)
		}
	}
	// A few at a time, as Connect does it: what is measured comes later.
	err := inParallel(ctx, len(g.followers), openers, func(i int) error {
		f := g.followers[i]
		g.loops.Go(func() { f.run(ctx) })
		return until(ctx, dialTimeout, "everybody to join", func() bool { return f.visits.Load() > 0 || !g.verdict.clean() })
	})
	return g, err
}

func (g *group) newFollower(l *ledger, s seat) (*follower, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a client id: %w", err)
	}
	return &follower{
		group: g, ledger: l, seat: s, client: id.String(), outbox: newOutbox(),
		who:     fmt.Sprintf("member %d of %s", s.index, l.topic),
		records: make(map[string]fields),
	}, nil
}

// mode names the channels: those of the notes app are durable.
func (g *group) mode() Mode {
	if g.durable {
		return Notes
	}
	return Broadcast
}

// joinConfig is the payload of a join. chorale and broadcast are further members
// of those objects.
func (g *group) joinConfig(chorale, broadcast string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"config":{"broadcast":{"ack":true,"self":true%s},"presence":{"enabled":false},"private":%t,"chorale":{"v":1`, broadcast, g.durable)
	if chorale != "" {
		b.WriteString("," + chorale)
	}
	if g.durable {
		b.WriteString(`,"collections":["` + notesCollection + `"]`)
	}
	b.WriteString(`}}}`)
	return b.String()
}

// now is the instant of the group's clock.
func (g *group) now() int64 { return int64(time.Since(g.base)) }

// acknowledged counts an acknowledgement of a write that was due then.
func (g *group) acknowledged(due time.Time) {
	g.acks.Record(time.Since(due))
	g.acked.Add(1)
}

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
		wg.Go(func() { newAuthor(f).write(ctx, perSecond/float64(len(writers))) })
	}
	wg.Wait()
}

// settle waits until every write is acknowledged and everybody has everything, and
// meanwhile sends again what was refused for the moment. What is missing when
// the patience is over is counted by testify.
func (g *group) settle(ctx context.Context, patience time.Duration) error {
	g.restless.Store(false)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for done := 0; done < len(g.followers); {
		f := g.followers[done]
		f.outbox.retry(time.Now())
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
		Reconnects: g.reconnects.Load(), Resumed: g.resumed.Load(), Resyncs: g.resyncs.Load(),
		PauseUs: micros(pause),
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
	clock hybridClock
	n     uint64 // of its mutations
	text  string
	count int
}

// sharedRecords is how many records of a channel everybody patches: few, so that
// writes of the same record meet.
const sharedRecords = 5

func newAuthor(f *follower) *author {
	return &author{follower: f, text: strings.Repeat(".", f.group.textSize)}
}

// write makes one write at once, so that no channel stays empty, and then at
// random instants, perSecond on average, until ctx ends.
func (a *author) write(ctx context.Context, perSecond float64) {
	next := func() time.Duration { return time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)) }
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if some, _ := a.outbox.room(); some && !due.After(now) {
			a.push(due)
			due = due.Add(next())
			if due.Before(now.Add(-time.Second)) { // who had to wait does not make up for it
				due = now.Add(next())
			}
		}
		wait := time.Second
		if some, _ := a.outbox.room(); some {
			wait = time.Until(due)
		}
		if at, some := a.outbox.retry(now); some {
			wait = min(wait, time.Until(at))
		}
		timer.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.outbox.wake:
		}
	}
}

// push makes one write, which was due then.
func (a *author) push(due time.Time) {
	a.count++
	if _, mutation := a.outbox.room(); mutation && a.group.durable && a.count%3 == 1 {
		a.mutate(due)
		return
	}
	id := uuid.NewString()
	a.outbox.push(&pending{write: id, due: due}, func(ref string) []byte {
		return frame(ref, a.ledger.topic, protocol.EventBroadcast,
			`{"type":"broadcast","event":"note","payload":{"text":"`+a.text+`"},"meta":{"id":"`+id+`"}}`)
	})
}

// mutate makes a record that all share, or patches it.
func (a *author) mutate(due time.Time) {
	a.n++
	at := string(a.clock.append(nil, unixMillis()))
	k := int(a.n-1) % sharedRecords
	record := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", a.ledger.topic, k)).String()
	op, content := "patch", fmt.Sprintf(`"content":"%d of %s%s"`, a.n, a.client, a.text)
	if a.n <= sharedRecords {
		op, content = "put", content+`,"timestampMs":61000,"authorName":"Bench","kind":"note"`
	}
	payload := fmt.Sprintf(`{"client":"%s","n":%d,"id":"%s","at":"%s","base":%d,"op":"%s","collection":"%s","record":"%s","fields":{%s}}`,
		a.client, a.n, uuid.NewString(), at, a.highest.Load(), op, notesCollection, record, content)
	a.outbox.push(&pending{write: mutationName(a.client, a.n), mutation: true, due: due}, func(ref string) []byte {
		return frame(ref, a.ledger.topic, protocol.EventMutate, payload)
	})
}
