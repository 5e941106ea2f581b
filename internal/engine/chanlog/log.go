package chanlog

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Log is a channel's log and what belongs to it. Name and Epoch are set by its
// owner; all other fields are to be read only.
type Log struct {
	Name  string
	Epoch string
	// Keeper is told what the log forgets; nil means nobody.
	Keeper Keeper

	Retention engine.Retention // of the newest append
	Appended  int64            // time of the newest append

	Sequenced uint64 // newest offset given away
	ids       ids

	Head          uint64 // newest published offset
	Tail          Tail
	Kept          Kept
	Values        Values
	LostUnkeyed   uint64 // highest offset of a dropped entry that set no key
	LostTombstone uint64 // highest version of a dropped tombstone
	Leases        map[string][]byte
	Watchers      []*Watcher // copied on write

	Held    int   // bytes of all that the log holds
	counted int64 // those of them that Uncounted has told
}

// Keeper deletes where it is stored what a log has forgotten.
type Keeper interface {
	// RecordLost is told the size that the record was counted with.
	RecordLost(offset uint64, size int)
	TombstoneLost(*Value)
}

// Watcher is one call of engine.Engine.Watch.
type Watcher struct {
	Sink    engine.Sink
	Stopped atomic.Bool
}

// LogCost is what a log counts besides its name and what it holds: itself, its
// owner's part, and its places in maps and slices.
const LogCost = 1024

// Init prepares an empty log.
func (l *Log) Init(name string) {
	l.Name, l.Retention, l.Held = name, WithDefaults(engine.Retention{}), LogCost+len(name)
}

// Uncounted is by how much the log has grown since it was last asked, and must
// be added to the engine's sum. What expires when somebody reads may wait until
// then.
func (l *Log) Uncounted() int64 {
	d := int64(l.Held) - l.counted
	l.counted += d
	return d
}

// Forget returns what Uncounted has told in all, for a log that is given up.
func (l *Log) Forget() int64 {
	n := l.counted
	l.counted = 0
	return n
}

// Position is that of the newest published entry.
func (l *Log) Position() engine.Position {
	return engine.Position{Epoch: l.Epoch, Offset: l.Head}
}

// Append is what was decided over an append: an entry with an offset in Record,
// or an answer (a duplicate, a conflict) that stands once everything before it
// is published.
type Append struct {
	Record  *Record
	Puts    []SlotPut
	Receipt engine.Receipt
	Err     error
}

// SlotPut is a sequenced value and its place.
type SlotPut struct {
	slot  *slot
	Value Value
}

// Sequence decides over an append. It says whether there is an entry to commit.
// Tombstones set at or before tombstonesBefore count as never set.
func (l *Log) Sequence(a *Append, w *engine.Write, now, tombstonesBefore int64) bool {
	l.Expire(now)
	if off, ok := l.offsetOf(w.ID); ok {
		a.Receipt = engine.Receipt{Position: engine.Position{Epoch: l.Epoch, Offset: off}, Duplicate: true}
		return false
	}
	if err := l.check(w.If, tombstonesBefore); err != nil {
		a.Err = err
		return false
	}
	a.Record = &Record{Keyed: len(w.Puts) > 0}
	if w.Keep > 0 {
		a.Record.Until = now + w.Keep.Milliseconds()
	}
	a.Record.Entry = engine.Entry{
		Offset: l.Sequenced + 1, Prev: l.Sequenced, Time: now,
		Kind: w.Kind, ID: w.ID, Origin: w.Origin, Data: w.Data,
	}
	l.Sequenced++
	a.Receipt.Position = engine.Position{Epoch: l.Epoch, Offset: l.Sequenced}
	if w.ID != "" {
		l.ids.begin(w.ID, l.Sequenced)
	}
	l.sequencePuts(a, w.Puts)
	l.Retention = WithDefaults(w.Retention)
	l.Appended = now
	return true
}

// offsetOf returns the offset of the sequenced or kept entry that has an ID.
func (l *Log) offsetOf(id string) (uint64, bool) {
	if id == "" {
		return 0, false
	}
	return l.ids.find(id, l.hasID)
}

// hasID says whether a kept entry has an ID.
func (l *Log) hasID(off uint64, id string) bool {
	if l.Tail.Len() > 0 && off >= l.Tail.First() {
		i := l.Tail.index(off)
		if i == l.Tail.Len() {
			return false
		}
		e := l.Tail.at(i)
		return string(e.id) == id
	}
	aside := l.Kept.after(off - 1)
	return len(aside) > 0 && aside[0].Offset == off && aside[0].ID == id
}

// keep adds a record to the tail.
func (l *Log) keep(r *Record) {
	l.Tail.push(r)
	l.count(r)
}

// count notes a record that was added.
func (l *Log) count(r *Record) {
	l.Held += r.Size()
	if r.ID != "" {
		l.ids.keep(r.ID, r.Offset, l.hasID)
	}
}

func (l *Log) sequencePuts(a *Append, puts []engine.Put) {
	if len(puts) == 0 {
		return
	}
	a.Puts = make([]SlotPut, len(puts))
	for i, p := range puts {
		s := l.Values.slot(p.Key)
		a.Puts[i] = SlotPut{slot: s, Value: Value{
			Value: engine.Value{Key: s.key, Version: l.Sequenced, Tombstone: p.Tombstone, Data: p.Data},
			Time:  a.Record.Time,
		}}
		s.next = &a.Puts[i].Value
	}
}

// check demands every condition of the newest sequenced values.
func (l *Log) check(conditions []engine.Condition, tombstonesBefore int64) error {
	for _, cond := range conditions {
		current := engine.Value{Key: cond.Key}
		if s := l.Values.byKey[cond.Key]; s != nil {
			if v := s.newest(); v != nil && !v.Expired(tombstonesBefore) {
				current = v.Value
			}
		}
		if current.Version != cond.Version {
			return &engine.ConflictError{Current: current}
		}
	}
	return nil
}

// Publish shows a committed entry to readers and drops what retention says.
func (l *Log) Publish(a *Append) {
	r := a.Record
	l.Head = r.Offset
	l.keep(r)
	for i := range a.Puts {
		l.setValue(a.Puts[i].slot, &a.Puts[i].Value)
	}
	l.Expire(r.Time)
}

// setValue shows a value to readers.
func (l *Log) setValue(s *slot, v *Value) {
	l.Held += v.Size() - s.cur.Size()
	l.Values.publish(s, v)
}

// Expire drops the entries that retention no longer keeps at the instant now,
// and lets those that are to stay longer stay aside.
func (l *Log) Expire(now int64) {
	for l.Tail.exceeds(l.Retention, now) {
		if off, e := l.Tail.drop(); e.until > now {
			e.data = bytes.Clone(e.data) // so that it does not hold on to its page
			l.Kept.push(e.record(off))
		} else {
			l.lose(off, e.size(), e.keyed, e.id)
		}
	}
	l.Kept.expire(now, func(r *Record) { l.lose(r.Offset, r.Size(), r.Keyed, []byte(r.ID)) })
}

// lose notes that an entry is gone.
func (l *Log) lose(off uint64, size int, keyed bool, id []byte) {
	l.Held -= size
	if !keyed && off > l.LostUnkeyed {
		l.LostUnkeyed = off
	}
	if len(id) > 0 {
		l.ids.lose(id, off)
	}
	if l.Keeper != nil {
		l.Keeper.RecordLost(off, size)
	}
}

// ForgetTombstones drops the tombstones that were set at or before the given
// instant.
func (l *Log) ForgetTombstones(setBefore int64) {
	for _, v := range l.Values.dropTombstones(setBefore) {
		l.Held -= v.Size()
		l.LostTombstone = max(l.LostTombstone, v.Version)
		if l.Keeper != nil {
			l.Keeper.TombstoneLost(v)
		}
	}
}

// SetLease puts a lease, or drops it when its value is nil. It says whether
// anything happened.
func (l *Log) SetLease(lease engine.LeaseEvent) bool {
	old, held := l.Leases[lease.Holder]
	if held {
		l.Held -= LeaseSize(lease.Holder, old)
	}
	if lease.Value == nil {
		delete(l.Leases, lease.Holder)
		return held
	}
	l.Held += LeaseSize(lease.Holder, lease.Value)
	if l.Leases == nil {
		l.Leases = make(map[string][]byte)
	}
	l.Leases[lease.Holder] = lease.Value
	return true
}

// Watch adds a watcher.
func (l *Log) Watch(w *Watcher) { l.Watchers = append(slices.Clip(l.Watchers), w) }

// Unwatch takes a watcher away.
func (l *Log) Unwatch(w *Watcher) {
	l.Watchers = slices.DeleteFunc(slices.Clone(l.Watchers), func(x *Watcher) bool { return x == w })
}

// FirstKept is the offset below which nothing is kept any more but what stays
// aside.
func (l *Log) FirstKept() uint64 {
	if l.Tail.Len() == 0 {
		return l.Head + 1
	}
	return l.Tail.First()
}

// HoldsNothing says whether the log is as good as new, but for its position.
func (l *Log) HoldsNothing() bool {
	return l.Tail.Len() == 0 && l.Kept.Len() == 0 && l.Values.Len() == 0 && l.Unattended()
}

// Unattended says whether nobody watches the channel or has a lease in it.
func (l *Log) Unattended() bool { return len(l.Watchers) == 0 && len(l.Leases) == 0 }

// The following fill a log with what a store holds of it.

// Restore sets the log's end, when nothing was sequenced yet.
func (l *Log) Restore(head uint64, r engine.Retention, appended int64) {
	l.Sequenced, l.Head, l.Retention, l.Appended = head, head, WithDefaults(r), appended
}

// RestoreRecord adds an entry that is newer than those that are there: to the
// tail, or aside. An entry above the head becomes the head.
func (l *Log) RestoreRecord(r *Record, aside bool) {
	l.Head = max(l.Head, r.Offset)
	l.Sequenced = l.Head
	l.Appended = max(l.Appended, r.Time)
	if aside {
		l.Kept.push(r)
		l.count(r)
	} else {
		l.keep(r)
	}
}

// RestoreValue sets a value.
func (l *Log) RestoreValue(v *Value) { l.setValue(l.Values.slot(v.Key), v) }
