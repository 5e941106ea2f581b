package chanlog

import "github.com/chorale-rt/chorale/internal/engine"

// Overhead is what an entry, a value or a lease counts besides its bytes, so that
// empty ones cannot fill the memory.
const Overhead = 256

// WriteSize is what a write counts while it waits, and what its entry and its
// values count together as long as they are kept.
func WriteSize(w *engine.Write) int {
	n := Overhead + len(w.Data) + len(w.ID) + len(w.Origin)
	for i := range w.Puts {
		n += len(w.Puts[i].Key) + len(w.Puts[i].Data) + Overhead
	}
	return n
}

// Size is what a record counts.
func (r *Record) Size() int { return Overhead + len(r.Data) + len(r.ID) + len(r.Origin) }

// Size is 0 for the value of a key that has none.
func (v *Value) Size() int {
	if v == nil {
		return 0
	}
	return Overhead + len(v.Key) + len(v.Data)
}

// LeaseSize is what a lease counts.
func LeaseSize(holder string, value []byte) int { return Overhead + len(holder) + len(value) }
