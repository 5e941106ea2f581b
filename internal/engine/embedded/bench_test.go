package embedded

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// The payload and the number of channels are those of the published figures.
const (
	benchBytes    = 200
	benchChannels = 1000
	benchWriters  = 64
)

// onEach runs a benchmark for each durability.
func onEach(b *testing.B, run func(b *testing.B, d engine.Durability)) {
	for _, d := range []engine.Durability{engine.Memory, engine.OS, engine.Disk} {
		b.Run(d.String(), func(b *testing.B) { run(b, d) })
	}
}

func benchNames() []string {
	names := make([]string, benchChannels)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	return names
}

// BenchmarkAppend is one writer, which waits for each append, up to 512 that do
// so at once. p50 and p99 are of what one writer waits.
func BenchmarkAppend(b *testing.B) {
	names := benchNames()
	onEach(b, func(b *testing.B, d engine.Durability) {
		for _, writers := range []int{1, 64, 512} {
			b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
				e := open(b, Options{Dir: b.TempDir()})
				defer mustClose(b, e)
				data := make([]byte, benchBytes)
				waits := make([][]time.Duration, writers)
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for i := range writers {
					wg.Go(func() {
						for n := i; n < b.N; n += writers {
							from := time.Now()
							mustAppend(b, e, names[(97*i+n/writers)%benchChannels], engine.Write{Kind: engine.KindMessage, Data: data, Durability: d})
							waits[i] = append(waits[i], time.Since(from))
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				all := slices.Sorted(slices.Values(slices.Concat(waits...)))
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
				b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, "p50-µs")
				b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1000, "p99-µs")
			})
		}
	})
}

// BenchmarkAppendRecord is what a mutation costs: an id, two keys with a
// condition, and a watcher.
func BenchmarkAppendRecord(b *testing.B) {
	onEach(b, func(b *testing.B, d engine.Durability) {
		e := open(b, Options{Dir: b.TempDir()})
		defer mustClose(b, e)
		_, stop, err := e.Watch(b.Context(), room, engine.SinkFunc(func([]engine.Event) {}))
		if err != nil {
			b.Fatal(err)
		}
		defer stop()
		data, version := make([]byte, benchBytes), uint64(0)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			at := mustAppend(b, e, room, engine.Write{
				Kind: engine.KindChange, ID: fmt.Sprint(i), Data: data, Durability: d,
				Puts: []engine.Put{{Key: "n/1", Data: data}, {Key: "c/1", Data: data[:20]}},
				If:   []engine.Condition{{Key: "n/1", Version: version}},
			})
			version = at.Offset
		}
	})
}

func BenchmarkState10000(b *testing.B) {
	e := open(b, Options{})
	defer mustClose(b, e)
	for i := range 10_000 {
		key := fmt.Sprintf("n/%05d", i*7919%10_000)
		mustAppend(b, e, room, engine.Write{Data: []byte("x"), Puts: []engine.Put{{Key: key, Data: make([]byte, benchBytes)}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, values, err := e.State(b.Context(), room, "n/", 0); err != nil || len(values) != 10_000 {
			b.Fatal(len(values), err)
		}
	}
}

func BenchmarkStateCold10000(b *testing.B) {
	e := open(b, Options{Dir: b.TempDir()})
	defer mustClose(b, e)
	for i := range 10_000 {
		key := fmt.Sprintf("n/%05d", i)
		mustAppend(b, e, room, engine.Write{Durability: engine.OS, Puts: []engine.Put{{Key: key, Data: make([]byte, benchBytes)}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		evict(b, e, room)
		if _, values, err := e.State(b.Context(), room, "n/", 0); err != nil || len(values) != 10_000 {
			b.Fatal(len(values), err)
		}
	}
}

func BenchmarkRead1000(b *testing.B) {
	e := open(b, Options{})
	defer mustClose(b, e)
	for range 1000 {
		w := message(engine.Memory, "x")
		w.Retention.Messages = 1000
		mustAppend(b, e, room, w)
	}
	b.ReportAllocs()
	for b.Loop() {
		if entries, err := e.Read(b.Context(), room, engine.Position{}, 1000); err != nil || len(entries) != 1000 {
			b.Fatal(len(entries), err)
		}
	}
}

func BenchmarkReadCold1000(b *testing.B) {
	e := open(b, Options{Dir: b.TempDir()})
	defer mustClose(b, e)
	for range 1000 {
		w := engine.Write{Kind: engine.KindMessage, Data: make([]byte, benchBytes), Durability: engine.OS}
		w.Retention.Messages = 1000
		mustAppend(b, e, room, w)
	}
	b.ReportAllocs()
	for b.Loop() {
		evict(b, e, room)
		if entries, err := e.Read(b.Context(), room, engine.Position{}, 1000); err != nil || len(entries) != 1000 {
			b.Fatal(len(entries), err)
		}
	}
}

// evict takes a channel out of memory, as if nobody had used it for long.
func evict(b *testing.B, e *Engine, name string) {
	b.Helper()
	s, err := e.shardOf(name)
	if err != nil {
		b.Fatal(err)
	}
	s.mu.Lock()
	delete(s.channels, name)
	s.mu.Unlock()
}

// manyChannels opens an engine that has so many channels with so many entries
// each, stored and in memory, on a clock that stands still.
func manyChannels(b *testing.B, dir string, channels, entries int) (*Engine, *fakeClock) {
	b.Helper()
	clock := newFakeClock()
	e := open(b, Options{Dir: dir, Clock: clock.Now, SweepEvery: 24 * time.Hour})
	var wg sync.WaitGroup
	for w := range benchWriters {
		wg.Go(func() {
			data := make([]byte, benchBytes)
			for i := w; i < channels; i += benchWriters {
				for range entries {
					mustAppend(b, e, fmt.Sprint("room-", i), engine.Write{Kind: engine.KindMessage, Data: data, Durability: engine.OS})
				}
			}
		})
	}
	wg.Wait()
	return e, clock
}

// BenchmarkOpen is how long a store with 1,000,000 entries in 100,000 channels
// takes to be open, with the first channel read, after Close and after kill -9.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	e, clock := manyChannels(b, dir, 100_000, 10)
	killed := copyOf(b, dir)
	mustClose(b, e)
	for _, from := range []struct{ name, dir string }{{"closed", dir}, {"killed", killed}} {
		b.Run(from.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				found := copyOf(b, from.dir)
				b.StartTimer()
				e := open(b, Options{Dir: found, Clock: clock.Now})
				if n := len(readAll(b, e, "room-77777")); n != 10 {
					b.Fatal(n)
				}
				b.StopTimer()
				mustClose(b, e)
				if err := os.RemoveAll(found); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkChannelMemory is what the heap has of a channel with one entry of 200
// bytes while it is in memory, and once it has left.
func BenchmarkChannelMemory(b *testing.B) {
	const channels = 100_000
	for b.Loop() {
		before := heap()
		e, clock := manyChannels(b, b.TempDir(), channels, 1)
		b.ReportMetric((heap()-before)/channels, "B/channel")
		clock.Advance(2 * time.Minute)
		e.sweepAll()
		b.ReportMetric((heap()-before)/channels, "B/idle-channel")
		mustClose(b, e)
	}
}

// heap is how many bytes of the heap are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
