package embedded

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// The payload and the number of channels are those of the published figures.
const (
	benchBytes    = 200
	benchChannels = 1000
	benchWriters  = 64
)

// onEach runs a benchmark for each durability.
func onEach(b *testing.B, run func(b *testing.B, e *Engine, d engine.Durability)) {
	for _, d := range []engine.Durability{engine.Memory, engine.OS, engine.Disk} {
		b.Run(d.String(), func(b *testing.B) {
			e := open(b, Options{Dir: b.TempDir()})
			b.ReportAllocs()
			b.ResetTimer()
			run(b, e, d)
			b.StopTimer()
			mustClose(b, e)
		})
	}
}

func benchNames() []string {
	names := make([]string, benchChannels)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	return names
}

func BenchmarkAppendAlone(b *testing.B) {
	names := benchNames()
	onEach(b, func(b *testing.B, e *Engine, d engine.Durability) {
		data := make([]byte, benchBytes)
		for i := 0; b.Loop(); i++ {
			mustAppend(b, e, names[i%benchChannels], engine.Write{Kind: engine.KindMessage, Data: data, Durability: d})
		}
	})
}

func BenchmarkAppend64Writers(b *testing.B) {
	names := benchNames()
	onEach(b, func(b *testing.B, e *Engine, d engine.Durability) {
		data := make([]byte, benchBytes)
		var next atomic.Int64
		b.SetParallelism(benchWriters / 2)
		b.RunParallel(func(pb *testing.PB) {
			for i := int(next.Add(97)); pb.Next(); i++ {
				mustAppend(b, e, names[i%benchChannels], engine.Write{Kind: engine.KindMessage, Data: data, Durability: d})
			}
		})
	})
}

// BenchmarkAppendRecord is what a mutation costs: an id, two keys with a
// condition, and a watcher.
func BenchmarkAppendRecord(b *testing.B) {
	onEach(b, func(b *testing.B, e *Engine, d engine.Durability) {
		_, stop, err := e.Watch(b.Context(), room, func([]engine.Event) {})
		if err != nil {
			b.Fatal(err)
		}
		defer stop()
		data, version := make([]byte, benchBytes), uint64(0)
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
	s, err := e.shardOf(room)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.mu.Lock()
		delete(s.channels, room)
		s.mu.Unlock()
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
