package sim

import (
	"math"

	"github.com/chorale-rt/chorale/internal/linear"
	"github.com/chorale-rt/chorale/protocol"
)

// asked is a mutation whose author does not know what became of it.
type asked struct {
	mutation *protocol.Mutation
	step     int
}

// asks notes that somebody makes a mutation.
func (w *World) asks(m *protocol.Mutation) {
	w.asked[numbered(m.Client, m.N)] = asked{m, w.steps}
}

// answered notes that its author knows what became of it.
func (w *World) answered(m *protocol.Mutation, o protocol.Outcome) {
	key := numbered(m.Client, m.N)
	a, waits := w.asked[key]
	if !waits {
		return
	}
	delete(w.asked, key)
	op := linear.Mutated(m, 2*int64(a.step)-1, o)
	op.End = 2 * int64(w.steps)
	w.history = append(w.history, op)
}

// lastHistory adds what is in the log though nobody waits for the answer any more.
func (w *World) lastHistory() []linear.Operation {
	out := w.history
	log := w.truth.last[room.Log()]
	if log == nil {
		return out
	}
	for _, key := range sortedKeys(w.asked) {
		a := w.asked[key]
		o, taken := log.outcomes[key]
		if !taken {
			continue
		}
		out = append(out, linear.Operation{
			Record: o.record, Call: 2*int64(a.step) - 1, End: math.MaxInt64, IfVersion: a.mutation.IfVersion,
			Status: o.status, Conflict: o.conflict, Offset: o.offset,
		})
	}
	return out
}
