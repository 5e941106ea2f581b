package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

const room = "room-7"

func boot(id string) func() string { return func() string { return id } }

func mustAppend(t testing.TB, e *Engine, channel string, w engine.Write) engine.Position {
	t.Helper()
	r, err := e.Append(t.Context(), channel, w)
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

func message(d engine.Durability, text string) engine.Write {
	return engine.Write{Kind: engine.KindMessage, Data: []byte(text), Durability: d}
}

func readAll(t testing.TB, e *Engine, channel string) []engine.Entry {
	t.Helper()
	entries, err := e.Read(t.Context(), channel, engine.Position{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func mustClose(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyOf is what a process finds after kill -9 of the one that has dir open:
// what was handed to the operating system, and nothing else.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // Pebble deletes what it no longer needs in the background
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestUncleanEnd(t *testing.T) {
	t.Run("[E3] an entry of class os is with the operating system when it is acknowledged", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		defer mustClose(t, e)
		for i := range 5 {
			at := mustAppend(t, e, room, message(engine.OS, fmt.Sprint(i)))
			found := open(t, Options{Dir: copyOf(t, dir)})
			head, err := found.Head(t.Context(), room)
			if err != nil || head != at {
				t.Errorf("found %v, want %v (%v)", head, at, err)
			}
			mustClose(t, found)
		}
	})

	t.Run("[E7] the epoch outlives the process, not the machine", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir, BootID: boot("one")})
		defer mustClose(t, e)
		at := mustAppend(t, e, room, message(engine.OS, "a"))
		for id, same := range map[string]bool{"one": true, "two": false, "": false} {
			again := open(t, Options{Dir: copyOf(t, dir), BootID: boot(id)})
			head, err := again.Head(t.Context(), room)
			if err != nil || (head.Epoch == at.Epoch) != same || head.Offset != at.Offset {
				t.Errorf("boot %q: head %v after %v, want the same epoch: %v (%v)", id, head, at, same, err)
			}
			next := mustAppend(t, again, room, message(engine.OS, "b"))
			if next.Epoch != head.Epoch {
				t.Errorf("boot %q: epoch %s became %s", id, head.Epoch, next.Epoch)
			}
			mustClose(t, again)
		}
	})

	t.Run("[E7] after a clean end the epoch outlives the machine too", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir, BootID: boot("one")})
		at := mustAppend(t, e, room, message(engine.OS, "a"))
		mustClose(t, e)
		e = open(t, Options{Dir: dir, BootID: boot("two")})
		defer mustClose(t, e)
		if head, err := e.Head(t.Context(), room); err != nil || head != at {
			t.Errorf("head %v, want %v (%v)", head, at, err)
		}
	})

	t.Run("[E7] a new epoch lasts until the next loss, whether or not the channel was written", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir, BootID: boot("one")})
		mustAppend(t, e, "quiet", message(engine.OS, "a"))
		lost := copyOf(t, dir)
		mustClose(t, e)
		var epochs []string
		for _, id := range []string{"two", "two", "three"} {
			e := open(t, Options{Dir: lost, BootID: boot(id)})
			head, err := e.Head(t.Context(), "quiet")
			if err != nil {
				t.Fatal(err)
			}
			epochs = append(epochs, head.Epoch)
			next := copyOf(t, lost)
			mustClose(t, e)
			lost = next
		}
		if epochs[0] != epochs[1] || epochs[1] == epochs[2] {
			t.Errorf("epochs %v, want two alike and another one", epochs)
		}
	})

	t.Run("[E1] a log whose end was torn off opens with a prefix", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		for i := range 40 {
			mustAppend(t, e, room, message(engine.OS, strings.Repeat(fmt.Sprint(i, " "), 20)))
		}
		defer mustClose(t, e)
		for _, cut := range []int64{1, 7, 100, 1000, 2500} {
			torn := copyOf(t, dir)
			tear(t, torn, cut)
			again := open(t, Options{Dir: torn})
			entries := readAll(t, again, room)
			if len(entries) == 0 || len(entries) >= 40 {
				t.Errorf("%d bytes torn off: %d entries are left", cut, len(entries))
			}
			for i, en := range entries {
				if en.Offset != uint64(i+1) || !strings.HasPrefix(string(en.Data), fmt.Sprint(i, " ")) {
					t.Errorf("%d bytes torn off: entry %d is %d %q", cut, i, en.Offset, en.Data)
				}
			}
			next := mustAppend(t, again, room, message(engine.OS, "next"))
			if next.Offset != uint64(len(entries)+1) {
				t.Errorf("%d bytes torn off: next offset is %d", cut, next.Offset)
			}
			mustClose(t, again)
		}
	})
}

// tear overwrites the end of what was written to the newest log: files are
// larger than what was written to them, so cutting them would cut nothing.
func tear(t *testing.T, dir string, n int64) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log in %s: %v", dir, err)
	}
	newest := logs[len(logs)-1]
	b, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(len(strings.TrimRight(string(b), "\x00")))
	if err := os.WriteFile(newest, b[:max(0, end-n)], 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPowerLoss takes the power a dozen times, or, when CHORALE_SOAK is set, a
// thousand times.
func TestPowerLoss(t *testing.T) {
	seeds := uint64(12)
	if os.Getenv("CHORALE_SOAK") != "" {
		seeds = 1000
	}
	t.Run("[E3] what was acknowledged as disk survives, and the rest is a prefix under a new epoch", func(t *testing.T) {
		for seed := range seeds {
			powerLoss(t, seed)
		}
		t.Logf("%d power losses, three in a row each time", 3*seeds)
	})
}

func TestPowerLossAtAnyWrite(t *testing.T) {
	seeds := uint64(60)
	if os.Getenv("CHORALE_SOAK") != "" {
		seeds = 3000
	}
	t.Run("[E3] a store opens again whichever write was the last before the power went, also of its first start", func(t *testing.T) {
		for seed := range seeds {
			rng := rand.New(rand.NewPCG(seed, 2))
			fs := vfs.NewCrashableMem()
			for life := range 3 {
				crashed := powerLossAtWrite(t, fs, fmt.Sprint(life), rng.Int64N(60), vfs.CrashCloneCfg{
					UnsyncedDataPercent: rng.IntN(100), RNG: rand.New(rand.NewPCG(seed, uint64(life))),
				})
				if crashed == nil {
					t.Fatalf("seed %d, life %d", seed, life)
				}
				fs = crashed
			}
		}
	})
}

// powerLossAtWrite starts, writes and stops, and returns the file system as it
// would be had the power gone at the given write, or at the end when there are
// not so many.
func powerLossAtWrite(t *testing.T, fs *vfs.MemFS, bootID string, at int64, cfg vfs.CrashCloneCfg) (crashed *vfs.MemFS) {
	t.Helper()
	var writes atomic.Int64
	hook := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == at {
			crashed = fs.CrashClone(cfg)
		}
		return nil
	}))
	e, err := Open(Options{Dir: "data/log", FS: hook, BootID: boot(bootID), BallastBytes: -1, Logger: quietLog().log})
	if err != nil {
		files, listErr := fs.List("data/log")
		t.Errorf("%v; there are %v (%v)", err, files, listErr)
		return nil
	}
	for i := range 10 {
		mustAppend(t, e, room, message(engine.Durability(1+i%2), "x"))
		if i == 5 {
			if err := e.store.db.Flush(); err != nil {
				t.Error(err)
			}
		}
	}
	mustClose(t, e)
	if crashed == nil {
		crashed = fs.CrashClone(cfg)
	}
	return crashed
}

func TestLogRotation(t *testing.T) {
	t.Run("[E3] an entry of class disk keeps what came before it in an older log", func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		tables := &heldTables{FS: mem, release: make(chan struct{})}
		e := open(t, Options{Dir: "store", FS: tables, BootID: boot("one")})
		for i := range 200 {
			mustAppend(t, e, room, message(engine.OS, strings.Repeat(fmt.Sprint(i, " "), 100)))
		}
		flushed, err := e.store.db.AsyncFlush() // begins a new log
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, e, room, message(engine.Disk, "disk"))
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		close(tables.release)
		<-flushed
		mustClose(t, e)

		e = open(t, Options{Dir: "store", FS: crashed, BootID: boot("two")})
		defer mustClose(t, e)
		if entries := readAll(t, e, room); len(entries) != 201 {
			t.Errorf("%d entries are left, want 201", len(entries))
		}
	})
}

// heldTables lets no table be made until release is closed, so that the log
// alone has the data.
type heldTables struct {
	vfs.FS
	release chan struct{}
}

func (h *heldTables) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		<-h.release
	}
	return h.FS.Create(name, category)
}

// powerLoss writes with all classes at once, and meanwhile loses a random part of
// what was not fsynced: blocks of files, wherever they are, and directory entries.
// It looks at what is left, goes on with that, and does so three times.
func powerLoss(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	// Pebble's format is in force from the second log on.
	mustClose(t, open(t, Options{Dir: "store", FS: fs, BootID: boot("0")}))
	kept := map[string]string{} // id → channel, of acknowledged disk appends
	for life := range 3 {
		e := open(t, Options{Dir: "store", FS: fs, BootID: boot(fmt.Sprint(life))})
		crashed, at := writeUntilPowerLoss(t, e, fs, rng, life, kept)
		mustClose(t, e)
		e = open(t, Options{Dir: "store", FS: crashed, BootID: boot(fmt.Sprint(life + 1))})
		found := map[string]string{}
		for i := range 3 {
			channel := fmt.Sprint("room-", i)
			for n, en := range readAll(t, e, channel) {
				found[en.ID] = channel
				if en.Offset != uint64(n+1) {
					t.Errorf("seed %d: %s: entry %d has offset %d", seed, channel, n, en.Offset)
				}
				if v, err := e.Get(t.Context(), channel, en.ID); err != nil || v.Version != en.Offset {
					t.Errorf("seed %d: half of entry %d is there: %v (%v)", seed, en.Offset, v, err)
				}
			}
		}
		for id, channel := range kept {
			if found[id] != channel {
				t.Errorf("seed %d, life %d: %s is missing in %s", seed, life, id, channel)
			}
		}
		if _, err := e.Read(t.Context(), "room-0", at, 0); !errors.Is(err, engine.ErrEpoch) {
			t.Errorf("seed %d: got %v, want ErrEpoch", seed, err)
		}
		mustClose(t, e)
		fs = crashed
	}
}

// writeUntilPowerLoss returns the file system as it is when the power goes, while
// some write and tables are made, and a position that was acknowledged before.
// What was acknowledged as disk before is added to kept.
func writeUntilPowerLoss(t *testing.T, e *Engine, fs *vfs.MemFS, rng *rand.Rand, life int, kept map[string]string) (*vfs.MemFS, engine.Position) {
	t.Helper()
	at := mustAppend(t, e, "room-0", engine.Write{Kind: engine.KindMessage, ID: fmt.Sprint("first-", life), Durability: engine.OS, Puts: []engine.Put{{Key: fmt.Sprint("first-", life)}}})
	var mu sync.Mutex // guards what follows, and kept
	var crashed *vfs.MemFS
	lossAt, appended := rng.IntN(120), 0
	percent, chance := rng.IntN(100), rand.New(rand.NewPCG(rng.Uint64(), 1)) // its own: a writer draws from it
	var wg sync.WaitGroup
	for i := range 6 {
		diskAt := rng.IntN(20)
		wg.Go(func() {
			for n := range 25 {
				d := engine.OS
				if n == diskAt {
					d = engine.Disk
				}
				channel, id := fmt.Sprint("room-", i%3), fmt.Sprintf("%d-%d-%d", life, i, n)
				w := message(d, strings.Repeat("x", 900+n))
				w.ID, w.Puts = id, []engine.Put{{Key: id, Data: []byte(id)}}
				if _, err := e.Append(t.Context(), channel, w); err != nil {
					t.Errorf("append: %v", err)
				}
				mu.Lock()
				if crashed == nil && d == engine.Disk {
					kept[id] = channel
				}
				if appended++; appended == lossAt+1 {
					crashed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: chance})
				}
				mu.Unlock()
				if n == 10 && i < 2 { // the log is rotated, and a table made
					if _, err := e.store.db.AsyncFlush(); err != nil {
						t.Errorf("flush: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	return crashed, at
}
