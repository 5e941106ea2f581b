package client

import (
	"context"
	"fmt"

	"github.com/chorale-rt/chorale/protocol"
)

// How a write ended, in the words of docs/protocol.md, section 7.
const (
	Applied    = protocol.StatusApplied
	Noop       = protocol.StatusNoop       // nothing to change
	Superseded = protocol.StatusSuperseded // all of it was written by somebody newer
	Exists     = protocol.StatusExists     // put of a known id
	Gone       = protocol.StatusGone       // patch of a record that is deleted or was never there
	Rejected   = protocol.StatusRejected   // refused; Err says why
	Unknown    = protocol.StatusUnknown    // applied or not, nobody can say any more
)

// Outcome is what became of a write. A refusal is data like any other end.
type Outcome struct {
	Status protocol.Status
	Epoch  string   // of the channel's log; "" when it has no entry there
	Offset uint64   // of its entry; 0 when it has none
	Lost   []string // fields and sets of which something lost to a newer write
	Err    *Error   // why; nil unless Status is Exists, Gone or Rejected
	// Current is the record as the server has it, where that helps.
	Current *Record
}

// AsError is the outcome as an error, for programs that want a write done or
// nothing: nil when the status is Applied or Noop.
func (o *Outcome) AsError() error {
	switch o.Status {
	case Applied, Noop:
		return nil
	}
	if o.Err != nil {
		return o.Err
	}
	return &Error{Code: string(o.Status), Message: "the write was not applied"}
}

func rejectedBy(e *Error) Outcome { return Outcome{Status: Rejected, Err: e} }

func outcomeOf(o *protocol.Outcome) Outcome {
	return makeOutcome(o.Status, o.Offset, o.Lost, o.Error, o.State)
}

// outcomeOfChange is what a change says of its own mutation.
func outcomeOfChange(c *protocol.Change) Outcome {
	state := c.State
	if c.Status == protocol.StatusApplied {
		state = nil // what it made, and not what stood in its way
	}
	return makeOutcome(c.Status, c.Offset, c.Lost, c.Error, state)
}

func makeOutcome(s protocol.Status, offset uint64, lost []string, e *protocol.Error, state *protocol.Record) Outcome {
	o := Outcome{Status: s, Offset: offset, Lost: lost, Err: refusal(e)}
	if state != nil {
		o.Current = recordOf(state, 0)
	}
	return o
}

// Mutation is a write that was made. It is shown already; what becomes of it is
// known when it settles. Several patches of one record that were not sent yet may
// be one Mutation.
type Mutation struct {
	ID     string // the same however often it is sent
	Record string

	e *entry
}

// Settled is closed when the outcome is known and the collection shows it.
func (m *Mutation) Settled() <-chan struct{} { return m.e.done }

// Outcome is the outcome of a mutation that has settled; before that its status is
// "".
func (m *Mutation) Outcome() Outcome {
	select {
	case <-m.e.done:
		return m.e.outcome
	default:
		return Outcome{}
	}
}

// Wait waits until the mutation has settled, and returns its outcome. The only
// error is ctx's; the mutation goes on.
func (m *Mutation) Wait(ctx context.Context) (Outcome, error) {
	select {
	case <-m.e.done:
		return m.e.outcome, nil
	case <-ctx.Done():
		return Outcome{}, fmt.Errorf("mutation %s has not settled: %w", m.ID, context.Cause(ctx))
	}
}
