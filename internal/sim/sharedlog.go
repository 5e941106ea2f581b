package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// tombstoneAge is how long the shared log remembers what is gone.
const tombstoneAge = 90 * 24 * time.Hour

// errLostAnswer: the log may have taken an append, and nobody knows.
var errLostAnswer = errors.New("the log's answer did not arrive")

// sharedLog is one sequencer that several nodes share: an imitation of a
// replicated log, kept as simply as possible. It forgets nothing that a node may
// still have to read, so that a node can show any prefix of it.
//
// Each node hears of what happens through feeds, which the world delays, thins
// out and cuts; see node. All methods may be called concurrently.
type sharedLog struct {
	now          func() time.Time
	tombstoneAge time.Duration
	faults       Faults

	mu       sync.Mutex // guards the following, and what nodes show of it
	channels map[string]*logChannel
	nodes    []*node
	logs     int // begun so far, for epochs
}

func newSharedLog(now func() time.Time, tombstoneAge time.Duration, f Faults) *sharedLog {
	return &sharedLog{now: now, tombstoneAge: tombstoneAge, faults: f, channels: make(map[string]*logChannel)}
}

// logChannel is one channel's log.
type logChannel struct {
	epoch         string
	entries       []logEntry // all of them: the index is the offset less one
	kept          []uint64   // offsets of those that retention keeps, ascending
	aside         []uint64   // of those that stay longer (engine.Write.Keep)
	ids           map[string]uint64
	versions      map[string][]version // by key, ascending
	keys          []string             // of versions, sorted
	lostUnkeyed   uint64
	lostTombstone uint64
	durable       bool
	retention     engine.Retention
	leases        map[string]lease
}

type logEntry struct {
	engine.Entry
	keyed bool
	until int64 // Unix ms up to which it stays although retention drops it
}

// version is one value that a key had.
type version struct {
	engine.Value
	time int64
}

type lease struct {
	value []byte
	node  *node
}

func (l *sharedLog) channel(name string) *logChannel {
	c := l.channels[name]
	if c == nil {
		l.logs++
		c = &logChannel{epoch: "sim." + strconv.Itoa(l.logs), ids: map[string]uint64{}, versions: map[string][]version{}, leases: map[string]lease{}}
		l.channels[name] = c
	}
	return c
}

func (c *logChannel) head() uint64 { return uint64(len(c.entries)) }

func withDefaults(r engine.Retention) engine.Retention {
	if r.Messages <= 0 {
		r.Messages = 256
	}
	if r.Bytes <= 0 {
		r.Bytes = 8 << 20
	}
	if r.Age <= 0 {
		r.Age = 10 * time.Minute
	}
	return r
}

// append sequences a write. The entry is nil when nothing was appended.
func (l *sharedLog) append(name string, w engine.Write) (engine.Receipt, *engine.Entry, error) {
	if w.Durability > engine.Disk {
		return engine.Receipt{}, nil, fmt.Errorf("durability %d: unknown", w.Durability)
	}
	c := l.channel(name)
	now := l.now().UnixMilli()
	c.expire(now, l.tombstoneAge)
	if off, ok := c.ids[w.ID]; ok && w.ID != "" && !l.faults.NoDedupe {
		return engine.Receipt{Position: engine.Position{Epoch: c.epoch, Offset: off}, Duplicate: true}, nil, nil
	}
	for _, cond := range w.If {
		if current := c.get(cond.Key, c.head(), now, l.tombstoneAge); current.Version != cond.Version && !l.faults.NoConditions {
			return engine.Receipt{}, nil, &engine.ConflictError{Current: current}
		}
	}
	off := c.head() + 1
	e := logEntry{keyed: len(w.Puts) > 0, Entry: engine.Entry{
		Offset: off, Prev: off - 1, Time: now, Kind: w.Kind, ID: w.ID, Origin: w.Origin, Data: w.Data,
	}}
	if w.Keep > 0 {
		e.until = now + w.Keep.Milliseconds()
	}
	c.entries = append(c.entries, e)
	c.kept = append(c.kept, off)
	if w.ID != "" {
		c.ids[w.ID] = off
	}
	for _, p := range w.Puts {
		c.put(p, off, now)
	}
	c.durable = c.durable || w.Durability > engine.Memory
	c.retention = withDefaults(w.Retention)
	c.expire(now, l.tombstoneAge)
	entry := e.Entry
	return engine.Receipt{Position: engine.Position{Epoch: c.epoch, Offset: off}}, &entry, nil
}

func (c *logChannel) put(p engine.Put, off uint64, now int64) {
	if c.versions[p.Key] == nil {
		at, _ := slices.BinarySearch(c.keys, p.Key)
		c.keys = slices.Insert(c.keys, at, p.Key)
	}
	c.versions[p.Key] = append(c.versions[p.Key], version{time: now, Value: engine.Value{Key: p.Key, Version: off, Tombstone: p.Tombstone, Data: p.Data}})
}

// expire drops what retention no longer keeps at an instant (Unix ms).
func (c *logChannel) expire(now int64, tombstoneAge time.Duration) {
	r := withDefaults(c.retention)
	size := 0
	for _, off := range c.kept {
		size += len(c.at(off).Data)
	}
	for len(c.kept) > 0 {
		e := c.at(c.kept[0])
		if len(c.kept) <= r.Messages && (size <= r.Bytes || len(c.kept) == 1) && e.Time > now-r.Age.Milliseconds() {
			break
		}
		if e.until > now {
			c.aside = append(c.aside, e.Offset)
		} else {
			c.lose(e)
		}
		size -= len(e.Data)
		c.kept = c.kept[1:]
	}
	bytes := 0
	for _, off := range c.aside {
		bytes += len(c.at(off).Data)
	}
	surplus := len(c.aside) - engine.MaxKept
	c.aside = slices.DeleteFunc(c.aside, func(off uint64) bool {
		e := c.at(off)
		if surplus--; surplus < 0 && bytes <= engine.MaxKeptBytes && e.until > now {
			return false
		}
		bytes -= len(e.Data)
		c.lose(e)
		return true
	})
	c.forgetTombstones(now - tombstoneAge.Milliseconds())
}

func (c *logChannel) at(off uint64) *logEntry { return &c.entries[off-1] }

func (c *logChannel) lose(e *logEntry) {
	if !e.keyed {
		c.lostUnkeyed = max(c.lostUnkeyed, e.Offset)
	}
	if e.ID != "" && c.ids[e.ID] == e.Offset {
		delete(c.ids, e.ID)
	}
}

func (c *logChannel) forgetTombstones(setBefore int64) {
	c.keys = slices.DeleteFunc(c.keys, func(key string) bool {
		newest := c.versions[key][len(c.versions[key])-1]
		if !newest.Tombstone || newest.time > setBefore {
			return false
		}
		c.lostTombstone = max(c.lostTombstone, newest.Version)
		delete(c.versions, key)
		return true
	})
}

// get is the newest value of a key among the entries up to an offset.
func (c *logChannel) get(key string, upTo uint64, now int64, tombstoneAge time.Duration) engine.Value {
	for _, v := range slices.Backward(c.versions[key]) {
		if v.Version > upTo {
			continue
		}
		if v.Tombstone && v.time <= now-tombstoneAge.Milliseconds() {
			break
		}
		return v.Value
	}
	return engine.Value{Key: key}
}

// read returns kept entries after an offset and up to another.
func (c *logChannel) read(after, upTo uint64, limit int) []engine.Entry {
	out := []engine.Entry{}
	for _, list := range [][]uint64{c.aside, c.kept} {
		from, _ := slices.BinarySearch(list, after+1)
		for _, off := range list[from:] {
			if off > upTo || len(out) == limit {
				break
			}
			out = append(out, c.at(off).Entry)
		}
	}
	return out
}

// state returns the values under a prefix as they were at upTo.
func (c *logChannel) state(prefix string, after, upTo uint64, now int64, tombstoneAge time.Duration) ([]engine.Value, error) {
	if after > 0 && after < c.lostTombstone {
		return nil, engine.ErrTruncated
	}
	from, _ := slices.BinarySearch(c.keys, prefix)
	out := []engine.Value{}
	for _, key := range c.keys[from:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		v := c.get(key, upTo, now, tombstoneAge)
		if v.Version > after && (after > 0 || !v.Tombstone) {
			out = append(out, v)
		}
	}
	return out, nil
}

// restart is what a failure of the whole cluster leaves: the logs that live in
// memory only are gone, and begin anew under another epoch (E7).
func (l *sharedLog) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, c := range l.channels {
		clear(c.leases)
		switch {
		case !c.durable:
			delete(l.channels, name)
		case l.faults.LosesAcknowledged && len(c.entries) > 0:
			c.cutLast()
		}
	}
}

// cutLast takes the newest entry away as if it had never been.
func (c *logChannel) cutLast() {
	last := c.head()
	delete(c.ids, c.at(last).ID)
	c.entries = c.entries[:last-1]
	c.kept = slices.DeleteFunc(c.kept, func(off uint64) bool { return off == last })
	c.aside = slices.DeleteFunc(c.aside, func(off uint64) bool { return off == last })
	for key, list := range c.versions {
		if list = slices.DeleteFunc(list, func(v version) bool { return v.Version == last }); len(list) > 0 {
			c.versions[key] = list
			continue
		}
		delete(c.versions, key)
		c.keys = slices.DeleteFunc(c.keys, func(k string) bool { return k == key })
	}
}
