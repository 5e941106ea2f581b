package client

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	// mutationWindow is how many writes may be on their way at once. More would
	// only wait in the server's queue.
	mutationWindow = 16
	// maxPending is how many writes may wait in one channel: hours of typing, and
	// no more than some MB.
	maxPending = 10_000
)

// An entry is a write that has not settled.
type entry struct {
	// write is replaced when a later one is squashed into it, which happens only
	// before it was ever sent.
	write   *write
	frozen  *frozen // its number and its bytes, once it may have been sent
	wasSent bool    // under this client id or an earlier one: its content stays

	done    chan struct{} // closed when outcome is there
	outcome Outcome
}

type frozen struct {
	n      uint64
	bytes  []byte
	answer *protocol.Outcome // the server's, when it came before the stream was as far
}

func newEntry(w *write) *entry { return &entry{write: w, done: make(chan struct{})} }

type recordKey struct{ collection, record string }

// An outbox is what this client hopes: its unsettled writes to one channel, in the
// order in which they were made. It is guarded by Client.mu.
//
// A write waits, is frozen, and is settled. Freezing gives it the next number and
// its bytes, and from then on that number means those bytes: whether the server
// had them or not, sending them again does no harm (M1, R4). Numbers are given
// anew only under a new client id.
type outbox struct {
	frozen   []*entry // in the order of n
	waiting  []*entry
	byRecord map[recordKey][]*entry
	next     uint64
}

func newOutbox() *outbox { return &outbox{byRecord: map[recordKey][]*entry{}, next: 1} }

func (o *outbox) size() int { return len(o.frozen) + len(o.waiting) }

// of are the unsettled writes to a record, oldest first.
func (o *outbox) of(collection, record string) []*entry {
	return o.byRecord[recordKey{collection, record}]
}

// add takes a write: into the record's newest entry where nobody can tell the
// difference, else as an entry of its own.
func (o *outbox) add(w *write) *entry {
	key := recordKey{w.Collection, w.Record}
	others := o.byRecord[key]
	if len(others) > 0 {
		if newest := others[len(others)-1]; maySquash(newest, w) {
			newest.write = squash(newest.write, w)
			return newest
		}
	}
	e := newEntry(w)
	o.waiting = append(o.waiting, e)
	o.byRecord[key] = append(others, e)
	return e
}

// maySquash: only what was never sent, only patches, and only when the newer one
// writes all of the older one again.
func maySquash(older *entry, newer *write) bool {
	if older.wasSent || !older.write.isPlainPatch() || !newer.isPlainPatch() || !newer.covers(older.write) {
		return false
	}
	for name, by := range newer.Counters {
		if math.IsInf(by+older.write.Counters[name], 0) {
			return false // JSON has no word for it
		}
	}
	return true
}

// freeze freezes as many waiting writes as the window has room for.
func (o *outbox) freeze(client string) {
	for len(o.waiting) > 0 && len(o.frozen) < mutationWindow {
		e := o.waiting[0]
		o.waiting = o.waiting[1:]
		e.frozen = &frozen{n: o.next, bytes: e.write.encode(client, o.next)}
		e.wasSent = true
		o.next++
		o.frozen = append(o.frozen, e)
	}
}

func (o *outbox) byNumber(n uint64) *entry {
	for _, e := range o.frozen {
		if e.frozen.n == n {
			return e
		}
	}
	return nil
}

// remove takes a settled entry out.
func (o *outbox) remove(e *entry) {
	is := func(other *entry) bool { return other == e }
	if e.frozen != nil {
		o.frozen = slices.DeleteFunc(o.frozen, is)
	} else {
		o.waiting = slices.DeleteFunc(o.waiting, is)
	}
	key := recordKey{e.write.Collection, e.write.Record}
	others := slices.DeleteFunc(slices.Clone(o.byRecord[key]), is)
	if len(others) > 0 {
		o.byRecord[key] = others
	} else {
		delete(o.byRecord, key)
	}
}

// takeBack takes one number back: the server has used it for something else. The
// write waits again, before all that wait.
func (o *outbox) takeBack(e *entry) {
	o.frozen = slices.DeleteFunc(o.frozen, func(other *entry) bool { return other == e })
	e.frozen = nil
	o.waiting = slices.Insert(slices.Clone(o.waiting), 0, e)
}

// takeAll takes all entries out, oldest first. Their numbers stay given.
func (o *outbox) takeAll() []*entry {
	all := slices.Concat(o.frozen, o.waiting)
	o.frozen, o.waiting = nil, nil
	clear(o.byRecord)
	return all
}

// continueAfter hears that the server's log ends at number last of this client. It
// is false when that does not fit the numbers that were given: then the log has
// lost some, and only a new client id helps.
func (o *outbox) continueAfter(last uint64) bool {
	expected := o.next
	if len(o.frozen) > 0 {
		expected = o.frozen[0].frozen.n
	} else if last >= o.next {
		// More than was given here: an earlier membership had the same client id.
		o.next = last + 1
	}
	return expected <= last+1
}

// renumber takes all numbers back. Writes keep their order, their ids and their
// bytes but for client and number.
func (o *outbox) renumber() {
	for _, e := range o.frozen {
		e.frozen = nil
	}
	o.waiting = slices.Concat(o.frozen, o.waiting)
	o.frozen, o.next = nil, 1
}

// A write is one write of this client, as it was made: a mutation, but for the
// client and the number that it gets when it is frozen.
type write struct {
	protocol.Mutation
	time int64 // when it was made, Unix ms
	// values are as the app gave them, to be shown again when the write is refused.
	values map[string]json.RawMessage
}

func (w *write) isPlainPatch() bool { return w.Op == protocol.OpPatch && w.IfVersion == nil }

// covers says whether w writes everything again that older wrote, so that nobody
// would miss older.
func (w *write) covers(older *write) bool {
	for name := range older.Fields {
		if _, ok := w.Fields[name]; !ok {
			return false
		}
	}
	for name := range older.Counters {
		if _, ok := w.Counters[name]; !ok {
			return false
		}
	}
	for name, elements := range older.Sets {
		for element := range elements {
			if _, ok := w.Sets[name][element]; !ok {
				return false
			}
		}
	}
	return true
}

// squash makes one write of two: the newer one under the older one's id, with the
// counters of both.
func squash(older, newer *write) *write {
	w := *newer
	w.ID = older.ID
	w.Counters = make(map[string]float64, len(newer.Counters))
	w.values = make(map[string]json.RawMessage, len(newer.values))
	for name, value := range newer.values {
		w.values[name] = value
	}
	for name, by := range newer.Counters {
		w.Counters[name] = by + older.Counters[name]
		w.values[name] = mustMarshal(Increment(w.Counters[name]))
	}
	return &w
}

// encode is the payload of mutate. Once sent, these bytes stand for their number
// for ever (M1).
func (w *write) encode(client string, n uint64) []byte {
	m := w.Mutation
	m.Client, m.N = client, n
	return mustMarshal(&m)
}
