package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Engine keeps the logs of all channels. See the package documentation for
// what it guarantees.
type Engine interface {
	// Append adds one entry to a channel's log and sets the keys that come with
	// it, or does nothing. Errors: *ConflictError, ErrOverloaded,
	// ErrUnavailable, ErrClosed, the context's error. After the context's error
	// the outcome is unknown; retry with the same ID.
	Append(ctx context.Context, channel string, w Write) (Receipt, error)

	// Read returns entries with offsets above after, oldest first, at most
	// limit. A limit of 0 means 1,000. after.Epoch "" means the current epoch.
	// Errors: ErrTruncated, ErrEpoch, ErrFuture, ErrUnavailable, ErrClosed; and,
	// as from all that follow, ErrOverloaded when there is no room to load the
	// channel.
	Read(ctx context.Context, channel string, after Position, limit int) ([]Entry, error)

	// Since returns the entries still kept of at least the given instant
	// (Unix ms), newest limit of them, oldest first. It never fails with
	// ErrTruncated: it is history, not catch-up.
	Since(ctx context.Context, channel string, unixMs int64, limit int) ([]Entry, error)

	// State returns the values whose keys begin with prefix and whose version is
	// above after, in key order, and the position at which they are that. With
	// after 0 tombstones are left out. ErrTruncated: a tombstone above after was
	// dropped, so what changed is not known any more; load with after 0.
	State(ctx context.Context, channel, prefix string, after uint64) (Position, []Value, error)

	// Get returns the newest value of a key. A key that was never set, or whose
	// tombstone was dropped, has Version 0.
	Get(ctx context.Context, channel, key string) (Value, error)

	// Head returns the position of the newest entry, wherever it was appended
	// (E9). ErrOverloaded also when watchers on this node hold it up (E10).
	Head(ctx context.Context, channel string) (Position, error)

	// Watch hands the sink everything that happens in the channel after the
	// position it returns, in order, until stop is called. A last call may still be
	// under way when stop returns.
	Watch(ctx context.Context, channel string, sink Sink) (at Position, stop func(), err error)

	// Send delivers an entry to the channel's watchers without logging it, in
	// order with the entries that this caller appended before.
	Send(ctx context.Context, channel string, e Entry) error

	// PutLease sets the small value that a holder has in a channel; DropLease
	// removes it. Watchers see both. A lease vanishes with the node that put it.
	// DropLease is final whatever can be reached at the moment: nobody asks again
	// for a holder that is gone, so a node that is cut off from others tells them
	// when it can.
	PutLease(ctx context.Context, channel, holder string, value []byte) error
	DropLease(ctx context.Context, channel, holder string) error
	// Leases returns the leases of a channel, ordered by holder.
	Leases(ctx context.Context, channel string) ([]Lease, error)

	// Healthy is nil while appends are taken; else it says why not.
	Healthy() error

	// Close finishes what was accepted and closes the store. Idempotent.
	Close() error
}

// Sink is who watches a channel.
type Sink interface {
	// Deliver is handed what happened. It is never called twice at a time, must not
	// block, and must not call the engine: others' appends wait for it.
	Deliver([]Event)
	// Flush follows soon, for one Deliver or for several, and nobody waits for it but
	// who wrote (E10): what takes long, as writing to thousands of sockets does, belongs
	// here. It may be called by several goroutines at a time.
	Flush()
}

// SinkFunc is a Sink that is done with what it is handed at once.
type SinkFunc func([]Event)

// Deliver implements Sink.
func (f SinkFunc) Deliver(events []Event) { f(events) }

// Flush implements Sink.
func (SinkFunc) Flush() {}

// Durability says what an acknowledged entry survives. The zero value is Memory.
type Durability uint8

const (
	Memory Durability = iota // the process's life
	OS                       // kill -9 of the process
	Disk                     // power loss
)

func (d Durability) String() string { return [...]string{"memory", "os", "disk"}[d] }

// ParseDurability reads what String writes.
func ParseDurability(s string) (Durability, error) {
	for _, d := range []Durability{Memory, OS, Disk} {
		if d.String() == s {
			return d, nil
		}
	}
	return 0, fmt.Errorf("durability %q: use memory, os or disk", s)
}

// Retention bounds what a channel keeps of entries that set no key (and of the
// log form of those that do). An entry is dropped when any bound says so.
type Retention struct {
	Messages int           // 0 means 256
	Bytes    int           // of data, 0 means 8 MiB
	Age      time.Duration // 0 means 10 minutes
}

// Kind tells readers how to understand an entry's Data. The engine stores it
// and does not look at it.
type Kind uint8

const (
	// KindMessage is a broadcast: Data is the pushed JSON object.
	KindMessage Kind = iota + 1
	// KindBinary is a broadcast with a raw payload: Data is one byte with the
	// length of the event's name, the name, and the payload.
	KindBinary
	// KindChange is what became of a mutation: Data is as package collection
	// lays it out.
	KindChange
)

// Position is a place in a channel's log.
type Position struct {
	Epoch  string
	Offset uint64
}

// Entry is one entry of a log.
type Entry struct {
	Offset uint64 // 0 for what was sent and not logged
	Prev   uint64 // offset of the entry before, 0 for the first
	Time   int64  // Unix ms at which it was appended
	Kind   Kind
	ID     string // unique in the channel while the entry is kept; "" for none
	Origin string // the member that wrote it; "" for none
	Data   []byte
}

// Value is the newest value of a key.
type Value struct {
	Key       string
	Version   uint64 // offset of the entry that set it, 0 when there is none
	Tombstone bool
	Data      []byte
}

// Put sets a key together with an entry.
type Put struct {
	Key       string
	Data      []byte
	Tombstone bool // kept for the tombstone age only
}

// Condition demands that a key is still at a version; 0 demands that it was
// never set.
type Condition struct {
	Key     string
	Version uint64
}

// Write is what Append appends.
type Write struct {
	Kind       Kind
	ID         string
	Origin     string
	Data       []byte
	Puts       []Put
	If         []Condition
	Durability Durability
	Retention  Retention
	// Keep is how long the entry stays although Retention would drop it, counted
	// from the append. 0 means as long as Retention says. A channel keeps its
	// newest MaxKept entries that way, and not more than MaxKeptBytes of their
	// data: a promise to keep must not be a way to fill a disk.
	Keep time.Duration
}

// Bounds of what a channel keeps beyond its Retention, see Write.Keep.
const (
	MaxKept      = 1000
	MaxKeptBytes = 8 << 20
)

// Receipt says where an append went.
type Receipt struct {
	Position  Position
	Duplicate bool // an entry with this ID was there already
}

// Event is one thing that happened in a channel: exactly one of the fields is set.
type Event struct {
	Entry *Entry
	Lease *LeaseEvent
	// Reset says that what follows does not continue what the watcher was handed:
	// the log goes on at this position of another epoch, or entries in between
	// were dropped before this node got them. Who needs all of it reads anew.
	Reset *Position
}

// Lease is a small value that lives as long as its holder.
type Lease struct {
	Holder string
	Value  []byte
}

// LeaseEvent is a lease that was put (Value set) or dropped (Value nil).
type LeaseEvent struct {
	Holder string
	Value  []byte
}

var (
	// ErrTruncated: entries after the position were dropped by retention.
	ErrTruncated = errors.New("entries after this position are no longer kept")
	// ErrEpoch: the position counts in another log.
	ErrEpoch = errors.New("position belongs to another epoch")
	// ErrFuture: the position is ahead of the log, which has lost data.
	ErrFuture = errors.New("position is ahead of the log")
	// ErrOverloaded: too much is waiting to be written; retry later.
	ErrOverloaded = errors.New("engine is overloaded")
	// ErrUnavailable: the store cannot be written; retry later.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("engine is closed")
)

// ConflictError says which condition of an append did not hold, and what the
// key's newest value is.
type ConflictError struct {
	Current Value
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("key %q is at version %d", e.Current.Key, e.Current.Version)
}

// JoinBinary makes the Data of a KindBinary entry. event is at most 255 bytes.
func JoinBinary(event string, payload []byte) []byte {
	out := make([]byte, 0, 1+len(event)+len(payload))
	out = append(out, byte(len(event)))
	out = append(out, event...)
	return append(out, payload...)
}

// SplitBinary takes apart what JoinBinary made.
func SplitBinary(data []byte) (event string, payload []byte) {
	if len(data) == 0 || len(data) < 1+int(data[0]) {
		return "", nil
	}
	n := 1 + int(data[0])
	return string(data[1:n]), data[n:]
}
