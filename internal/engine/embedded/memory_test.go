package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// narrow is an engine with little memory, whose sweeper never comes.
func narrow(t *testing.T, max int64) (*Engine, *fakeClock) {
	t.Helper()
	c := newFakeClock()
	e := open(t, Options{Dir: "store", FS: vfs.NewMem(), Clock: c.Now, SweepEvery: 24 * time.Hour, MaxMemory: max})
	t.Cleanup(func() { mustClose(t, e) })
	return e, c
}

// checkSum demands that the sum is what the channels hold, and within its bound.
func checkSum(t *testing.T, e *Engine) {
	t.Helper()
	sum := int64(0)
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		sum += int64(s.waiting)
		for name, c := range s.channels {
			s.account(c.Uncounted())
			held := chanlog.LogCost + len(name)
			for _, r := range c.kept() {
				held += r.Size()
			}
			for _, v := range c.Values.Snapshot() {
				held += v.Size()
			}
			for holder, value := range c.Leases {
				held += chanlog.LeaseSize(holder, value)
			}
			if c.Held != held {
				t.Errorf("%s says it holds %d bytes, and holds %d", name, c.Held, held)
			}
			sum += int64(held)
		}
		s.reportLocked()
		s.mu.Unlock()
	}
	if used := e.memory.used.Load(); used != sum || used > e.memory.max+e.memory.max/64 {
		t.Errorf("the sum is %d, want %d and hardly more than %d", used, sum, e.memory.max)
	}
}

// observe watches a channel and collects what is delivered.
func observe(t *testing.T, e *Engine, name string) (entries func() []engine.Entry, stop func()) {
	t.Helper()
	var mu sync.Mutex
	var got []engine.Entry
	_, stop, err := e.Watch(t.Context(), name, engine.SinkFunc(func(events []engine.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, ev := range events {
			if ev.Entry != nil {
				got = append(got, *ev.Entry)
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() []engine.Entry {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}, stop
}

func TestMaxMemory(t *testing.T) {
	body := strings.Repeat("x", 10_000)

	t.Run("[E8] channels that anybody may make are bounded together, and [E7] those that go begin anew", func(t *testing.T) {
		e, clock := narrow(t, 1<<20)
		first := mustAppend(t, e, "room-0", message(engine.Memory, body))
		for i := 1; i < 1000; i++ {
			clock.Advance(time.Millisecond)
			mustAppend(t, e, fmt.Sprint("room-", i), message(engine.Memory, body))
			if used := e.memory.used.Load(); used > 1<<20 {
				t.Fatalf("%d bytes are used after %d channels", used, i)
			}
		}
		checkSum(t, e)
		if used := e.memory.used.Load(); used < 1<<19 {
			t.Errorf("only %d bytes are used", used)
		}
		for i := 950; i < 1000; i++ {
			if !resident(t, e, fmt.Sprint("room-", i)) {
				t.Errorf("room-%d went before older ones", i)
			}
		}
		if _, err := e.Read(t.Context(), "room-0", first, 0); !errors.Is(err, engine.ErrEpoch) {
			t.Errorf("got %v, want ErrEpoch", err)
		}
	})

	t.Run("[E8] what is watched, leased or stored keeps all that was acknowledged", func(t *testing.T) {
		e, clock := narrow(t, 1<<20)
		seen, _ := observe(t, e, "watched")
		if err := e.PutLease(t.Context(), "leased", "h", []byte("here")); err != nil {
			t.Fatal(err)
		}
		names := []string{"watched", "leased", "stored"}
		head := map[string]engine.Position{}
		for i := range 2000 {
			clock.Advance(time.Millisecond)
			mustAppend(t, e, fmt.Sprint("room-", i), message(engine.Memory, body))
			if i%100 == 0 {
				for _, name := range names {
					w := message(engine.Memory, fmt.Sprint(i))
					if name == "stored" {
						w.Durability, w.Puts = engine.OS, []engine.Put{{Key: fmt.Sprint("k", i), Data: []byte(body)}}
					}
					head[name] = mustAppend(t, e, name, w)
				}
			}
		}
		checkSum(t, e)
		for _, name := range names {
			entries, err := e.Read(t.Context(), name, engine.Position{Epoch: head[name].Epoch}, 0)
			if err != nil || len(entries) != 20 {
				t.Errorf("%s: %d entries are there, want 20 (%v)", name, len(entries), err)
			}
			if at, err := e.Head(t.Context(), name); err != nil || at != head[name] {
				t.Errorf("%s: head %v, want %v (%v)", name, at, head[name], err)
			}
		}
		if n := len(seen()); n != 20 {
			t.Errorf("the watcher was handed %d entries, want 20", n)
		}
		if _, values, err := e.State(t.Context(), "stored", "", 0); err != nil || len(values) != 20 {
			t.Errorf("%d values are there, want 20 (%v)", len(values), err)
		}
		if leases, err := e.Leases(t.Context(), "leased"); err != nil || len(leases) != 1 {
			t.Errorf("leases %v, want one (%v)", leases, err)
		}
	})

	t.Run("[E8] channels that lose nothing leave first, the longest unused before the others", func(t *testing.T) {
		e, clock := narrow(t, 1<<20)
		mustAppend(t, e, "memory", message(engine.Memory, body)) // the oldest
		for i := range 80 {
			clock.Advance(time.Millisecond)
			mustAppend(t, e, fmt.Sprint("stored-", i), message(engine.OS, body))
		}
		mustAppend(t, e, "big", message(engine.OS, strings.Repeat("x", 200_000)))
		for name, want := range map[string]bool{"memory": true, "stored-0": false, "stored-79": true, "big": true} {
			if got := resident(t, e, name); got != want {
				t.Errorf("%s is in memory: %v, want %v", name, got, want)
			}
		}
		checkSum(t, e)
	})

	t.Run("[E8] when watched channels fill the memory nothing more comes in, and all that was acknowledged stays", func(t *testing.T) {
		e, clock := narrow(t, 1<<20)
		stored := mustAppend(t, e, "stored", message(engine.OS, strings.Repeat("x", 100_000)))
		if err := e.PutLease(t.Context(), "a", "h", nil); err != nil {
			t.Fatal(err)
		}
		acked := map[string]int{}
		var stops []func()
		for i := range 100 {
			name := fmt.Sprint("room-", i)
			_, stop := observe(t, e, name)
			stops = append(stops, stop)
			_, err := e.Append(t.Context(), name, message(engine.OS, body))
			if errors.Is(err, engine.ErrOverloaded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			acked[name]++
		}
		if len(acked) < 80 || len(acked) == 100 {
			t.Fatalf("%d channels were filled", len(acked))
		}
		for name, call := range map[string]func() error{
			"append": func() error { _, err := e.Append(t.Context(), "a", message(engine.OS, body)); return err },
			"lease":  func() error { return e.PutLease(t.Context(), "a", "other", []byte(body)) },
		} {
			if err := call(); !errors.Is(err, engine.ErrOverloaded) {
				t.Errorf("%s: got %v, want ErrOverloaded", name, err)
			}
		}
		checkSum(t, e)
		if err := e.DropLease(t.Context(), "a", "h"); err != nil {
			t.Errorf("drop lease: %v", err)
		}
		for name := range acked {
			if n := len(readAll(t, e, name)); n != 1 {
				t.Errorf("%s: %d entries are there, want 1", name, n)
			}
		}

		for _, stop := range stops {
			stop()
		}
		// A refusal must stay cheap, so room is looked for again in a moment only.
		if _, err := e.Append(t.Context(), "a", message(engine.OS, body)); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		clock.Advance(shortPause * time.Millisecond)
		mustAppend(t, e, "a", message(engine.OS, body))
		if at, err := e.Head(t.Context(), "stored"); err != nil || at != stored {
			t.Errorf("head %v, want %v (%v)", at, stored, err)
		}
		checkSum(t, e)
	})

	t.Run("[E8] a stored channel is not loaded while there is no room, and comes back later", func(t *testing.T) {
		e, clock := narrow(t, 100_000)
		at := mustAppend(t, e, "stored", message(engine.OS, "x"))
		_, stop := observe(t, e, room)
		for _, size := range []int{2000, 0} { // at last no room is left for a channel
			var err error
			for err == nil {
				err = appendErr(t, e, room, message(engine.Memory, strings.Repeat("x", size)))
				clock.Advance(time.Second)
			}
			if !errors.Is(err, engine.ErrOverloaded) {
				t.Fatal(err)
			}
		}
		if resident(t, e, "stored") {
			t.Fatal("it stayed in memory")
		}
		if _, err := e.Head(t.Context(), "stored"); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		e.scanFrom = nil
		e.sweepStore(100) // finds what is old in it, and no room for it
		stop()
		clock.Advance(shortPause * time.Millisecond)
		if head, err := e.Head(t.Context(), "stored"); err != nil || head != at {
			t.Errorf("head %v, want %v (%v)", head, at, err)
		}
		checkSum(t, e)
	})

	t.Run("[E8] a write that is larger than the bound is refused, and costs nobody anything", func(t *testing.T) {
		e, _ := narrow(t, 50_000)
		mustAppend(t, e, room, message(engine.Memory, "x"))
		if _, err := e.Append(t.Context(), "big", message(engine.Memory, strings.Repeat("x", 50_000))); !errors.Is(err, engine.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		if !resident(t, e, room) {
			t.Error("another channel had to go")
		}
	})
}

func TestMemoryIsCounted(t *testing.T) {
	t.Run("whatever happens to a channel, the sum is what is held", func(t *testing.T) {
		e, clock := narrow(t, 1<<20)
		rng := rand.New(rand.NewPCG(7, 11))
		pick := func(of string, n int) string { return fmt.Sprint(of, rng.IntN(n)) }
		for i := range 3000 {
			name := pick("room-", 40)
			w := message(engine.Durability(rng.IntN(2)), strings.Repeat("x", rng.IntN(3000)))
			w.Retention.Messages = 20
			switch rng.IntN(8) {
			case 0:
				w.Puts = []engine.Put{{Key: pick("k", 30), Data: []byte(pick("v", 100000))}, {Key: "twice"}, {Key: "twice", Data: []byte("x")}}
			case 1:
				w.Puts = []engine.Put{{Key: pick("k", 30), Tombstone: true}}
			case 2:
				w.Keep = time.Duration(1+rng.IntN(100)) * time.Minute
			case 3:
				w.If = []engine.Condition{{Key: pick("k", 30), Version: uint64(rng.IntN(20))}}
			case 4:
				w.ID = pick("id-", 5)
			case 5:
				if err := e.PutLease(t.Context(), name, pick("h", 5), []byte(pick("v", 100000))); err != nil {
					t.Fatal(err)
				}
			case 6:
				for h := range 5 {
					if err := e.DropLease(t.Context(), name, fmt.Sprint("h", h)); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, conflict := errors.AsType[*engine.ConflictError](appendErr(t, e, name, w))
			if conflict && len(w.If) == 0 {
				t.Fatal("a conflict without a condition")
			}
			clock.Advance(time.Duration(rng.IntN(2000)) * time.Millisecond)
			if i%300 == 0 {
				clock.Advance(40 * 24 * time.Hour)
				e.sweepAll()
			}
			if i%20 == 0 {
				checkSum(t, e)
			}
		}
	})

	t.Run("[E1] [E8] writers to many channels at once stay within the bound and lose no order", func(t *testing.T) {
		e := open(t, Options{SweepEvery: time.Millisecond, MaxMemory: 1 << 20})
		defer mustClose(t, e)
		seen, _ := observe(t, e, room)
		const writers, each = 4, 300
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for n := range each {
					if err := appendErr(t, e, fmt.Sprint("room-", i, n), message(engine.Memory, strings.Repeat("x", 5000))); err != nil {
						t.Errorf("append: %v", err)
					}
					if err := appendErr(t, e, room, message(engine.Memory, "x")); err != nil {
						t.Errorf("append: %v", err)
					}
					if used := e.memory.used.Load(); used > 1<<20+writers*6000 {
						t.Errorf("%d bytes are used", used)
					}
				}
			})
		}
		wg.Wait()
		got := seen()
		if len(got) != writers*each {
			t.Fatalf("%d entries were delivered, want %d", len(got), writers*each)
		}
		for i, en := range got {
			if en.Offset != uint64(i+1) || en.Prev != uint64(i) {
				t.Fatalf("entry %d has offset %d and prev %d", i, en.Offset, en.Prev)
			}
		}
		checkSum(t, e)
	})
}

// appendErr is an append of which only the error counts.
func appendErr(t *testing.T, e *Engine, name string, w engine.Write) error {
	_, err := e.Append(t.Context(), name, w)
	return err
}

func TestChannelsThatComeAndGo(t *testing.T) {
	t.Run("[E8] channels that come and go all day do not stay in memory, and what holds nothing does not stay on disk", func(t *testing.T) {
		const waves, each = 20, 2000
		clock := newFakeClock()
		e := open(t, Options{Dir: t.TempDir(), Clock: clock.Now, SweepEvery: 24 * time.Hour, TombstoneAge: 12 * time.Hour})
		defer mustClose(t, e)
		most, first := 0, 0.0
		for wave := range waves {
			for i := range each {
				w := message(engine.OS, strings.Repeat("x", 1000))
				if i%2 == 0 {
					w.Durability = engine.Memory
				}
				mustAppend(t, e, fmt.Sprint("room-", wave, "-", i), w)
			}
			clock.Advance(24 * time.Hour / waves)
			e.sweepStore(waves * each)
			for range 2 { // what retention drops in the first round leaves in the second
				e.sweepAll()
			}
			most = max(most, residents(e))
			if wave == 0 {
				first = heap() - storeHeap(e)
			}
		}
		if most > 0 {
			t.Errorf("%d channels stay, of waves of %d", most, each)
		}
		if grown := heap() - storeHeap(e) - first; grown > 16<<20 { // in memory they would be 90 MB
			t.Errorf("the heap grew by %.0f bytes", grown)
		}
		if n := stored(t, e, prefixEntry); n != 0 {
			t.Errorf("%d entries are stored that retention has dropped", n)
		}
		if n := stored(t, e, prefixHeader); n > (waves/2+2)*each/2 {
			t.Errorf("%d positions are stored, of %d channels that were used in the last 12 hours", n, waves/2*each/2)
		}
	})
}

// storeHeap is what Pebble's cache and memtables take of Go's heap.
func storeHeap(e *Engine) float64 {
	if !storeOnHeap {
		return 0
	}
	m := e.store.db.Metrics()
	return float64(m.BlockCache.Size) + float64(m.MemTable.Size) + float64(m.MemTable.ZombieSize)
}

func residents(e *Engine) (n int) {
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		n += len(s.channels)
		s.mu.Unlock()
	}
	return n
}
