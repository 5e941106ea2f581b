package client

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// recordMargin is room for what a server adds to a record: versions, names, stamps
// of the metadata. Bytes.
const recordMargin = 512

// A storeHost is what a channel gives its records.
type storeHost interface {
	client() string     // the client id that the channel was joined with
	renewClient()       // takes another one, and joins again: the server has forgotten the old one
	logEpoch() string   // of the log that was joined last
	seenOffset() uint64 // the highest offset of this channel that was seen, for base
	author() string     // the token's sub, known from the first join on
	serverNow() int64   // Unix ms, as well as this client knows it
	bounds() limits
	startAlarm(time.Duration, func()) *alarm
	stopAlarm(*alarm)
	// sendMutation pushes exactly these bytes, and says whether it did: not while the
	// channel is not live. onReply is called once with the answer, or never when the
	// connection ends first.
	sendMutation(payload []byte, onReply func(*protocol.Outcome, *reply)) bool
	rejoinSoon() // the set of collections has grown
	emit(Event)
	settled() // fewer writes are pending
	refusal() // a write was refused for the moment
}

// A recordStore has the collections of one channel, and this client's unsettled
// writes to them. It is guarded by Client.mu.
//
// It joins three questions: what we were told (base), what we hope (outbox,
// sender), what is shown (view). Every entry point changes told and hoped and then
// refreshes what that touched; nobody sees a state in between, because nobody else
// has the lock.
type recordStore struct {
	host        storeHost
	channel     string
	collections map[string]*kept
	outbox      *outbox
	sender      *sender
	clock       hybridClock
	seen        uint64 // how far the stream of changes has come
}

// A kept collection: what was told, and what is shown.
type kept struct {
	name string
	base base
	own  ownFields
	view view
	// diffs are the streams that hear of what was told.
	diffs map[*Stream[RecordDiff]]struct{}
}

func newRecordStore(channel string, host storeHost) *recordStore {
	s := &recordStore{host: host, channel: channel, collections: map[string]*kept{}, outbox: newOutbox()}
	s.sender = &sender{s: s, onTheWay: map[uint64]int{}}
	return s
}

// names of the collections that somebody has asked for.
func (s *recordStore) names() []string {
	return append([]string{}, slices.Sorted(maps.Keys(s.collections))...)
}

// loaded are the names of the collections that are held at the channel's position:
// a resumed join brings only what changed in them since. The others are loaded
// whole. It is never nil, which would mean all.
func (s *recordStore) loaded() []string {
	return slices.DeleteFunc(s.names(), func(name string) bool { return !s.collections[name].base.loaded })
}

// keep returns a collection, and asks for it when nobody has.
func (s *recordStore) keep(name string) *kept {
	k := s.collections[name]
	if k == nil {
		k = &kept{name: name, own: ownFields{}, diffs: map[*Stream[RecordDiff]]struct{}{}}
		k.view = view{s: s, k: k, shown: map[string]*Record{}}
		s.collections[name] = k
		s.host.rejoinSoon()
	}
	return k
}

// ---- what the server says, in the order in which a channel hears it

func (s *recordStore) onRecords(p recordsPage) {
	if k := s.collections[p.collection]; k != nil {
		k.base.stage(p)
	}
}

func (s *recordStore) onChange(c *protocol.Change) {
	s.seen = max(s.seen, c.Offset)
	k := s.collections[c.Collection]
	var before, after *protocol.Record
	if k != nil && c.Status == protocol.StatusApplied {
		if before, after = k.base.apply(c); after != nil {
			s.clock.receive(newestStamp(after).Time())
			k.tellChange(s.host.logEpoch(), c, after)
		}
	}
	if e := s.entryOf(c); e != nil {
		s.settleBy(e, outcomeOfChange(c), c.Lost, before)
	} else if k != nil {
		k.view.refresh(c.Record)
		if after != nil {
			s.conflicts(c.Collection, k.own.overriddenBy(c, before, after))
		}
	}
	// What was answered for a place up to here has no change of its own to wait for.
	for _, e := range slices.Clone(s.outbox.frozen) {
		if e.frozen != nil && e.frozen.answer != nil && e.frozen.answer.Offset <= c.Offset {
			s.settleByAnswer(e)
		}
	}
	s.sender.send()
}

// onSynced hears that the catch-up is over: it settles, sends again what is above
// last, then what waits.
func (s *recordStore) onSynced(synced *protocol.Synced) {
	s.seen = synced.Offset
	for _, k := range s.collections {
		s.clock.receive(k.base.newestTime())
		wasLoaded := k.base.loaded
		touched, whole := k.base.commit()
		for id := range touched {
			k.view.refresh(id)
		}
		if whole || len(touched) > 0 {
			k.tellLoaded(s.host.logEpoch(), touched)
		}
		if !wasLoaded && k.base.loaded {
			k.view.changed.ring()
		}
	}
	for i := range synced.Outcomes {
		o := &synced.Outcomes[i]
		if e := s.outbox.byNumber(o.N); e != nil {
			s.settleBy(e, outcomeOf(o), o.Lost, nil)
		}
	}
	s.sender.goLive(synced.Last)
}

func (s *recordStore) onDown() { s.sender.stop() }

// onClosed hears that the channel was refused or closed for good: writes settle as
// rejected with this error, or as unknown.
func (s *recordStore) onClosed(why *Error) {
	s.onDown()
	if why != nil {
		s.settleAll(rejectedBy(why))
	} else {
		s.settleAll(Outcome{Status: Unknown})
	}
	for _, k := range s.collections {
		k.view.changed.ring()
	}
}

// entryOf is the unsettled write that a change tells about.
func (s *recordStore) entryOf(c *protocol.Change) *entry {
	if c.Client != s.host.client() {
		return nil
	}
	e := s.outbox.byNumber(c.N)
	if e == nil || c.ID == "" || c.ID == e.write.ID {
		return e
	}
	// The number was used by an earlier membership, whose frame came late. This write
	// is not in the log.
	s.sender.forget(c.N)
	s.outbox.takeBack(e)
	return nil
}

// onAnswer hears the server's answer. It settles a write when the stream is past
// its place: then its change has been seen, or is in the records, or will not be
// sent. Before that, the records would not show what the answer says.
func (s *recordStore) onAnswer(e *entry, answer *protocol.Outcome) {
	e.frozen.answer = answer
	upTo := s.collections[e.write.Collection].base.upTo
	if answer.Status != protocol.StatusUnknown && answer.Offset > max(s.seen, s.host.seenOffset(), upTo) {
		return
	}
	s.settleByAnswer(e)
	s.sender.send()
}

func (s *recordStore) settleByAnswer(e *entry) {
	s.settleBy(e, outcomeOf(e.frozen.answer), e.frozen.answer.Lost, nil)
}

func (s *recordStore) settleBy(e *entry, o Outcome, lost []string, before *protocol.Record) {
	w, k := e.write, s.collections[e.write.Collection]
	if o.Offset > 0 {
		o.Epoch = s.host.logEpoch()
	}
	rec := k.base.records[w.Record]
	if o.Status == Applied && rec != nil {
		k.own.note(rec, w, o.Offset, s.host.client())
	}
	s.settle(e, o)
	if o.Status == Superseded {
		lost = slices.Sorted(maps.Keys(w.values))
	}
	if before == nil {
		before = rec
	}
	s.conflicts(w.Collection, lostBy(w, lost, before, s.host.author()))
	// Everything of this client in the log has been heard, so its clock need not be
	// ahead of that.
	if s.outbox.size() == 0 && o.Status != Unknown {
		s.clock.setBack()
	}
}

func (s *recordStore) settle(e *entry, o Outcome) {
	if e.frozen != nil {
		s.sender.forget(e.frozen.n)
	}
	s.outbox.remove(e)
	s.finish(e, o)
}

// finish tells what became of a write that is out of the outbox.
func (s *recordStore) finish(e *entry, o Outcome) {
	s.collections[e.write.Collection].view.refresh(e.write.Record)
	e.outcome = o
	close(e.done)
	s.report(e.write, o)
	s.host.settled()
}

func (s *recordStore) settleAll(o Outcome) {
	for _, e := range s.outbox.takeAll() {
		s.finish(e, o)
	}
}

// report tells of a write that came to nothing. A patch that lost to a newer one is
// a conflict, and no failure.
func (s *recordStore) report(w *write, o Outcome) {
	switch {
	case o.Status == Applied, o.Status == Noop, o.Status == Superseded && w.Op == protocol.OpPatch:
		return
	}
	s.host.emit(&Failure{Channel: s.channel, Collection: w.Collection, Record: w.Record, Op: w.Op, Outcome: o, Values: w.values})
}

func (s *recordStore) conflicts(collection string, list []*Conflict) {
	for _, c := range list {
		c.Channel, c.Collection = s.channel, collection
		s.host.emit(c)
	}
}

// ---- what the program writes

func (s *recordStore) write(collection string, op protocol.Op, record string, id string, values any, ifVersion *uint64) (*entry, error) {
	k := s.keep(collection)
	if s.outbox.size() >= maxPending {
		return nil, ErrQueueFull
	}
	visible := k.view.record(record)
	w := &write{time: s.host.serverNow()}
	w.ID, w.Op, w.Collection, w.Record, w.IfVersion = id, op, collection, record, ifVersion
	if err := w.setContent(values, visible); err != nil {
		return nil, err
	}
	w.At, w.Base = s.clock.tick(w.time), s.host.seenOffset()
	switch fault := s.sizeFault(w, visible); {
	case op == protocol.OpPatch && w.isEmpty() && isAlive(visible):
		return settledEntry(w, Outcome{Status: Noop, Offset: visible.Version}), nil
	case fault != nil:
		s.report(w, *fault)
		return settledEntry(w, *fault), nil
	}
	e := s.outbox.add(w)
	k.view.refresh(record)
	s.sender.send()
	return e, nil
}

// settledEntry is a write that is not even sent.
func settledEntry(w *write, o Outcome) *entry {
	e := newEntry(w)
	e.outcome = o
	close(e.done)
	return e
}

func isAlive(rec *protocol.Record) bool { return rec != nil && rec.Deleted == "" }

// sizeFault is what the server would say of the size, without sending it there.
func (s *recordStore) sizeFault(w *write, visible *protocol.Record) *Outcome {
	b := s.host.bounds()
	allowed := min(b.record, b.frame) - recordMargin
	next, _ := protocol.Reduce(visible, &w.Mutation, s.stampOf(w), w.time, s.host.author())
	size := 0
	for _, part := range []any{w.Mutation, next} {
		raw, err := marshal(part)
		if err != nil {
			continue // a sum beyond what a number can hold: the server says so
		}
		size = max(size, len(raw))
	}
	if size <= allowed {
		return nil
	}
	o := rejectedBy(&Error{Code: protocol.CodeRecordTooLarge, Message: fmt.Sprintf("the record would have %d bytes; %d are allowed", size, allowed)})
	return &o
}

func (s *recordStore) stampOf(w *write) protocol.Stamp {
	return protocol.MakeStamp(w.At, s.host.client())
}

// ---- what is shown

// A view is what a program sees of a collection. Only records that were touched are
// computed anew.
type view struct {
	s       *recordStore
	k       *kept
	shown   map[string]*Record
	list    []*Record // shown, ordered by id; nil when it has to be made anew
	changed bell
}

// record is a record as it is visible, with its stamps; also when it is deleted.
func (v *view) record(id string) *protocol.Record {
	rec := v.k.base.records[id]
	for _, e := range v.s.outbox.of(v.k.name, id) {
		rec, _ = protocol.Reduce(rec, &e.write.Mutation, v.s.stampOf(e.write), e.write.time, v.s.host.author())
	}
	return rec
}

// refresh computes a record anew.
func (v *view) refresh(id string) {
	rec := v.record(id)
	if !isAlive(rec) {
		delete(v.shown, id)
	} else {
		v.shown[id] = recordOf(rec, len(v.s.outbox.of(v.k.name, id)))
	}
	v.list = nil
	v.changed.ring()
}

func (v *view) snapshot() Snapshot {
	if v.list == nil {
		v.list = make([]*Record, 0, len(v.shown))
		for _, id := range slices.Sorted(maps.Keys(v.shown)) {
			v.list = append(v.list, v.shown[id])
		}
	}
	return Snapshot{Records: v.list, Loaded: v.k.base.loaded}
}
