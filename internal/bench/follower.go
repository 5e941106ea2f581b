package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// A follower is a member of one channel who comes back: whenever its connection
// ends it resumes, at the next node if there are several, and sends again what
// was not acknowledged. It holds the server to what it was told.
//
// run owns it. The methods that say what it saw may be called from anywhere.
type follower struct {
	group  *group
	ledger *ledger
	seat   seat
	who    string
	client string // client id of its mutations
	outbox *outbox

	visits  atomic.Int64 // how often it was up to date
	backAt  atomic.Int64 // when it was so last, on the group's clock
	isLive  atomic.Bool
	highest atomic.Uint64 // highest offset seen, for mutations

	mu       sync.Mutex // guards the following
	position place
	messages *witness   // open
	changes  *witness   // open while live
	closed   []*witness // what was seen before gaps that the server told of
	records  map[string]fields
}

// A place is a position in a channel's log; without an epoch it is none yet.
type place struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// A refusedError is a join that was refused for the moment.
type refusedError struct {
	fault protocol.Error
	after time.Duration // 0: the server did not say
}

func (e *refusedError) Error() string { return "refused for the moment: " + e.fault.Error() }

// errBroken ends a follower: there is no use in coming back.
var errBroken = errors.New("refused for good")

// errLeft is why a connection ended that the follower gave up by itself.
var errLeft = errors.New("left by itself")

// run comes and comes back until ctx ends or the server refuses for good.
func (f *follower) run(ctx context.Context) {
	node, attempt := f.seat.channel+f.seat.index, 0
	for ctx.Err() == nil {
		before := f.visits.Load()
		err := f.visit(ctx, node)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errBroken) {
			f.group.verdict.found(failed, "%s: %v", f.who, err)
			return
		}
		if f.visits.Load() > before {
			attempt = 0
			f.group.reconnects.Add(1)
		}
		wait, failure := waitAfter(err, attempt, rand.Float64())
		if errors.Is(err, errLeft) {
			wait, failure = time.Duration(rand.Int64N(int64(f.group.awayEvery)/4+1)), false
		}
		if failure {
			attempt++
		}
		node++
		pause(ctx, wait)
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

// silence is how long a server may say nothing: it pings every 25 s.
const silence = 60 * time.Second

// visit is one connection: connect, join, and take what comes until it ends.
func (f *follower) visit(ctx context.Context, node int) error {
	address, err := f.group.subject.addressAt(f.seat, node)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return err
	}
	defer f.end()
	defer sock.conn.Close() // without a word, as networks do it
	defer context.AfterFunc(ctx, func() { sock.conn.Close() })()
	var left atomic.Bool
	if f.group.awayEvery > 0 {
		after := time.Duration(rand.ExpFloat64() * float64(f.group.awayEvery))
		away := time.AfterFunc(after, func() {
			if f.group.restless.Load() {
				left.Store(true)
				sock.conn.Close()
			}
		})
		defer away.Stop()
	}
	if err := sock.send(f.join()); err != nil {
		return err
	}
	err = f.listen(sock)
	if left.Load() {
		return errLeft
	}
	return err
}

// join is the frame that asks for everything since the follower's position.
func (f *follower) join() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	resume := ""
	if f.position.Epoch != "" {
		resume = fmt.Sprintf(`,"resume":{"epoch":%q,"offset":%d}`, f.position.Epoch, f.position.Offset)
	}
	return frame("join", f.ledger.topic, protocol.EventJoin, f.group.joinConfig(`"client":"`+f.client+`"`+resume, ""))
}

// listen takes frames until the connection ends.
func (f *follower) listen(sock *socket) error {
	for {
		if err := sock.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		data, err := sock.read()
		if err != nil {
			return err
		}
		m, err := protocol.DecodeText(protocol.V2, data)
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		if err := f.take(sock, &m); err != nil {
			return err
		}
	}
}

// take handles one frame. An error ends the connection.
func (f *follower) take(sock *socket, m *protocol.Frame) error {
	switch m.Event {
	case protocol.EventReply:
		if m.Ref == "join" {
			return f.joined(m.Payload)
		}
		return f.answered(m.Ref, m.Payload)
	case protocol.EventBroadcast:
		return f.delivered(m.Payload)
	case protocol.EventChange:
		return f.changed(m.Payload)
	case protocol.EventRecords:
		return f.loaded(m.Payload)
	case protocol.EventSynced:
		return f.synced(sock, m.Payload)
	case protocol.EventError:
		var fault protocol.Error
		_ = json.Unmarshal(m.Payload, &fault) // without a reason it is an error all the same
		return &refusedError{fault: fault, after: time.Duration(fault.RetryAfterMs) * time.Millisecond}
	case protocol.EventClose:
		return fmt.Errorf("%w: the channel was closed", errBroken)
	}
	return nil
}

// A reply is the payload of phx_reply.
type reply struct {
	Status   string          `json:"status"`
	Response json.RawMessage `json:"response"`
}

// fault is what an error reply says.
func (r *reply) fault() protocol.Error {
	var e struct {
		protocol.Error
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(r.Response, &e) // without a code it is an error all the same
	e.Error.Message = e.Reason
	return e.Error
}

func (f *follower) joined(payload []byte) error {
	var r reply
	var response struct {
		Chorale *protocol.JoinReply `json:"chorale"`
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if r.Status != "ok" {
		fault := r.fault()
		if fault.Retryable {
			f.group.refused.Add(1)
			return &refusedError{fault: fault, after: time.Duration(fault.RetryAfterMs) * time.Millisecond}
		}
		return fmt.Errorf("%w: join: %s", errBroken, payload)
	}
	if err := json.Unmarshal(r.Response, &response); err != nil || response.Chorale == nil {
		return fmt.Errorf("%w: a join's reply without a position: %s", errBroken, payload)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(response.Chorale)
	return nil
}

// begin opens the witnesses of a visit. Call it with mu held.
func (f *follower) begin(at *protocol.JoinReply) {
	switch {
	case f.position.Epoch == "":
	case at.Resumed && at.Epoch != f.position.Epoch:
		f.group.verdict.found(failed, "%s: resumed in epoch %s a log of epoch %s", f.who, at.Epoch, f.position.Epoch)
	case at.Resumed:
		f.group.resumed.Add(1)
	default:
		f.group.resync(at.Reason)
	}
	if f.messages == nil || !at.Resumed {
		if f.messages != nil {
			f.messages.close()
			f.closed = append(f.closed, f.messages)
		}
		f.messages = &witness{who: f.who, epoch: at.Epoch, kind: message, from: at.Offset}
	}
	f.changes = &witness{who: f.who, epoch: at.Epoch, kind: change, from: at.Offset}
}

func (f *follower) delivered(payload []byte) error {
	var d struct {
		Meta struct {
			ID     string `json:"id"`
			Offset uint64 `json:"offset"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(payload, &d); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.messages == nil {
		return fmt.Errorf("%w: a message before the join's reply", errBroken)
	}
	f.ledger.note(f.who, f.messages.epoch, d.Meta.Offset, d.Meta.ID, message)
	f.messages.see(d.Meta.Offset, f.ledger)
	f.advance(d.Meta.Offset)
	f.group.deliveries.Add(1)
	return nil
}

func (f *follower) changed(payload []byte) error {
	var c protocol.Change
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes == nil {
		return fmt.Errorf("%w: a change before the join's reply", errBroken)
	}
	k := outcome
	if c.Status == protocol.StatusApplied {
		k = change
		f.changes.see(c.Offset, f.ledger)
		f.fold(&c)
	}
	f.ledger.note(f.who, f.changes.epoch, c.Offset, mutationName(c.Client, c.N), k)
	f.advance(c.Offset)
	f.group.deliveries.Add(1)
	return nil
}

// fold makes a change part of the records (M7). Call it with mu held.
func (f *follower) fold(c *protocol.Change) {
	if c.State != nil {
		f.records[c.Record] = c.State.Fields
		return
	}
	if f.records[c.Record] == nil {
		f.records[c.Record] = make(fields)
	}
	for name, value := range c.Fields {
		f.records[c.Record][name] = value
	}
}

func (f *follower) loaded(payload []byte) error {
	var page protocol.RecordsPage
	if err := json.Unmarshal(payload, &page); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes == nil {
		return fmt.Errorf("%w: records before the join's reply", errBroken)
	}
	f.changes.from = max(f.changes.from, page.Offset)
	return takePage(f.records, &page)
}

// takePage makes a page part of the records.
func takePage(records map[string]fields, page *protocol.RecordsPage) error {
	if page.Reset {
		clear(records)
	}
	for _, raw := range page.Records {
		var r protocol.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		records[r.ID] = r.Fields
	}
	return nil
}

// synced ends the catch-up: what waits goes out.
func (f *follower) synced(sock *socket, payload []byte) error {
	var s protocol.Synced
	if err := json.Unmarshal(payload, &s); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	f.mu.Lock()
	f.position.Epoch = f.changes.epoch
	f.position.Offset = max(s.Offset, f.messages.last())
	f.highest.Store(f.position.Offset)
	f.mu.Unlock()
	f.outbox.connect(sock)
	f.backAt.Store(f.group.now())
	f.visits.Add(1)
	f.isLive.Store(true)
	return nil
}

// advance moves the position. In a log that is new to the follower there is none
// before synced: its records are not loaded. Call it with mu held.
func (f *follower) advance(offset uint64) {
	if f.position.Epoch == f.messages.epoch {
		f.position.Offset = max(f.position.Offset, offset)
		f.highest.Store(f.position.Offset)
	}
}

// end closes what a visit promised.
func (f *follower) end() {
	f.isLive.Store(false)
	f.outbox.disconnect()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes != nil {
		f.changes.close()
		f.closed = append(f.closed, f.changes)
		f.changes = nil
	}
}

// answered settles a write.
func (f *follower) answered(ref string, payload []byte) error {
	var r reply
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if r.Status != "ok" {
		return f.turnedDown(ref, &r)
	}
	p := f.outbox.settle(ref)
	if p == nil {
		return nil // a repeat's answer; the first one settled it
	}
	var o protocol.Outcome
	if err := json.Unmarshal(r.Response, &o); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	k := message
	switch {
	case p.mutation && o.Status == protocol.StatusApplied:
		k = change
	case p.mutation:
		k = outcome
	}
	f.mu.Lock()
	epoch := f.messages.epoch
	f.mu.Unlock()
	f.ledger.acknowledge(f.who, epoch, o.Offset, p.write, k)
	f.group.acknowledged(p.due)
	return nil
}

// turnedDown keeps a write that was refused for the moment; any other refusal is
// a fault, because nothing is pushed that the rules do not allow.
func (f *follower) turnedDown(ref string, r *reply) error {
	fault := r.fault()
	if !fault.Retryable {
		f.outbox.settle(ref)
		f.group.verdict.found(failed, "%s: a write was refused: %s", f.who, r.Response)
		return nil
	}
	f.group.refused.Add(1)
	after := time.Duration(fault.RetryAfterMs) * time.Millisecond
	if after <= 0 {
		after = waitLeast
	}
	f.outbox.refuse(ref, after)
	return nil
}

// caughtUp says whether nothing that the ledger knows is on its way here.
func (f *follower) caughtUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isLive.Load() || f.messages == nil || f.changes == nil || f.outbox.len() > 0 {
		return false
	}
	head := f.ledger.head(f.position.Epoch)
	return max(f.position.Offset, f.messages.last(), f.changes.last()) >= head
}

// situation describes what is missing.
func (f *follower) situation() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("live: %t, at offset %d of %d, writes without an answer: %d", f.isLive.Load(), f.position.Offset, f.ledger.head(f.position.Epoch), f.outbox.len())
}

// testify checks everything that the follower saw.
func (f *follower) testify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.closed {
		w.check(f.ledger)
	}
	for _, w := range []*witness{f.messages, f.changes} {
		if w != nil {
			w.check(f.ledger)
		}
	}
}

func mutationName(client string, n uint64) string { return fmt.Sprintf("mutation %d of %s", n, client) }
