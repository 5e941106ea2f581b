package sim

import (
	"slices"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
)

// feed is what a node hears of one channel that is watched there.
type feed struct {
	node    *node
	channel string

	delivering sync.Mutex // held while watchers are handed something; taken before log.mu

	// Guarded by log.mu.
	epoch    string
	applied  uint64 // the prefix that this node shows
	leases   map[string][]byte
	news     []news
	watchers []*watcher
}

// news is one thing on its way to a node.
type news struct {
	offset uint64 // of an entry
	sent   *engine.Entry
	lease  *engine.LeaseEvent
}

type watcher struct {
	sink    engine.Sink
	stopped bool // guarded by log.mu
}

// deliver hands the next count news to the watchers; all of them when count is
// negative. An entry that does not follow what the node has makes it read what
// is missing first.
func (f *feed) deliver(count int) { flush(f.handNews(count)) }

// flush flushes watchers when nobody waits for them to be handed more (E10).
func flush(watchers []*watcher) {
	for _, w := range watchers {
		w.sink.Flush()
	}
}

// handNews is deliver without the flush, and returns who is due for it.
func (f *feed) handNews(count int) []*watcher {
	f.delivering.Lock()
	defer f.delivering.Unlock()
	l := f.node.log
	l.mu.Lock()
	if count < 0 || count > len(f.news) {
		count = len(f.news)
	}
	list := f.news[:count]
	f.news = slices.Clone(f.news[count:])
	var events []engine.Event
	for _, n := range list {
		events = append(events, f.apply(n)...)
	}
	return f.hand(events)
}

// hand unlocks the log and hands events to the watchers, which it returns if they are
// to be flushed.
func (f *feed) hand(events []engine.Event) []*watcher {
	watchers := slices.DeleteFunc(slices.Clone(f.watchers), func(w *watcher) bool { return w.stopped })
	f.node.log.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	for _, w := range watchers {
		w.sink.Deliver(events)
	}
	return watchers
}

func (f *feed) apply(n news) []engine.Event {
	switch {
	case n.sent != nil:
		return []engine.Event{{Entry: n.sent}}
	case n.lease != nil:
		return f.applyLease(*n.lease)
	case f.node.log.faults.Reorders && f.applied > 0 && n.offset == f.applied+2:
		e := f.entry(n.offset)
		missed := f.entry(n.offset - 1)
		f.applied = n.offset
		return append(e, missed...)
	case f.node.log.faults.NoRepair:
		f.applied = max(f.applied, n.offset)
		return f.entry(n.offset)
	}
	return f.upTo(n.offset)
}

// upTo applies the entries up to an offset.
func (f *feed) upTo(offset uint64) (events []engine.Event) {
	for f.applied < offset {
		f.applied++
		events = append(events, f.entry(f.applied)...)
	}
	return events
}

func (f *feed) entry(offset uint64) []engine.Event {
	c := f.node.log.channel(f.channel)
	if c.epoch != f.epoch || offset > c.head() {
		return nil
	}
	e := c.at(offset).Entry
	return []engine.Event{{Entry: &e}}
}

func (f *feed) applyLease(ev engine.LeaseEvent) []engine.Event {
	if ev.Value == nil {
		if _, held := f.leases[ev.Holder]; !held {
			return nil
		}
		delete(f.leases, ev.Holder)
	} else {
		f.leases[ev.Holder] = ev.Value
	}
	return []engine.Event{{Lease: &ev}}
}

// repair compares the feed with the log, as a node does from time to time and
// when it has reason to: it finds what got lost on the way.
func (f *feed) repair() { flush(f.handRepaired()) }

func (f *feed) handRepaired() []*watcher {
	f.delivering.Lock()
	defer f.delivering.Unlock()
	l := f.node.log
	l.mu.Lock()
	if f.node.cut || len(f.news) > 0 || l.faults.NoRepair {
		l.mu.Unlock()
		return nil
	}
	c := l.channel(f.channel)
	events := f.upTo(c.head())
	for _, holder := range sortedKeys(f.leases) {
		if _, held := c.leases[holder]; !held {
			events = append(events, f.applyLease(engine.LeaseEvent{Holder: holder})...)
		}
	}
	for _, holder := range sortedKeys(c.leases) {
		if value := c.leases[holder].value; string(f.leases[holder]) != string(value) || f.leases[holder] == nil {
			events = append(events, f.applyLease(engine.LeaseEvent{Holder: holder, Value: value})...)
		}
	}
	return f.hand(events)
}
