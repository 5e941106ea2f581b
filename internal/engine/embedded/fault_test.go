package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

// smallDisk is a disk that is full while full is set, except for as much as the
// ballast had taken: writes succeed once the ballast is gone.
type smallDisk struct {
	mem  *vfs.MemFS
	full atomic.Bool
}

func (d *smallDisk) fs() vfs.FS {
	return errorfs.Wrap(d.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !d.full.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove {
			return nil
		}
		_, err := d.mem.Stat("store/ballast")
		if hasBallast := err == nil; hasBallast || strings.HasSuffix(op.Path, "ballast") {
			return syscall.ENOSPC
		}
		return nil
	}))
}

func TestFullDisk(t *testing.T) {
	t.Run("[E8] what is under way finishes, then appends are refused until there is space, reads go on", func(t *testing.T) {
		disk, clock := &smallDisk{mem: vfs.NewMem()}, newFakeClock()
		o := Options{Dir: "store", FS: disk.fs(), Clock: clock.Now, BallastBytes: 1 << 16}
		e := open(t, o)
		mustAppend(t, e, room, message(engine.OS, "before"))
		if err := e.Healthy(); err != nil {
			t.Errorf("healthy: %v", err)
		}

		disk.full.Store(true)
		mustAppend(t, e, room, message(engine.OS, "under way"))
		for range 3 {
			if _, err := e.Append(t.Context(), room, message(engine.OS, "refused")); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			clock.Advance(probeEvery)
		}
		if err := e.Healthy(); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("healthy: got %v, want that the disk is full", err)
		}
		if got := len(readAll(t, e, room)); got != 2 {
			t.Errorf("%d entries can be read, want 2", got)
		}
		mustAppend(t, e, "chat", message(engine.Memory, "needs no disk"))

		disk.full.Store(false)
		clock.Advance(probeEvery)
		if err := e.Healthy(); err != nil {
			t.Errorf("healthy with space again: %v", err)
		}
		mustAppend(t, e, room, message(engine.OS, "after"))
		if _, err := disk.mem.Stat("store/ballast"); err != nil {
			t.Errorf("ballast: %v", err)
		}
		mustClose(t, e)

		e = open(t, o)
		defer mustClose(t, e)
		var got []string
		for _, en := range readAll(t, e, room) {
			got = append(got, string(en.Data))
		}
		if fmt.Sprint(got) != "[before under way after]" {
			t.Errorf("after all this the log is %v", got)
		}
	})

	t.Run("[E8] a store without room for its ballast opens and refuses appends", func(t *testing.T) {
		disk := &smallDisk{mem: vfs.NewMem()}
		disk.full.Store(true)
		e := open(t, Options{Dir: "store", FS: disk.fs(), BallastBytes: 1 << 16})
		defer mustClose(t, e)
		if _, err := e.Append(t.Context(), room, message(engine.OS, "x")); !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

// faulty lets operations of one kind on one sort of file fail while it is on.
type faulty struct {
	on     atomic.Bool
	kind   errorfs.OpKind
	suffix string
	prefix string
}

var errIO = errors.New("input/output error")

func (f *faulty) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		name := op.Path[strings.LastIndexByte(op.Path, '/')+1:]
		if f.on.Load() && op.Kind == f.kind && strings.HasSuffix(name, f.suffix) && strings.HasPrefix(name, f.prefix) {
			return errIO
		}
		return nil
	}))
}

func TestWriteError(t *testing.T) {
	for name, kind := range map[string]errorfs.OpKind{"write": errorfs.OpFileWrite, "fsync": errorfs.OpFileSyncData} {
		t.Run("[E8] after a failed "+name+" of the log nothing is acknowledged or shown, and reads go on", func(t *testing.T) {
			mem, fault := vfs.NewMem(), &faulty{kind: kind, suffix: ".log"}
			e := open(t, Options{Dir: "store", FS: fault.wrap(mem)})
			r := collect(t, e)
			at := mustAppend(t, e, room, message(engine.Disk, "before"))
			mustAppend(t, e, "chat", message(engine.Memory, "before"))

			fault.on.Store(true)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					w := message(engine.Disk, "lost")
					channel := room
					if i >= 4 {
						channel = fmt.Sprint("another-", i) // in another shard, most likely
					}
					w.ID = fmt.Sprint("id-", i%2) // half of them repeats of one that is in flight
					if _, err := e.Append(t.Context(), channel, w); !errors.Is(err, engine.ErrUnavailable) {
						t.Errorf("got %v, want ErrUnavailable", err)
					}
				})
			}
			wg.Wait()
			fault.on.Store(false)
			if _, err := e.Append(t.Context(), room, message(engine.OS, "later")); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("later: got %v, want ErrUnavailable", err)
			}
			if err := e.Healthy(); !errors.Is(err, errIO) {
				t.Errorf("healthy: got %v, want the cause", err)
			}
			if head, err := e.Head(t.Context(), room); err != nil || head != at {
				t.Errorf("head %v, want %v (%v)", head, at, err)
			}
			if got := r(); got != 1 {
				t.Errorf("%d entries were delivered, want 1", got)
			}
			mustAppend(t, e, "chat", message(engine.Memory, "goes on"))
			_ = e.Close() // it says what went wrong

			e = open(t, Options{Dir: "store", FS: mem})
			defer mustClose(t, e)
			if got := readAll(t, e, room); len(got) == 0 || string(got[0].Data) != "before" {
				t.Errorf("the acknowledged entry is gone: %v", got)
			}
		})
	}

	t.Run("[E8] a table that cannot be written ends writing before the log's data is given up", func(t *testing.T) {
		mem, fault := vfs.NewMem(), &faulty{kind: errorfs.OpCreate, suffix: ".sst"}
		e := open(t, Options{Dir: "store", FS: fault.wrap(mem)})
		mustAppend(t, e, room, message(engine.OS, "before"))
		fault.on.Store(true)
		if _, err := e.store.db.AsyncFlush(); err != nil {
			t.Fatal(err)
		}
		await(t, "the failure", func() bool { return e.Healthy() != nil })
		if got := len(readAll(t, e, room)); got != 1 {
			t.Errorf("%d entries can be read, want 1", got)
		}
		_ = e.Close() // it says what went wrong

		e = open(t, Options{Dir: "store", FS: mem})
		defer mustClose(t, e)
		if got := len(readAll(t, e, room)); got != 1 {
			t.Errorf("%d entries are left, want 1", got)
		}
	})

	t.Run("a store that cannot be made says so", func(t *testing.T) {
		fault := &faulty{kind: errorfs.OpFileSync, prefix: "MANIFEST"}
		fault.on.Store(true)
		o := Options{Dir: "store", FS: fault.wrap(vfs.NewMem()), BallastBytes: -1}
		if _, err := Open(o); !errors.Is(err, errIO) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

// collect watches the room and returns a function that counts what came.
func collect(t *testing.T, e *Engine) func() int {
	t.Helper()
	var n atomic.Int64
	_, stop, err := e.Watch(t.Context(), room, engine.SinkFunc(func(events []engine.Event) { n.Add(int64(len(events))) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() int { return int(n.Load()) }
}

// await polls until something that happens in another goroutine has happened.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// manifestChildEnv makes the test binary run manifestChild: a Pebble whose
// MANIFEST failed cannot be closed, so its goroutines end with its process.
const manifestChildEnv = "CHORALE_TEST_MANIFEST_DIR"

func TestManifestError(t *testing.T) {
	t.Run("[E8] when Pebble's list of tables cannot be written, writing ends, reads go on, and the store opens again", func(t *testing.T) {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), manifestChildEnv+"="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		e := open(t, Options{Dir: dir})
		defer mustClose(t, e)
		if got := len(readAll(t, e, room)); got != 1 {
			t.Errorf("%d entries are left, want 1", got)
		}
	})
}

// manifestChild lets the MANIFEST fail and reports on its error output whether
// the engine did what it should.
func manifestChild() bool {
	dir := os.Getenv(manifestChildEnv)
	if dir == "" {
		return false
	}
	if err := manifestFails(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func manifestFails(dir string) error {
	ctx := context.Background()
	fault := &faulty{kind: errorfs.OpFileSync, prefix: "MANIFEST"}
	var logged bytes.Buffer
	e, err := Open(Options{
		Dir: dir, FS: fault.wrap(vfs.Default), BallastBytes: -1,
		Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	if err != nil {
		return err
	}
	if _, err := e.Append(ctx, room, message(engine.OS, "before")); err != nil {
		return err
	}
	fault.on.Store(true)
	if _, err := e.store.db.AsyncFlush(); err != nil {
		return err
	}
	for !e.store.log.parked.Load() {
		time.Sleep(time.Millisecond)
	}
	fault.on.Store(false)
	if _, err := e.Append(ctx, room, message(engine.OS, "after")); !errors.Is(err, engine.ErrUnavailable) {
		return fmt.Errorf("append: got %w, want ErrUnavailable", err)
	}
	if entries, err := e.Read(ctx, room, engine.Position{}, 0); err != nil || len(entries) != 1 {
		return fmt.Errorf("read: %d entries, %w", len(entries), err)
	}
	if head, err := e.Head(ctx, "another"); err != nil || head.Offset != 0 {
		return fmt.Errorf("read from the store: %v, %w", head, err)
	}
	if err := e.Close(); !errors.Is(err, engine.ErrUnavailable) {
		return fmt.Errorf("close: got %w, want ErrUnavailable", err)
	}
	if !strings.Contains(logged.String(), "MANIFEST") {
		return fmt.Errorf("the operator was not told: %s", logged.String())
	}
	return nil
}
