package chanlog

import (
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Record is one kept entry. It is immutable once it was published: readers and
// watchers share it.
type Record struct {
	engine.Entry
	Keyed bool            // it set keys, so that its loss is not a loss
	Until int64           // Unix ms up to which it stays although retention drops it; 0 for no longer
	event [1]engine.Event // room for the usual delivery, one entry at a time
}

// Events is the delivery of this record alone.
func (r *Record) Events() []engine.Event {
	r.event[0].Entry = &r.Entry
	return r.event[:]
}

// Tail is the kept end of a log: records with dense offsets, oldest first. Not
// safe for concurrent use.
type Tail struct {
	records []*Record // records[start:] are kept
	start   int
	bytes   int // of data
}

// Len is the number of records.
func (t *Tail) Len() int { return len(t.records) - t.start }

// Records returns them all, oldest first.
func (t *Tail) Records() []*Record { return t.records[t.start:] }

// Oldest must not be called on an empty tail.
func (t *Tail) Oldest() *Record { return t.records[t.start] }

func (t *Tail) at(off uint64) int { return t.start + int(off-t.Oldest().Offset) }

func (t *Tail) push(r *Record) {
	if len(t.records) == cap(t.records) && t.start > len(t.records)/2 {
		n := copy(t.records, t.records[t.start:])
		clear(t.records[n:])
		t.records, t.start = t.records[:n], 0
	}
	t.records = append(t.records, r)
	t.bytes += len(r.Data)
}

// After returns the kept records with offsets above off, oldest first.
func (t *Tail) After(off uint64) []*Record {
	switch {
	case t.Len() == 0:
		return nil
	case off < t.Oldest().Offset:
		return t.Records()
	}
	return t.records[min(t.at(off)+1, len(t.records)):]
}

// drop takes the oldest record away.
func (t *Tail) drop() *Record {
	r := t.Oldest()
	t.records[t.start] = nil
	t.start++
	t.bytes -= len(r.Data)
	if t.start == len(t.records) {
		t.records, t.start = t.records[:0], 0
	}
	return r
}

// Retention's zero values, see engine.Retention.
const (
	defaultMessages = 256
	defaultBytes    = 8 << 20
	defaultAge      = 10 * time.Minute
)

// WithDefaults fills in the zeros.
func WithDefaults(r engine.Retention) engine.Retention {
	if r.Messages <= 0 {
		r.Messages = defaultMessages
	}
	if r.Bytes <= 0 {
		r.Bytes = defaultBytes
	}
	if r.Age <= 0 {
		r.Age = defaultAge
	}
	return r
}

// exceeds says whether the oldest record is to be dropped at the instant now
// (Unix ms). The newest record stays whatever its size is: without it a repeat
// of the append could not be told from a new one.
func (t *Tail) exceeds(r engine.Retention, now int64) bool {
	n := t.Len()
	return n > 0 && (n > r.Messages || (t.bytes > r.Bytes && n > 1) || t.Oldest().Time <= now-r.Age.Milliseconds())
}
