package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/client"
)

// A follower is a member of one channel who comes back: a program with a
// [client.Client] of its own, at the next node after each loss if there are
// several. It holds server and client to what they tell a program.
//
// run owns it. The methods that say what it saw may be called from anywhere.
type follower struct {
	group  *group
	ledger *ledger
	seat   seat
	who    string
	conn   *client.Client
	room   *client.Channel
	notes  *client.Collection // nil where there are no records

	messagesIn *client.Stream[client.Message]
	changesIn  *client.Stream[client.RecordDiff] // nil where there are no records
	unanswered chan struct{}                     // holds one for each write without an outcome

	visits atomic.Int64 // how often it was up to date
	backAt atomic.Int64 // when it was so last, on the group's clock
	wire   atomic.Pointer[net.Conn]

	mu       sync.Mutex // guards the following
	messages *witness
	changes  *witness
	closed   []*witness // what was seen before gaps that were told of
}

// window is how many writes of one follower may wait. Beyond it the follower
// waits too: an outage should not end in a flood.
const window = 32

// newFollower makes the follower of a seat, which begins to connect at once.
func (g *group) newFollower(l *ledger, s seat) (*follower, error) {
	f := &follower{
		group: g, ledger: l, seat: s, unanswered: make(chan struct{}, window),
		who: fmt.Sprintf("member %d of %s", s.index, l.topic),
	}
	nodes := g.subject.nodesOf(s)
	o := &client.Options{Token: g.subject.provider(s), Nodes: nodes[1:], Logger: g.complaints, BufferItems: plenty, BufferBytes: plenty}
	if g.awayEvery > 0 {
		o.DialContext = f.dial
	}
	conn, err := client.New(nodes[0], o)
	if err != nil {
		return nil, err
	}
	f.conn = conn
	if err := f.claim(); err != nil {
		conn.Close()
		return nil, err
	}
	return f, nil
}

// plenty is more than may wait in a stream: a generator that is too slow for what
// it reads shows in its CPU time, and not as a gap.
const plenty = 1 << 30

// claim asks for the channel, and for all that is said there.
func (f *follower) claim() error {
	o := &client.ChannelOptions{Public: !f.group.durable, Self: true}
	if f.group.durable {
		o.Collections = []string{notesCollection}
	}
	room, err := f.conn.Channel(f.ledger.channel(), o)
	if err != nil {
		return err
	}
	f.room, f.messagesIn = room, room.Subscribe()
	if f.group.durable {
		f.notes = room.Collection(notesCollection)
		f.changesIn = f.notes.Diffs()
	}
	return nil
}

// dial opens a connection that cut can find.
func (f *follower) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dialTCP(ctx, network, address)
	if err == nil {
		f.wire.Store(&c)
	}
	return c, err
}

// cut ends the connection without a word, as networks do it.
func (f *follower) cut() {
	if c := f.wire.Load(); c != nil {
		(*c).Close()
	}
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	defer f.conn.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.hearMessages(ctx) })
	if f.changesIn != nil {
		wg.Go(func() { f.hearChanges(ctx) })
	}
	if f.group.awayEvery > 0 {
		wg.Go(func() { f.roam(ctx) })
	}
	for s := range f.room.Watch(ctx) {
		switch s.State {
		case client.Joined:
			f.joined(s.Position)
		case client.Refused, client.Left:
			f.group.verdict.found(failed, "%s: %v", f.who, s.Err)
			return
		}
	}
}

// joined hears that what the server had is here. States are newest-wins, so the
// client's own count says whether this is one more time.
func (f *follower) joined(at client.Position) {
	now, joins := f.group.now(), f.conn.Stats().Joins
	if joins == f.visits.Load() {
		return
	}
	f.mu.Lock()
	if f.messages == nil { // nobody writes before all have joined
		f.messages = &witness{who: f.who, epoch: at.Epoch, kind: message, from: at.Offset}
	}
	f.mu.Unlock()
	f.backAt.Store(now)
	f.visits.Store(joins)
}

// roam leaves now and then without a word, and comes back before long. Who does
// that does not wait for as long as a client does by itself after so many
// connections that did not last.
func (f *follower) roam(ctx context.Context) {
	const impatience = time.Second
	for ctx.Err() == nil {
		pause(ctx, time.Duration(rand.ExpFloat64()*float64(f.group.awayEvery)))
		if f.group.restless.Load() {
			f.cut()
			pause(ctx, time.Duration(rand.Int64N(int64(f.group.awayEvery)/4+1)))
		}
		for ctx.Err() == nil && f.conn.Status().State != client.Connected {
			f.conn.Reconnect()
			pause(ctx, impatience)
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (f *follower) hearMessages(ctx context.Context) {
	for m, err := range f.messagesIn.All(ctx) {
		if gap, ok := errors.AsType[*client.Resync](err); ok {
			f.missed(gap)
			continue
		}
		f.delivered(&m)
	}
}

// missed hears that the messages have a gap.
func (f *follower) missed(gap *client.Resync) {
	f.group.resync(string(gap.Reason))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages.close()
	f.closed = append(f.closed, f.messages)
	f.messages = &witness{who: f.who, epoch: gap.Position.Epoch, kind: message, from: gap.Position.Offset}
}

func (f *follower) delivered(m *client.Message) {
	f.group.deliveries.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.messages == nil || m.Epoch != f.messages.epoch {
		f.group.verdict.found(failed, "%s: a message of epoch %s, of which nothing was said", f.who, m.Epoch)
		return
	}
	f.ledger.note(f.who, m.Epoch, m.Offset, m.ID, message)
	f.messages.see(m.Offset, f.ledger)
}

func (f *follower) hearChanges(ctx context.Context) {
	for d, err := range f.changesIn.All(ctx) {
		switch {
		case err != nil:
			f.group.verdict.found(failed, "%s: %v", f.who, err)
		case d.Loaded:
			f.loaded(d.Position)
		default:
			f.changed(&d)
		}
	}
}

// loaded hears that the records were loaded, up to a position: what happened
// before was not told change by change.
func (f *follower) loaded(at client.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes != nil {
		f.changes.close()
		f.closed = append(f.closed, f.changes)
	}
	f.changes = &witness{who: f.who, epoch: at.Epoch, kind: change, from: at.Offset}
}

func (f *follower) changed(d *client.RecordDiff) {
	f.group.deliveries.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes == nil || d.Position.Epoch != f.changes.epoch {
		f.group.verdict.found(failed, "%s: a change of epoch %s, whose records were not loaded", f.who, d.Position.Epoch)
		return
	}
	f.ledger.note(f.who, d.Position.Epoch, d.Position.Offset, d.Mutation, change)
	f.changes.see(d.Position.Offset, f.ledger)
}

// publish makes one message, which was due then, and waits for its receipt.
func (f *follower) publish(ctx context.Context, id string, due time.Time) {
	receipt, err := f.room.Publish(ctx, "note", map[string]string{"text": f.group.text}, client.WithID(id))
	if err != nil {
		f.refused(ctx, err)
		return
	}
	f.acknowledged(receipt.Position, id, message, due)
}

// follow waits for the outcome of a mutation that was due then.
func (f *follower) follow(ctx context.Context, m *client.Mutation, due time.Time) {
	o, err := m.Wait(ctx)
	if err != nil {
		f.refused(ctx, err)
		return
	}
	k := outcome
	switch o.Status {
	case client.Applied:
		k = change
	case client.Rejected, client.Unknown:
		f.refused(ctx, o.AsError())
		return
	}
	f.acknowledged(client.Position{Epoch: o.Epoch, Offset: o.Offset}, m.ID, k, due)
}

// refused hears that a write came to nothing: a fault, because nothing is written
// that the rules do not allow.
func (f *follower) refused(ctx context.Context, err error) {
	if ctx.Err() == nil {
		f.group.verdict.found(failed, "%s: a write was refused: %v", f.who, err)
	}
}

func (f *follower) acknowledged(at client.Position, write string, k kind, due time.Time) {
	f.ledger.acknowledge(f.who, at.Epoch, at.Offset, write, k)
	f.group.acks.Record(time.Since(due))
	f.group.acked.Add(1)
}

// caughtUp says whether nothing that the ledger knows is on its way here.
func (f *follower) caughtUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.unanswered) == 0 && f.room.Status().State == client.Joined &&
		f.hasHeard(message, f.messages) && (f.changesIn == nil || f.hasHeard(change, f.changes))
}

// gaveUp says whether the client does not try to connect any more.
func (f *follower) gaveUp() bool {
	state := f.conn.Status().State
	return state == client.NeedsAuth || state == client.Failed
}

// epoch is of the log that was heard of last. Call it with mu held.
func (f *follower) epoch() string {
	if f.messages == nil {
		return ""
	}
	return f.messages.epoch
}

// hasHeard says whether a witness has come to the newest of its kind: messages and
// changes are two streams, of which one may be read later. Call it with mu held.
func (f *follower) hasHeard(k kind, w *witness) bool {
	return w != nil && w.last() >= f.ledger.newest(f.epoch(), k)
}

// situation describes what is missing.
func (f *follower) situation() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	conn, room := f.conn.Status(), f.room.Status()
	return fmt.Sprintf("it is %s and %s (%v), at offset %d of %d, writes without an answer: %d",
		conn.State, room.State, errors.Join(conn.Err, room.Err), room.Position.Offset, f.ledger.head(f.epoch()), len(f.unanswered))
}

// testify checks everything that the follower saw.
func (f *follower) testify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range append(f.closed, f.messages, f.changes) {
		if w != nil {
			w.check(f.ledger)
		}
	}
	if n := f.conn.Stats().Repeats; n > 0 {
		f.group.verdict.count(duplicated, n, "%s was sent %d messages or changes twice", f.who, n)
	}
}
