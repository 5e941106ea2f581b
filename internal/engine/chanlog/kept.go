package chanlog

import (
	"math"
	"slices"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Kept holds the records that retention has dropped and that are to stay for a
// while longer (engine.Write.Keep), oldest first. They are older than the
// channel's tail, and there are gaps between them. Not safe for concurrent use.
type Kept struct {
	records []*Record
	bytes   int   // of data
	next    int64 // Unix ms at which the first of them has stayed long enough, at the earliest
}

// Len is the number of records.
func (k *Kept) Len() int { return len(k.records) }

// Records returns them all, oldest first.
func (k *Kept) Records() []*Record { return k.records }

// push adds a record that is newer than those that are there.
func (k *Kept) push(r *Record) {
	if len(k.records) == 0 {
		k.next = math.MaxInt64
	}
	k.records = append(k.records, r)
	k.bytes += len(r.Data)
	k.next = min(k.next, r.Until)
}

// expire takes away what has stayed long enough at the instant now (Unix ms) or
// is too much, and hands it to lose. Usually it does nothing, and is quick.
func (k *Kept) expire(now int64, lose func(*Record)) {
	surplus := len(k.records) - engine.MaxKept
	if len(k.records) == 0 || (now < k.next && surplus <= 0 && k.bytes <= engine.MaxKeptBytes) {
		return
	}
	k.next = math.MaxInt64
	i := -1
	k.records = slices.DeleteFunc(k.records, func(r *Record) bool {
		i++
		if i >= surplus && k.bytes <= engine.MaxKeptBytes && r.Until > now {
			k.next = min(k.next, r.Until)
			return false
		}
		k.bytes -= len(r.Data)
		lose(r)
		return true
	})
}

// after returns the records with offsets above off, oldest first.
func (k *Kept) after(off uint64) []*Record {
	i, _ := slices.BinarySearchFunc(k.records, off+1, func(r *Record, off uint64) int {
		switch {
		case r.Offset < off:
			return -1
		case r.Offset > off:
			return 1
		}
		return 0
	})
	return k.records[i:]
}

// Between returns the offsets of the records from one offset up to another,
// which is excluded.
func (k *Kept) Between(from, to uint64) []uint64 {
	var out []uint64
	for _, r := range k.records {
		if r.Offset >= from && r.Offset < to {
			out = append(out, r.Offset)
		}
	}
	return out
}
