package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/protocol"
)

// A write is one of the simple forms on its way: PUT, PATCH or DELETE of a
// record by somebody who keeps no client id, counter or clock.
//
// It takes as many mutations of its client as it needs, mostly one. A PUT does
// not know whether the record is there: it looks, and when that has changed
// before its mutation was decided, the next one tries again. A repeat under the
// same key walks the same numbers and finds the same outcomes.
type write struct {
	api    *API
	at     place
	target collection.Target
	record string
	client string
	method string
	value  map[string]json.RawMessage
	when   *uint64 // ifVersion
}

// maxTries bounds the mutations of one write. More than a few mean that somebody
// deletes and restores the record without end.
const maxTries = 8

// written is what became of a write.
type written struct {
	ID        string          `json:"id"`
	Status    protocol.Status `json:"status"` // applied, or noop: it was so already
	Offset    uint64          `json:"offset"` // of the change in the channel's log; the record's version when applied
	Lost      []string        `json:"lost,omitempty"`
	Duplicate bool            `json:"duplicate"`
}

func (a *API) putRecord(r *request) (answer, *problem)    { return a.writeRecord(r) }
func (a *API) patchRecord(r *request) (answer, *problem)  { return a.writeRecord(r) }
func (a *API) deleteRecord(r *request) (answer, *problem) { return a.writeRecord(r) }

func (a *API) writeRecord(r *request) (answer, *problem) {
	w, refused := a.newWrite(r)
	if refused != nil {
		return answer{}, refused
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxKeyBytes {
		return answer{}, unreadable("", "Idempotency-Key is longer than %d bytes", maxKeyBytes)
	}
	if key != "" {
		w.client = a.authors.keyed(r.identity, key)
		return w.run(r, r.Context(), 1)
	}
	w.client = a.authors.shared(r.identity)
	leave, err := a.authors.turn(r.Context(), w.at.channel.Log(), w.client)
	if err != nil {
		return answer{}, a.engineProblem("write record", err)
	}
	defer leave()
	// Not given up half-way: whether a number was consumed must be known before
	// the next write takes it.
	ctx := context.WithoutCancel(r.Context())
	if _, err := a.opts.Engine.Head(ctx, w.at.channel.Log()); err != nil { // E9: also one whose answer was lost
		return answer{}, a.engineProblem("write record", err)
	}
	last, _, fault := a.opts.Collections.Client(ctx, w.at.channel.Log(), w.client, r.identity.Subject)
	if fault != nil {
		return answer{}, refuse(fault)
	}
	return w.run(r, ctx, last+1)
}

// newWrite reads a request up to what is to be written.
func (a *API) newWrite(r *request) (*write, *problem) {
	at, refused := a.enterCollection(r)
	if refused != nil {
		return nil, refused
	}
	w := &write{api: a, at: at, target: at.policy.Target(r.identity), record: r.PathValue("id"), method: r.Method}
	if w.when, refused = precondition(r); refused != nil {
		return nil, refused
	}
	if r.Method != http.MethodDelete {
		w.value, refused = decode[map[string]json.RawMessage](r, maxRecordBody)
		if refused == nil && w.value == nil {
			refused = unreadable("", "The body must be an object: the record's names and values")
		}
	}
	if refused == nil {
		refused = a.writes(r, at.policy, at.channel, 1, int(max(r.ContentLength, 0)))
	}
	return w, refused
}

// precondition reads If-Match: "<version>" and If-None-Match: *.
func precondition(r *request) (*uint64, *problem) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case match == "" && none == "":
		return nil, nil
	case match == "" && none == "*":
		return new(uint64), nil
	case none == "":
		if version, ok := parseOffset(match); ok {
			return &version, nil
		}
	}
	return nil, unreadable("", `Give one of If-Match: "<version>" and If-None-Match: *`)
}

// run applies mutations of the client, from number n, until one settles the write.
func (w *write) run(r *request, ctx context.Context, n uint64) (answer, *problem) {
	for end := n + maxTries; ; n++ {
		current, err := w.api.opts.Collections.Record(ctx, w.at.channel.Log(), w.at.collection, w.record)
		if err != nil {
			return answer{}, w.api.engineProblem("write record", err)
		}
		m, fault := w.mutation(current, n)
		if fault != nil {
			return answer{}, refuse(fault)
		}
		outcome, fault := w.api.opts.Collections.Apply(ctx, w.target, &m, author(r.identity))
		if fault != nil {
			return answer{}, refuse(fault)
		}
		if n+1 < end && w.overtaken(m.Op, outcome) {
			continue
		}
		return w.settled(m.Op, outcome)
	}
}

// mutation is what brings the record from how it is to how it is wanted.
func (w *write) mutation(current *protocol.Record, n uint64) (protocol.Mutation, *protocol.Error) {
	content, fault := w.target.Specs[w.at.collection].ReadPlain(w.value, current)
	m := protocol.Mutation{
		Client: w.client, N: n, At: after(current, w.api.opts.Now().UnixMilli()),
		Collection: w.at.collection, Record: w.record,
		Fields: content.Fields, Sets: content.Sets, Counters: content.Counters, IfVersion: w.when,
	}
	if current != nil {
		m.Base = current.Version
	}
	switch {
	case w.method == http.MethodDelete:
		m.Op = protocol.OpDelete
	case w.method == http.MethodPatch:
		m.Op = protocol.OpPatch
	case current == nil:
		m.Op = protocol.OpPut
	case current.Deleted != "":
		m.Op = protocol.OpRestore
	default:
		m.Op = protocol.OpPatch
	}
	return m, fault
}

// overtaken says whether somebody else's write came between the look at the
// record and the decision, so that another look decides otherwise. A repeat
// cannot tell which op its first sending chose, and looks again when in doubt.
func (w *write) overtaken(op protocol.Op, o protocol.Outcome) bool {
	switch o.Status {
	case protocol.StatusSuperseded:
		return true
	case protocol.StatusExists, protocol.StatusGone:
		return w.method == http.MethodPut
	case protocol.StatusNoop:
		return w.method == http.MethodPut && (op == protocol.OpRestore || o.Duplicate)
	}
	return false
}

// settled answers for the outcome that ends the write.
func (w *write) settled(op protocol.Op, o protocol.Outcome) (answer, *problem) {
	switch o.Status {
	case protocol.StatusApplied, protocol.StatusNoop:
	case protocol.StatusSuperseded:
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeOverloaded, Retryable: true, RetryAfterMs: 500,
			Message: "Too many write this record at once; try again"})
	case protocol.StatusUnknown: // its outcome was forgotten before the row was
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeInternal, Message: "What became of this key is no longer known; read the record"})
	default:
		p := refuse(o.Error)
		p.Record = o.State // nil for who may not read
		return answer{}, p
	}
	got := answer{status: http.StatusOK, replayed: o.Duplicate,
		body: written{ID: w.record, Status: o.Status, Offset: o.Offset, Lost: o.Lost, Duplicate: o.Duplicate}}
	if o.Status == protocol.StatusApplied && !o.Duplicate {
		if op == protocol.OpPut {
			got.status = http.StatusCreated
		}
		if op != protocol.OpDelete {
			got.etag = strconv.FormatUint(o.Offset, 10)
		}
	}
	return got, nil
}

// after is a time at which a write that has seen the record is newer than
// everything in it (M2): now, or right behind the newest stamp when its author's
// clock is ahead.
func after(record *protocol.Record, nowMillis int64) string {
	now := protocol.FormatTime(nowMillis, 0)
	newest := newestTime(record)
	if newest < now {
		return now
	}
	counter, err := strconv.ParseUint(newest[12:], 16, 16)
	if err != nil || counter == 0xffff {
		return protocol.FormatTime(protocol.TimeMillis(newest)+1, 0)
	}
	return protocol.FormatTime(protocol.TimeMillis(newest), uint16(counter)+1)
}

// newestTime is the time of a record's newest stamp; "" without one.
func newestTime(record *protocol.Record) string {
	if record == nil {
		return ""
	}
	newest := record.Deleted.Time()
	for _, stamp := range record.Stamps {
		newest = max(newest, stamp.Time())
	}
	for _, elements := range record.SetStamps {
		for _, signed := range elements {
			newest = max(newest, protocol.Stamp(signed[1:]).Time())
		}
	}
	return newest
}
