package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// truth is what really was appended, in order, and never forgets. Everything
// that clients are told is compared with it.
type truth struct {
	now  func() time.Time
	fail func(format string, args ...any)
	logs map[string]map[string]*truthLog // by channel and epoch
	last map[string]*truthLog            // the newest of a channel
}

// truthLog is one log: a channel in one epoch.
type truthLog struct {
	epoch     string
	durable   bool
	retention engine.Retention
	entries   []truthEntry // the index is the offset less one
	messages  []uint64     // offsets
	changes   []uint64     // of applied ones
	ids       map[string]uint64
	mutations map[string]uint64        // by the mutation's id
	outcomes  map[string]truthOutcome  // by client and n
	numbers   map[string]uint64        // the highest n of a client
	records   map[string][]truthRecord // by id, ascending
	said      map[string]uint64        // messages by their content, which no two have in common
}

type truthEntry struct {
	id    string
	kind  engine.Kind
	at    time.Time
	until time.Time // up to which it must be kept because its append said so
	disk  bool      // it survives the loss of power
}

type truthRecord struct {
	version uint64
	record  *protocol.Record
}

type truthOutcome struct {
	offset uint64
	status protocol.Status
	record string
	client string
	n      uint64

	conflict bool // rejected with version_conflict
}

func newTruth(now func() time.Time, fail func(string, ...any)) *truth {
	return &truth{now: now, fail: fail, logs: map[string]map[string]*truthLog{}, last: map[string]*truthLog{}}
}

// log returns the log of a channel in an epoch, empty when nothing was appended.
func (t *truth) log(channel, epoch string) *truthLog {
	if t.logs[channel] == nil {
		t.logs[channel] = map[string]*truthLog{}
	}
	l := t.logs[channel][epoch]
	if l == nil {
		l = &truthLog{
			epoch: epoch, ids: map[string]uint64{}, mutations: map[string]uint64{}, outcomes: map[string]truthOutcome{},
			numbers: map[string]uint64{}, records: map[string][]truthRecord{},
			said: map[string]uint64{},
		}
		t.logs[channel][epoch] = l
	}
	return l
}

// note takes what an engine has appended.
func (t *truth) note(channel string, at engine.Position, w engine.Write) {
	l := t.log(channel, at.Epoch)
	t.last[channel] = l
	if want := uint64(len(l.entries)) + 1; at.Offset != want {
		t.fail("[E1] %s: entry %d was appended when %d was due", channel, at.Offset, want)
		return
	}
	now := t.now()
	if first, twice := l.ids[w.ID]; twice && w.ID != "" && l.keeps(first, now) {
		t.fail("[R2] %s: message %s is in the log as %d and as %d", channel, w.ID, first, at.Offset)
	}
	l.durable = l.durable || w.Durability > engine.Memory
	l.retention = withDefaults(w.Retention)
	l.entries = append(l.entries, truthEntry{id: w.ID, kind: w.Kind, at: now, until: now.Add(w.Keep), disk: w.Durability == engine.Disk})
	if w.ID != "" {
		l.ids[w.ID] = at.Offset
	}
	if w.Kind != engine.KindChange {
		if first, twice := l.said[string(w.Data)]; twice && l.keeps(first, now) {
			t.fail("[R2] %s: %s is said as %d and as %d", channel, w.Data, first, at.Offset)
		}
		l.messages, l.said[string(w.Data)] = append(l.messages, at.Offset), at.Offset
		return
	}
	t.noteChange(channel, l, at.Offset, w)
}

func (t *truth) noteChange(channel string, l *truthLog, off uint64, w engine.Write) {
	var change protocol.Change
	if err := json.Unmarshal(collection.AppendChange(nil, &engine.Entry{Offset: off, Data: w.Data}), &change); err != nil {
		t.fail("entry %d is no change: %v", off, err)
		return
	}
	if want := l.numbers[change.Client] + 1; change.N != want {
		t.fail("[R4] %s: mutation %d of %s is in the log when %d was due", channel, change.N, change.Client, want)
	}
	if first, twice := l.mutations[change.ID]; twice {
		t.fail("[R4] %s: mutation %s has its effect at %d and at %d", channel, change.ID, first, off)
	}
	l.numbers[change.Client], l.mutations[change.ID] = change.N, off
	l.outcomes[numbered(change.Client, change.N)] = truthOutcome{
		off, change.Status, change.Record, change.Client, change.N, change.Error != nil && change.Error.Code == protocol.CodeVersionConflict,
	}
	if change.Status != protocol.StatusApplied {
		return
	}
	l.changes = append(l.changes, off)
	for _, p := range w.Puts {
		if !strings.HasPrefix(p.Key, "r/") {
			continue
		}
		rec := new(protocol.Record)
		if err := json.Unmarshal(p.Data, rec); err != nil {
			t.fail("entry %d holds no record: %v", off, err)
			return
		}
		rec.Version = off
		l.records[rec.ID] = append(l.records[rec.ID], truthRecord{off, rec})
	}
}

// keeps says whether the channel must still keep an entry, now that another is
// about to follow.
func (l *truthLog) keeps(off uint64, now time.Time) bool {
	e := &l.entries[off-1]
	if now.Before(e.until) {
		return true
	}
	behind := uint64(len(l.entries)) - off // entries after it
	return behind < uint64(l.retention.Messages) && now.Sub(e.at) < l.retention.Age
}

// mayBeLost says whether a message after a position may have been dropped.
func (l *truthLog) mayBeLost(after uint64, now time.Time) bool {
	i, _ := slices.BinarySearch(l.messages, after+1)
	if i == len(l.messages) {
		return false
	}
	first := l.messages[i]
	strict := uint64(len(l.entries)) - first
	return strict >= uint64(l.retention.Messages) || now.Sub(l.entries[first-1].at) >= l.retention.Age-time.Millisecond
}

// between returns the first of the offsets above after and below before; 0 for
// none.
func between(offsets []uint64, after, before uint64) uint64 {
	if i, _ := slices.BinarySearch(offsets, after+1); i < len(offsets) && offsets[i] < before {
		return offsets[i]
	}
	return 0
}

// record is what a record was at an offset; nil when there was none.
func (l *truthLog) record(id string, upTo uint64) *protocol.Record {
	for _, r := range slices.Backward(l.records[id]) {
		if r.version <= upTo {
			return r.record
		}
	}
	return nil
}

// renewed notes that a log goes on in another epoch, up to where it has been
// kept (E7), and returns it.
func (t *truth) renewed(channel string, at engine.Position) *truthLog {
	old := t.last[channel]
	l := t.log(channel, at.Epoch)
	upTo := func(offsets []uint64) []uint64 {
		i, _ := slices.BinarySearch(offsets, at.Offset+1)
		return slices.Clone(offsets[:i])
	}
	l.durable, l.retention, l.entries = old.durable, old.retention, slices.Clone(old.entries[:at.Offset])
	l.messages, l.changes = upTo(old.messages), upTo(old.changes)
	copyUpTo(l.ids, old.ids, at.Offset)
	copyUpTo(l.mutations, old.mutations, at.Offset)
	copyUpTo(l.said, old.said, at.Offset)
	for key, o := range old.outcomes {
		if o.offset <= at.Offset {
			l.outcomes[key] = o
			l.numbers[o.client] = max(l.numbers[o.client], o.n)
		}
	}
	for id, versions := range old.records {
		for _, r := range versions {
			if r.version <= at.Offset {
				l.records[id] = append(l.records[id], r)
			}
		}
	}
	t.last[channel] = l
	return l
}

func copyUpTo(to, from map[string]uint64, offset uint64) {
	for key, off := range from {
		if off <= offset {
			to[key] = off
		}
	}
}

// numbered names a client's mutation.
func numbered(client string, n uint64) string { return client + ":" + strconv.FormatUint(n, 10) }
