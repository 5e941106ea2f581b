package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/internal/engine"
)

func mustBackup(t *testing.T, e *Engine) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := e.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// restored opens the store of a backup.
func restored(t *testing.T, b []byte) *Engine {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "log")
	if _, err := Restore(dir, bytes.NewReader(b), nil); err != nil {
		t.Fatal(err)
	}
	return open(t, Options{Dir: dir})
}

func TestBackup(t *testing.T) {
	t.Run("[E3] everything that was acknowledged before is in it, and nothing is torn, while others write", func(t *testing.T) {
		e := open(t, Options{Dir: t.TempDir()})
		defer mustClose(t, e)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		reached := make(chan struct{}, 4)
		for i := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					w := keyed(fmt.Sprint("writer-", i), fmt.Sprintf("0-%d-%d", i, n))
					if _, err := e.Append(ctx, fmt.Sprint("room-", n%3), w); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
					if n == 200 {
						reached <- struct{}{}
					}
				}
			})
		}
		for range 4 {
			<-reached
		}
		before := acked{}
		for i := range 3 {
			name := fmt.Sprint("room-", i)
			before[name] = map[uint64]string{}
			for _, en := range readAll(t, e, name) {
				before[name][en.Offset] = en.ID
			}
		}
		b := mustBackup(t, e)
		cancel()
		wg.Wait()

		r := restored(t, b)
		defer mustClose(t, r)
		for name, ids := range before {
			if len(ids) < 200 {
				t.Errorf("%s had %d entries only", name, len(ids))
			}
			checkLog(t, r, name, ids)
		}
	})

	t.Run("[E7] no position in what was lost is taken for one in what is there", func(t *testing.T) {
		e := open(t, Options{Dir: t.TempDir()})
		defer mustClose(t, e)
		mustAppend(t, e, room, message(engine.OS, "kept"))
		b := mustBackup(t, e)
		lost := mustAppend(t, e, room, message(engine.OS, "lost"))
		epochs := map[string]bool{lost.Epoch: true}
		for range 2 {
			r := restored(t, b)
			for range 2 {
				next := mustAppend(t, r, room, message(engine.OS, "another"))
				epochs[next.Epoch] = true
			}
			for offset := uint64(1); offset <= 3; offset++ { // the log has grown past it
				if _, err := r.Read(t.Context(), room, engine.Position{Epoch: lost.Epoch, Offset: offset}, 0); !errors.Is(err, engine.ErrEpoch) {
					t.Errorf("offset %d: %v, want ErrEpoch", offset, err)
				}
			}
			mustClose(t, r)
		}
		if len(epochs) != 3 {
			t.Errorf("epochs %v, want one of the log and one of each restoration", epochs)
		}
	})

	t.Run("[E4] [E5] [E6] ids, versions, tombstones, what stays and what was lost are as they were", func(t *testing.T) {
		clock := newFakeClock()
		e := open(t, Options{Dir: t.TempDir(), Clock: clock.Now})
		defer mustClose(t, e)
		first := fillWithAll(t, e)
		dir := filepath.Join(t.TempDir(), "log")
		if _, err := Restore(dir, bytes.NewReader(mustBackup(t, e)), nil); err != nil {
			t.Fatal(err)
		}
		r := open(t, Options{Dir: dir, Clock: clock.Now})
		defer mustClose(t, r)
		checkAll(t, r, first)
	})

	t.Run("what lives in memory only is not in it", func(t *testing.T) {
		e := open(t, Options{Dir: t.TempDir()})
		defer mustClose(t, e)
		mustAppend(t, e, room, message(engine.Memory, "a"))
		r := restored(t, mustBackup(t, e))
		defer mustClose(t, r)
		if n := len(readAll(t, r, room)); n != 0 {
			t.Errorf("%d entries", n)
		}
	})

	t.Run("it ends with its context, with the engine, and with who reads it", func(t *testing.T) {
		e := open(t, Options{Dir: t.TempDir()})
		for i := range 50 {
			mustAppend(t, e, room, message(engine.OS, strings.Repeat(fmt.Sprint(i), 4000)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		gone := errors.New("gone")
		if _, err := e.Backup(t.Context(), writerFunc(func([]byte) (int, error) { return 0, gone })); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
		// Its second block is written when Close has begun.
		blocks, closed := 0, make(chan error, 1)
		_, err := e.Backup(t.Context(), writerFunc(func(b []byte) (int, error) {
			if blocks++; blocks == 2 {
				go func() { closed <- e.Close() }()
				<-e.stop
			}
			return len(b), nil
		}))
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, err := e.Backup(t.Context(), io.Discard); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// fillWithAll makes a channel that has everything which the store can hold, and
// returns the position of the entry with the id "first".
func fillWithAll(t *testing.T, e *Engine) engine.Position {
	t.Helper()
	few := engine.Retention{Messages: 3}
	mustAppend(t, e, room, engine.Write{Kind: engine.KindMessage, Data: []byte("lost"), Durability: engine.OS, Retention: few})
	mustAppend(t, e, room, engine.Write{Kind: engine.KindMessage, ID: "stays", Data: []byte("stays"), Durability: engine.OS, Retention: few, Keep: 100 * 365 * 24 * 3600e9})
	mustAppend(t, e, room, engine.Write{Kind: engine.KindChange, Durability: engine.OS, Retention: few, Puts: []engine.Put{{Key: "gone", Tombstone: true, Data: []byte("t")}, {Key: "a", Data: []byte("1")}}})
	mustAppend(t, e, room, engine.Write{Kind: engine.KindBinary, Data: []byte{1, 'e', 0xff}, Durability: engine.OS, Retention: few, Origin: "member"})
	first := mustAppend(t, e, room, engine.Write{Kind: engine.KindChange, ID: "first", Durability: engine.Disk, Retention: few, Puts: []engine.Put{{Key: "b", Data: []byte("2")}}})
	mustAppend(t, e, room, engine.Write{Kind: engine.KindMessage, Data: []byte("last"), Durability: engine.OS, Retention: few})
	return first
}

// checkAll looks whether a store holds what fillWithAll made.
func checkAll(t *testing.T, e *Engine, first engine.Position) {
	t.Helper()
	head, values, err := e.State(t.Context(), room, "", 0)
	if err != nil || head.Offset != 6 || fmt.Sprintf("%s%d %s%d", values[0].Data, values[0].Version, values[1].Data, values[1].Version) != "13 25" || len(values) != 2 {
		t.Errorf("state %v at %v (%v)", values, head, err)
	}
	if v, err := e.Get(t.Context(), room, "gone"); err != nil || !v.Tombstone || v.Version != 3 || string(v.Data) != "t" {
		t.Errorf("tombstone %+v (%v)", v, err)
	}
	if _, err := e.Read(t.Context(), room, engine.Position{}, 0); !errors.Is(err, engine.ErrTruncated) {
		t.Errorf("from the beginning: %v, want ErrTruncated", err)
	}
	entries, err := e.Since(t.Context(), room, 0, 0)
	got := ""
	for _, en := range entries {
		got += fmt.Sprintf("%d<%d %d %q %q %q; ", en.Prev, en.Offset, en.Kind, en.ID, en.Origin, en.Data)
	}
	const want = `1<2 1 "stays" "" "stays"; 3<4 2 "" "member" "\x01e\xff"; 4<5 3 "first" "" ""; 5<6 1 "" "" "last"; `
	if err != nil || got != want {
		t.Errorf("entries %s\nwant %s (%v)", got, want, err)
	}
	r, err := e.Append(t.Context(), room, engine.Write{ID: "first", Durability: engine.OS})
	if err != nil || !r.Duplicate || r.Position.Offset != first.Offset {
		t.Errorf("repeat %+v, first %+v (%v)", r, first, err)
	}
	var conflict *engine.ConflictError
	_, err = e.Append(t.Context(), room, engine.Write{Durability: engine.OS, If: []engine.Condition{{Key: "gone", Version: 0}}})
	if !errors.As(err, &conflict) || conflict.Current.Version != 3 {
		t.Errorf("condition: %v", err)
	}
}

func keyed(key, id string) engine.Write {
	return engine.Write{
		Kind: engine.KindMessage, ID: id, Data: []byte(id), Durability: engine.OS,
		Puts: []engine.Put{{Key: key, Data: []byte(id)}}, Retention: engine.Retention{Messages: 1 << 20},
	}
}

func TestBackupDir(t *testing.T) {
	t.Run("a store that nobody has open is read and not changed, however it ended", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		first := fillWithAll(t, e)
		killed := copyOf(t, dir)
		mustClose(t, e)
		for name, dir := range map[string]string{"closed": dir, "killed": killed} {
			before := sums(t, dir)
			var out bytes.Buffer
			if _, err := BackupDir(t.Context(), dir, &out, false, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if after := sums(t, dir); after != before {
				t.Errorf("%s: files\n%s\nbecame\n%s", name, before, after)
			}
			r := restored(t, out.Bytes())
			checkAll(t, r, first)
			mustClose(t, r)
		}
	})

	t.Run("what is open, missing or of a newer format is refused", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, Options{Dir: dir})
		if _, err := BackupDir(t.Context(), dir, io.Discard, false, nil); err == nil {
			t.Error("open: it was read")
		}
		if err := noteFormat(e.store.db, storeFormat+1); err != nil {
			t.Fatal(err)
		}
		mustClose(t, e)
		if _, err := BackupDir(t.Context(), dir, io.Discard, false, nil); err == nil || !strings.Contains(err.Error(), "newer Chorale") {
			t.Errorf("newer: %v", err)
		}
		missing := filepath.Join(t.TempDir(), "missing")
		if _, err := BackupDir(t.Context(), missing, io.Discard, false, nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("missing: %v", err)
		}
		if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it was made: %v", err)
		}
	})
}

// sums are the names of the files in a directory and what is in them.
func sums(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%s %x\n", f.Name(), sha256.Sum256(b))
	}
	return out
}

func TestRestore(t *testing.T) {
	e := open(t, Options{Dir: t.TempDir()})
	defer mustClose(t, e)
	first := fillWithAll(t, e)
	whole := mustBackup(t, e)

	// nothing fails unless there is nothing at all in the parent of dir.
	nothing := func(t *testing.T, dir string) {
		t.Helper()
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	}

	t.Run("a directory that holds something is refused and left alone", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		before := sums(t, dir)
		if _, err := Restore(dir, bytes.NewReader(whole), nil); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("got %v", err)
		}
		if after := sums(t, dir); after != before {
			t.Errorf("it became %s", after)
		}
	})

	t.Run("a backup that is damaged, of a newer format, or of something else leaves nothing behind", func(t *testing.T) {
		newer, other := new(bytes.Buffer), new(bytes.Buffer)
		for out, head := range map[*bytes.Buffer]backup.Head{newer: {Format: storeFormat + 1}, other: {Format: storeFormat}} {
			w, err := backup.NewWriter(out, head)
			if err == nil {
				err = w.Add([]byte(metaGeneration), []byte("mine"))
			}
			if err == nil {
				_, err = w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 1
		for name, b := range map[string][]byte{
			"cut": whole[:len(whole)-3], "flipped": flipped, "newer": newer.Bytes(), "other": other.Bytes(), "empty": nil,
		} {
			dir := filepath.Join(t.TempDir(), "log")
			if _, err := Restore(dir, bytes.NewReader(b), nil); err == nil {
				t.Errorf("%s: it was taken", name)
			}
			nothing(t, dir)
		}
	})

	t.Run("whatever write fails, there is all of it or nothing", func(t *testing.T) {
		for at := 0; ; at++ {
			mem := vfs.NewMem()
			if err := mem.MkdirAll("data", 0o700); err != nil {
				t.Fatal(err)
			}
			var writes atomic.Int64
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == int64(at+1) {
					return syscall.ENOSPC
				}
				return nil
			}))
			_, err := Restore("data/log", bytes.NewReader(whole), fs)
			if writes.Load() <= int64(at) {
				if err != nil || at < 10 {
					t.Errorf("nothing failed, after %d writes: %v", at, err)
				}
				return
			}
			if err == nil { // Pebble found another way
				r := open(t, Options{Dir: "data/log", FS: mem})
				checkAll(t, r, first)
				mustClose(t, r)
				continue
			}
			if left, err := mem.List("data"); err != nil || len(left) > 0 {
				t.Errorf("after write %d failed: left is %v (%v)", at, left, err)
			}
		}
	})
}
