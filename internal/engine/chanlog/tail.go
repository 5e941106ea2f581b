package chanlog

import (
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Record is an entry on its way into a log or out of it. It is immutable once it was
// published: watchers share it.
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

// Tail is the kept end of a log: records with dense offsets, oldest first. They are
// kept as they are encoded, in few pages without pointers, because the garbage
// collector looks at each pointer of everything that is kept, again and again: with
// 100,000 entries of five objects each that took a quarter of a CPU, 200 ms long. Not
// safe for concurrent use; but what is in a page never changes, so that readers may
// share it.
type Tail struct {
	rows      []row // rows[start:] are kept
	start     int
	first     uint64   // offset of rows[start]
	pages     [][]byte // with the records of the rows, one behind the other
	firstPage uint32   // number of pages[0]; it wraps
	bytes     int      // of data
	packed    int      // bytes that the records have in the pages
}

// row says where a record is.
type row struct {
	time     int64 // Unix ms at which it was appended
	page     uint32
	from, to uint32 // bytes of the page
}

// maxPage bounds the slack of a page, in bytes; a record that is larger has one of its own.
const maxPage = 16 << 10

// Len is the number of records.
func (t *Tail) Len() int { return len(t.rows) - t.start }

// First is the offset of the oldest record; without one it means nothing.
func (t *Tail) First() uint64 { return t.first }

// EndsAt says whether the newest record has this offset, as has that of a whole
// log with this head. A tail without records ends everywhere.
func (t *Tail) EndsAt(off uint64) bool { return t.Len() == 0 || t.first+uint64(t.Len())-1 == off }

func (t *Tail) push(r *Record) {
	if len(t.rows) == cap(t.rows) && t.start > len(t.rows)/2 {
		t.rows, t.start = t.rows[:copy(t.rows, t.rows[t.start:])], 0
	}
	if t.Len() == 0 {
		t.first = r.Offset
	} else if r.Offset != t.first+uint64(t.Len()) {
		panic("a record out of order") // others would be taken for it, and it for another
	}
	page := t.room(maxEncoded(r))
	from := len(*page)
	*page = AppendEntry(*page, r)
	t.rows = append(t.rows, row{
		time: r.Time,
		page: t.firstPage + uint32(len(t.pages)-1), from: uint32(from), to: uint32(len(*page)),
	})
	t.bytes += len(r.Data)
	t.packed += len(*page) - from
}

// room is a page with room for n bytes. A new one is half as large as all that is kept,
// so that a channel with little has little, until pages have the size that bounds them.
func (t *Tail) room(n int) *[]byte {
	if last := len(t.pages) - 1; last >= 0 && cap(t.pages[last])-len(t.pages[last]) >= n {
		return &t.pages[last]
	}
	t.pages = append(t.pages, make([]byte, 0, max(n, min(t.packed/2, maxPage))))
	return &t.pages[len(t.pages)-1]
}

// at is the i-th kept record, taken apart.
func (t *Tail) at(i int) encoded {
	r := &t.rows[t.start+i]
	e, err := takeApart(t.pages[r.page-t.firstPage][r.from:r.to])
	if err != nil {
		panic("a record in memory: " + err.Error()) // it was encoded here
	}
	return e
}

// index is where the records with offsets of at least off begin, among the kept ones.
func (t *Tail) index(off uint64) int {
	if off <= t.first {
		return 0
	}
	return int(min(off-t.first, uint64(t.Len())))
}

// After returns the kept records with offsets above off, oldest first.
func (t *Tail) After(off uint64) []*Record {
	from := t.index(off + 1)
	out := make([]*Record, 0, t.Len()-from)
	for i := from; i < t.Len(); i++ {
		e := t.at(i)
		out = append(out, e.record(t.first+uint64(i)))
	}
	return out
}

// entries appends at most limit entries from the i-th on to out.
func (t *Tail) entries(out []engine.Entry, i, limit int) []engine.Entry {
	for ; limit > 0 && i < t.Len(); i, limit = i+1, limit-1 {
		e := t.at(i)
		out = append(out, e.entry(t.first+uint64(i)))
	}
	return out
}

// drop takes the oldest record away. It must not be called on an empty tail.
func (t *Tail) drop() (offset uint64, e encoded) {
	offset, e = t.first, t.at(0)
	r := t.rows[t.start]
	t.start++
	t.first++
	t.bytes -= len(e.data)
	t.packed -= int(r.to - r.from)
	if t.start == len(t.rows) {
		t.rows, t.start, t.pages = t.rows[:0], 0, nil
	} else if next := t.rows[t.start].page; next != r.page {
		left := copy(t.pages, t.pages[next-t.firstPage:])
		clear(t.pages[left:])
		t.pages, t.firstPage = t.pages[:left], next
	}
	return offset, e
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
	return n > 0 && (n > r.Messages || (t.bytes > r.Bytes && n > 1) || t.rows[t.start].time <= now-r.Age.Milliseconds())
}
