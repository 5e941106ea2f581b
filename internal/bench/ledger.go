package bench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// A ledger is what became known of one channel's log: which write stands at which
// offset, as acknowledgements and deliveries say. What contradicts what is known
// already is a broken promise. Safe for concurrent use.
type ledger struct {
	topic   string
	verdict *verdict

	mu    sync.Mutex // guards the following
	logs  map[string]*log
	acked int64
	last  time.Time     // when something was acknowledged
	pause time.Duration // the longest without an acknowledgement
}

// A log is what is known of one epoch.
type log struct {
	at map[uint64]noted  // by offset
	of map[string]uint64 // by write
}

type noted struct {
	write string
	kind  kind
}

// kind says who gets to see an entry.
type kind int

const (
	message kind = iota // every member, also when it was away
	change              // every member that has the collection and is there
	outcome             // its author: the mutation was not applied
)

func (k kind) String() string { return [...]string{"message", "change", "outcome"}[k] }

func newLedger(topic string, v *verdict) *ledger {
	return &ledger{topic: topic, verdict: v, logs: make(map[string]*log)}
}

// channel is the name of the channel.
func (l *ledger) channel() string { return strings.TrimPrefix(l.topic, protocol.TopicPrefix) }

// note takes down that a write stands at an offset; by is who says so.
func (l *ledger) note(by, epoch string, offset uint64, write string, k kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.logs[epoch]
	if e == nil {
		e = &log{at: make(map[uint64]noted), of: make(map[string]uint64)}
		l.logs[epoch] = e
	}
	if other, ok := e.at[offset]; ok && other.write != write {
		l.verdict.found(disordered, "%s, offset %d: %s says %s, but others have %s there", l.topic, offset, by, write, other.write)
		return
	}
	if other, ok := e.of[write]; ok && other != offset {
		l.verdict.found(duplicated, "%s: %s stands at offset %d, and for %s at %d", l.topic, write, other, by, offset)
		return
	}
	e.at[offset], e.of[write] = noted{write, k}, offset
}

// acknowledge is note, for an acknowledgement.
func (l *ledger) acknowledge(by, epoch string, offset uint64, write string, k kind) {
	l.note("the acknowledgement to "+by, epoch, offset, write, k)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked++
	now := time.Now()
	if !l.last.IsZero() {
		l.pause = max(l.pause, now.Sub(l.last))
	}
	l.last = now
}

// longestPause is the longest time without an acknowledgement.
func (l *ledger) longestPause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pause
}

// offsets are those of one kind in one epoch, rising.
func (l *ledger) offsets(epoch string, k kind) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.logs[epoch]
	if e == nil {
		return nil
	}
	var out []uint64
	for offset, n := range e.at {
		if n.kind == k {
			out = append(out, offset)
		}
	}
	slices.Sort(out)
	return out
}

// head is the highest offset of messages and changes in an epoch.
func (l *ledger) head(epoch string) uint64 {
	return max(l.newest(epoch, message), l.newest(epoch, change))
}

// newest is the highest offset of one kind in an epoch, 0 without one.
func (l *ledger) newest(epoch string, k kind) (highest uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.logs[epoch]; e != nil {
		for offset, n := range e.at {
			if n.kind == k {
				highest = max(highest, offset)
			}
		}
	}
	return highest
}

// name says what stands at an offset.
func (l *ledger) name(epoch string, offset uint64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.logs[epoch]; e != nil {
		return e.at[offset].write
	}
	return ""
}

// A witness is what one member saw of a log from a position on: of one kind, and
// without a gap, as it was promised. For one goroutine at a time.
type witness struct {
	who   string
	epoch string
	kind  kind
	from  uint64   // everything above it is to be seen
	seen  []uint64 // rising
	upTo  uint64   // … up to here when over, else to the log's end
	over  bool
}

// last is the highest offset seen.
func (w *witness) last() uint64 {
	if len(w.seen) == 0 {
		return w.from
	}
	return w.seen[len(w.seen)-1]
}

// see takes down a delivery; what does not rise is a broken promise.
func (w *witness) see(offset uint64, l *ledger) {
	if last := w.last(); offset <= last {
		if _, twice := slices.BinarySearch(w.seen, offset); twice {
			l.verdict.found(duplicated, "%s: %s was given offset %d twice", l.topic, w.who, offset)
		} else {
			l.verdict.found(disordered, "%s: %s was given offset %d after %d", l.topic, w.who, offset, last)
		}
		return
	}
	w.seen = append(w.seen, offset)
}

// close ends what was promised: nothing above what was seen is.
func (w *witness) close() { w.upTo, w.over = w.last(), true }

// check demands that the witness has seen all of its kind that the ledger knows.
func (w *witness) check(l *ledger) {
	for _, offset := range l.offsets(w.epoch, w.kind) {
		if offset <= w.from || (w.over && offset > w.upTo) {
			continue
		}
		if _, ok := slices.BinarySearch(w.seen, offset); !ok {
			l.verdict.found(lost, "%s: %s never got offset %d (%s %s), and was told of no gap; it saw %s",
				l.topic, w.who, offset, w.kind, l.name(w.epoch, offset), w.around(offset))
		}
	}
}

// around describes what was seen near an offset.
func (w *witness) around(offset uint64) string {
	i, _ := slices.BinarySearch(w.seen, offset)
	near := w.seen[max(0, i-2):min(len(w.seen), i+2)]
	return fmt.Sprintf("%v, of %d from %d on", near, len(w.seen), w.from)
}
