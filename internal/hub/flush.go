package hub

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// share is how many sinks are flushed by one goroutine before it takes more: a
// millisecond's work of sockets.
const share = 128

// flushAll flushes sinks. Many of them are shared out to as many goroutines as can run at
// once: a message to thousands is tens of milliseconds of writes, and one CPU's work would
// be everybody's latency whatever the machine has.
func flushAll(sinks []Sink) {
	helpers := len(sinks)/share - 1
	if helpers > 0 {
		helpers = min(helpers, runtime.GOMAXPROCS(0)-1)
	}
	if helpers <= 0 {
		for _, sink := range sinks {
			sink.Flush()
		}
		return
	}
	f := &flush{sinks: sinks}
	f.left.Add((len(sinks) + share - 1) / share)
	for range helpers {
		go f.take()
	}
	f.take()
	f.left.Wait()
}

// A flush is of many sinks, by several goroutines.
type flush struct {
	sinks []Sink // somebody else's when nothing is left
	taken atomic.Int64
	left  sync.WaitGroup // shares that are not flushed
}

// take flushes share after share until all are taken. Who comes when all are does nothing:
// nobody waits for helpers that had no turn.
func (f *flush) take() {
	for {
		end := int(f.taken.Add(share))
		first := end - share
		if first >= len(f.sinks) {
			return
		}
		for _, sink := range f.sinks[first:min(end, len(f.sinks))] {
			sink.Flush()
		}
		f.left.Done()
	}
}
