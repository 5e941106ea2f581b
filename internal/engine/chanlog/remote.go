package chanlog

import "github.com/chorale-rt/chorale/internal/engine"

// The following are for engines whose commits may be refused, and whose logs
// are written by others as well.

// Rollback takes back appends that were sequenced and not published: all of
// them, in the order in which they were. They may be sequenced again.
func (l *Log) Rollback(appends []*Append) {
	for i := len(appends) - 1; i >= 0; i-- {
		a := appends[i]
		if r := a.Record; r != nil {
			l.ids.cancel(r.ID, r.Offset)
		}
		for j := range a.Puts {
			l.Values.withdraw(a.Puts[j].slot)
		}
		*a = Append{}
	}
	l.Sequenced = l.Head
}

// Apply publishes an entry that was sequenced elsewhere, with the values it
// set, and drops what retention says at the instant now. Nothing may be
// sequenced and unpublished.
func (l *Log) Apply(r *Record, values []*Value, now int64) {
	l.Sequenced, l.Head, l.Appended = r.Offset, r.Offset, r.Time
	l.keep(r)
	for _, v := range values {
		l.RestoreValue(v)
	}
	l.Expire(now)
}

// SetRetention says what entries are kept by from now on.
func (l *Log) SetRetention(r engine.Retention) { l.Retention = WithDefaults(r) }

// Become makes the log what another one is, which is not used afterwards. Who
// watches and the leases stay.
func (l *Log) Become(other *Log) {
	held := other.Held
	for holder, value := range l.Leases {
		held += LeaseSize(holder, value)
	}
	keep := *l
	*l = *other
	l.Name, l.Keeper, l.Leases, l.Watchers, l.Held, l.counted = keep.Name, keep.Keeper, keep.Leases, keep.Watchers, held, keep.counted
}
