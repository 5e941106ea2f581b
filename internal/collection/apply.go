package collection

import (
	"context"
	"errors"
	"fmt"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// An application is one call of Apply under way.
type application struct {
	store  *Store
	target Target
	m      *protocol.Mutation
	author Author

	spec      Spec
	fault     *fault // of the mutation itself; the record is not looked at then
	recordKey string // "" with a fault
	id        string // of the entry, see append
	fresh     bool   // the client's row is not older than this application
}

// queue makes further attempts, in turn with others of this node whose record
// has moved. It returns errMoved when it gives up.
func (a *application) queue(ctx context.Context) (outcome protocol.Outcome, refused *protocol.Error, err error) {
	leave, err := a.store.gate.enter(ctx, a.target.Channel, a.recordKey)
	if err != nil {
		return outcome, nil, err
	}
	defer leave()
	for range maxAttempts - 1 {
		outcome, refused, err = a.attempt(ctx)
		if !errors.Is(err, errMoved) {
			break
		}
	}
	return outcome, refused, err
}

// attempt reads, decides and appends once. refused ends the call and consumed
// nothing; errMoved asks for another attempt.
func (a *application) attempt(ctx context.Context) (outcome protocol.Outcome, refused *protocol.Error, err error) {
	row, rowVersion, err := a.store.loadRow(ctx, a.target.Channel, a.m.Client)
	if err != nil {
		return outcome, nil, err
	}
	if refused = admitTurn(row, a.m.N, a.author.Subject); refused != nil && !a.fresh {
		// A node that lags behind may not have heard of the one before: a client that
		// is refused wrongly takes a new id, and does again what is done.
		if row, rowVersion, err = a.freshRow(ctx); err != nil {
			return outcome, nil, err
		}
		refused = admitTurn(row, a.m.N, a.author.Subject)
	}
	if refused != nil {
		return outcome, refused, nil
	}
	if a.m.N <= row.last {
		outcome, err = row.repeat(a.m.N, rowVersion)
		return outcome, nil, err
	}
	row.owner = a.author.Subject

	now := a.store.opts.Clock().UnixMilli()
	var rec *protocol.Record
	var d decision
	if a.fault != nil {
		d = rejected(refusedChange(a.m, now, a.author.Subject), a.fault, nil)
	} else {
		if rec, err = a.store.loadRecord(ctx, a.target.Channel, a.recordKey); err != nil {
			return outcome, nil, err
		}
		d = decide(a.spec, rec, a.m, now, a.author.Subject)
		if a.spec.Hidden && d.next == nil {
			d.change.State = nil
		}
	}
	write, err := a.write(d, row, rowVersion, versionOf(rec))
	if err != nil {
		return outcome, nil, err
	}
	receipt, err := a.append(ctx, write)
	if err != nil {
		return outcome, nil, err
	}
	outcome = outcomeOf(&d.change)
	outcome.Offset = receipt.Position.Offset
	if d.next != nil {
		d.next.Version = receipt.Position.Offset
		a.store.cache.put(a.target.Channel, a.recordKey, d.encoded, d.next)
	}
	if d.change.Status != protocol.StatusApplied {
		outcome.State = d.change.State
	}
	return outcome, nil, nil
}

// freshRow reads the client's row as it is on whichever node (E9).
func (a *application) freshRow(ctx context.Context) (clientRow, uint64, error) {
	if _, err := a.store.eng.Head(ctx, a.target.Channel); err != nil {
		return clientRow{}, 0, fmt.Errorf("head: %w", err)
	}
	a.fresh = true
	return a.store.loadRow(ctx, a.target.Channel, a.m.Client)
}

// admitTurn refuses a mutation whose turn it is not (M1). It lets repeats pass.
func admitTurn(row clientRow, n uint64, subject string) *protocol.Error {
	switch {
	case row.last == 0 && n != 1:
		return &protocol.Error{Code: protocol.CodeClientUnknown, Message: "this channel does not know the client id; take a new one"}
	case row.last > 0 && row.owner != subject:
		return forbiddenClient()
	case n > row.last+1:
		return &protocol.Error{Code: protocol.CodeOutOfOrder, Retryable: true, Expect: row.last + 1,
			Message: fmt.Sprintf("mutation %d is due, not %d", row.last+1, n)}
	}
	return nil
}

func forbiddenClient() *protocol.Error {
	return &protocol.Error{Code: protocol.CodeForbiddenClient, Message: "the client id belongs to another user"}
}

// refusedChange is the change of a mutation that is not well-formed: what it
// says of itself, cut to what a well-formed one could have said.
func refusedChange(m *protocol.Mutation, now int64, by string) protocol.Change {
	return protocol.Change{
		Collection: cut(m.Collection, protocol.MaxIDBytes), Record: cut(m.Record, protocol.MaxIDBytes),
		Op: protocol.Op(cut(string(m.Op), protocol.MaxIDBytes)), Client: m.Client, N: m.N, ID: cut(m.ID, protocol.MaxIDBytes),
		By: by, Time: now, Base: m.Base,
	}
}

// outcomeOf is a change reduced to what its author must know. Its offset is not
// known yet, and its state is nobody's to keep.
func outcomeOf(change *protocol.Change) protocol.Outcome {
	return protocol.Outcome{N: change.N, Status: change.Status, Lost: change.Lost, Error: change.Error}
}

// write makes the one entry that a decision is.
func (a *application) write(d decision, row clientRow, rowVersion, recordVersion uint64) (engine.Write, error) {
	state := []byte(nil)
	switch rec := d.change.State; {
	case rec == nil:
	case d.next != nil:
		state = d.encoded
	default:
		if encoded := appendRecord(nil, rec); len(encoded) <= maxEchoed {
			state = protocol.StoredRecord{Version: rec.Version, Data: encoded}.Append(nil)
		}
	}
	data, err := encodeChange(&d.change, state)
	if err != nil {
		return engine.Write{}, err
	}
	w := engine.Write{
		Kind: engine.KindChange, ID: a.id, Origin: a.author.Origin, Data: data,
		Durability: a.target.Durability, Retention: a.target.Retention,
		// A tombstone, so that the rows of tabs long closed do not stay for ever.
		Puts: []engine.Put{{Key: rowKey(a.m.Client), Data: row.with(outcomeOf(&d.change), rowVersion), Tombstone: true}},
		If:   []engine.Condition{{Key: rowKey(a.m.Client), Version: rowVersion}},
	}
	if a.recordKey != "" {
		w.If = append(w.If, engine.Condition{Key: a.recordKey, Version: recordVersion})
	}
	if d.next != nil {
		w.Puts = append(w.Puts, engine.Put{Key: a.recordKey, Data: d.encoded, Tombstone: d.next.Deleted != ""})
	}
	return w, nil
}

// append appends the entry, or says errMoved.
//
// The id "<client>:<n>" lets the engine find a repeat by itself. It is the row's
// condition that makes the effect exactly-once, though: entries of broadcasts
// have ids of their authors' choice, so that a stranger can take ours. When the
// engine knows the id and the row has not moved, the next attempt goes without.
func (a *application) append(ctx context.Context, w engine.Write) (engine.Receipt, error) {
	receipt, err := a.store.eng.Append(ctx, a.target.Channel, w)
	var conflict *engine.ConflictError
	switch {
	case errors.As(err, &conflict):
		return receipt, errMoved
	case err != nil:
		return receipt, fmt.Errorf("append %s: %w", entryID(a.m), err)
	case receipt.Duplicate:
		a.id = ""
		return receipt, errMoved
	}
	return receipt, nil
}
