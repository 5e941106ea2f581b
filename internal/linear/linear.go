package linear

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/chorale-rt/chorale/protocol"
)

// Operation is what a client asked of one record, and what it was answered.
type Operation struct {
	Record    string
	Call, End int64 // instants on one clock; what was asked at the End of another comes after it

	// Of a read, which is answered with Current.
	Read bool

	// Of a mutation.
	IfVersion *uint64
	Status    protocol.Status
	Conflict  bool   // rejected with version_conflict
	Offset    uint64 // of the outcome's entry: the record's version when it was applied

	// Current is the record's version that came with the answer; 0 when there is
	// no record, or none came. Of a read it is never left out.
	Current uint64
}

// searchFor bounds the search through the orders of one record's history.
const searchFor = 30 * time.Second

// Check returns an error that names the first record whose history has no
// linearization, or could not be judged in time.
func Check(operations []Operation) error {
	byRecord := make(map[string][]porcupine.Operation)
	for _, op := range operations {
		byRecord[op.Record] = append(byRecord[op.Record], porcupine.Operation{Input: op, Output: op, Call: op.Call, Return: op.End})
	}
	for _, record := range slices.Sorted(maps.Keys(byRecord)) {
		history := byRecord[record]
		switch porcupine.CheckOperationsTimeout(model, history, searchFor) {
		case porcupine.Illegal:
			return fmt.Errorf("record %s: no order of its %d operations explains their answers", record, len(history))
		case porcupine.Unknown:
			return fmt.Errorf("record %s: %d operations could not be ordered within %s", record, len(history), searchFor)
		}
	}
	return nil
}

// model is one record: all that a condition can see of it is its version.
var model = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, _ any) (bool, any) {
		version, op := state.(uint64), input.(Operation)
		return op.possible(version), op.next(version)
	},
}

// possible says whether a record at this version can have answered so.
func (op *Operation) possible(version uint64) bool {
	met := op.IfVersion == nil || *op.IfVersion == version
	seen := op.Current == 0 || op.Current == version
	switch {
	case op.Read:
		return op.Current == version
	case op.Conflict:
		return !met && seen
	case op.Status == protocol.StatusApplied:
		return met && op.Offset > version
	case op.Status == protocol.StatusExists:
		return met && seen && version > 0
	case op.Status == protocol.StatusRejected:
		return seen // by a schema or a rule, whatever the version
	}
	return met && seen
}

func (op *Operation) next(version uint64) uint64 {
	if !op.Read && op.Status == protocol.StatusApplied {
		return op.Offset
	}
	return version
}

// A Recorder notes a history as it happens. The zero Recorder is empty.
type Recorder struct {
	clock atomic.Int64

	mu         sync.Mutex // guards the following
	operations []Operation
}

// Now is an instant, unlike any other.
func (r *Recorder) Now() int64 { return r.clock.Add(1) }

// Add notes an operation that has ended, and when.
func (r *Recorder) Add(op Operation) {
	op.End = r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, op)
}

// Operations returns what was noted so far.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.operations)
}

// Mutated is the operation of a mutation that was asked at an instant and has
// this outcome.
func Mutated(m *protocol.Mutation, call int64, o protocol.Outcome) Operation {
	op := Operation{Record: m.Record, Call: call, IfVersion: m.IfVersion, Status: o.Status, Offset: o.Offset}
	op.Conflict = o.Error != nil && o.Error.Code == protocol.CodeVersionConflict
	if o.State != nil {
		op.Current = o.State.Version
	}
	return op
}
