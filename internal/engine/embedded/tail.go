package embedded

import (
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// record is one kept entry. It is immutable once it was published: readers and
// watchers share it.
type record struct {
	engine.Entry
	keyed bool            // it set keys, so that its loss is not a loss
	until int64           // Unix ms up to which it stays although retention drops it; 0 for no longer
	event [1]engine.Event // room for the usual delivery, one entry at a time
}

// events is the delivery of this record alone.
func (r *record) events() []engine.Event {
	r.event[0].Entry = &r.Entry
	return r.event[:]
}

// tail is the kept end of a log: records with dense offsets, oldest first. Not
// safe for concurrent use.
type tail struct {
	records []*record // records[start:] are kept
	start   int
	bytes   int // of data
}

func (t *tail) len() int          { return len(t.records) - t.start }
func (t *tail) kept() []*record   { return t.records[t.start:] }
func (t *tail) oldest() *record   { return t.records[t.start] }
func (t *tail) at(off uint64) int { return t.start + int(off-t.oldest().Offset) }

func (t *tail) push(r *record) {
	if len(t.records) == cap(t.records) && t.start > len(t.records)/2 {
		n := copy(t.records, t.records[t.start:])
		clear(t.records[n:])
		t.records, t.start = t.records[:n], 0
	}
	t.records = append(t.records, r)
	t.bytes += len(r.Data)
}

// after returns the kept records with offsets above off, oldest first.
func (t *tail) after(off uint64) []*record {
	switch {
	case t.len() == 0:
		return nil
	case off < t.oldest().Offset:
		return t.kept()
	}
	return t.records[min(t.at(off)+1, len(t.records)):]
}

// drop takes the oldest record away.
func (t *tail) drop() *record {
	r := t.oldest()
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

func withDefaults(r engine.Retention) engine.Retention {
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
func (t *tail) exceeds(r engine.Retention, now int64) bool {
	n := t.len()
	return n > 0 && (n > r.Messages || (t.bytes > r.Bytes && n > 1) || t.oldest().Time <= now-r.Age.Milliseconds())
}
