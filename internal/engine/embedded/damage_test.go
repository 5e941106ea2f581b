package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// damagedEntries is how many entries the store of these tests has: enough for
// several blocks of the log.
const damagedEntries = 160

func damagedText(i int) string { return strings.Repeat(fmt.Sprintf("%06d ", i), 100) }

// wholeStore makes a store whose data are in the log, or in a table.
func wholeStore(t *testing.T, flush bool) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewMem()
	e := open(t, Options{Dir: "store", FS: mem, BootID: boot("one")})
	e.store.compacting.hold() // what there is to be merged is left to who opens the store next
	for i := range damagedEntries {
		w := message(engine.OS, damagedText(i))
		w.Puts = []engine.Put{{Key: "newest", Data: []byte(damagedText(i))}}
		mustAppend(t, e, fmt.Sprint("room-", i%4), w)
		if flush && (i+1)%(damagedEntries/4) == 0 {
			if err := e.store.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, e)
	return mem
}

// flipped is a copy of a store in which one bit of a file is another.
func flipped(t *testing.T, mem *vfs.MemFS, file string, at int) *vfs.MemFS {
	t.Helper()
	return changed(t, mem, file, at, 1<<(at%8))
}

// changed is one in which these bits of a byte are others.
func changed(t *testing.T, mem *vfs.MemFS, file string, at int, bits byte) *vfs.MemFS {
	t.Helper()
	out := vfs.NewMem()
	if _, err := vfs.Clone(mem, out, "store", "store"); err != nil {
		t.Fatal(err)
	}
	b := fileOf(t, out, file)
	b[at] ^= bits
	f, err := out.Create("store/"+file, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}

func fileOf(t *testing.T, fs vfs.FS, file string) []byte {
	t.Helper()
	b, err := readFile(fs, "store/"+file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// filesOf lists the store's files whose names have the ending, or contain it.
func filesOf(t *testing.T, fs vfs.FS, part string) []string {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		if strings.Contains(name, part) && !strings.HasPrefix(name, "marker") && len(fileOf(t, fs, name)) > 0 {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no %s among %v", part, names)
	}
	return out
}

// refusedOrWhole opens a store and reads all of it. Each channel has everything,
// or an error says that it cannot be had. It says whether anything was refused.
func refusedOrWhole(t *testing.T, what string, fs vfs.FS) (refused bool) {
	t.Helper()
	e, err := Open(Options{Dir: "store", FS: fs, BootID: boot("one"), BallastBytes: -1, Logger: quietLog().log})
	if err != nil {
		return true
	}
	defer func() { _ = e.Close() }() // a store with a damaged table may not close cleanly
	for i := range 4 {
		name := fmt.Sprint("room-", i)
		entries, err := e.Read(t.Context(), name, engine.Position{}, 0)
		if err != nil {
			if !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("%s: %s: %v, want ErrUnavailable", what, name, err)
			}
			refused = true
			continue
		}
		if len(entries) != damagedEntries/4 {
			t.Errorf("%s: %s: %d entries and no error", what, name, len(entries))
		}
		for n, en := range entries {
			if string(en.Data) != damagedText(4*n+i) {
				t.Errorf("%s: %s: entry %d is %.20q", what, name, n, en.Data)
			}
		}
		v, err := e.Get(t.Context(), name, "newest")
		if want := damagedText(damagedEntries - 4 + i); err != nil || string(v.Data) != want {
			t.Errorf("%s: %s: value %.20q, want %.20q (%v)", what, name, v.Data, want, err)
		}
	}
	return refused
}

// flips are the places at which a file is changed: its ends, and some between.
func flips(size int) []int {
	var out []int
	for i := range 12 {
		out = append(out, i, size-1-i)
	}
	step := max(1, size/60)
	for at := 13; at < size-13; at += step {
		out = append(out, at)
	}
	return out
}

func TestDamage(t *testing.T) {
	t.Run("[R3] a flipped bit in the log is refused, and never ends the log without a word", func(t *testing.T) {
		mem := wholeStore(t, false)
		logs := filesOf(t, mem, ".log")
		log := logs[len(logs)-1]
		end := len(bytes.TrimRight(fileOf(t, mem, log), "\x00"))
		refused := 0
		for _, at := range flips(end - logForm(0).header) { // what follows is the trailer, which holds nothing
			if refusedOrWhole(t, fmt.Sprintf("%s byte %d", log, at), flipped(t, mem, log, at)) {
				refused++
			}
		}
		if refused < 60 {
			t.Errorf("only %d flips were noticed", refused)
		}
	})

	t.Run("[R3] a flipped bit in a table is refused for the channels that it is in", func(t *testing.T) {
		mem := wholeStore(t, true)
		table := filesOf(t, mem, ".sst")[0]
		refused := 0
		for _, at := range flips(len(fileOf(t, mem, table))) {
			if refusedOrWhole(t, fmt.Sprintf("%s byte %d", table, at), flipped(t, mem, table, at)) {
				refused++
			}
		}
		if refused < 30 {
			t.Errorf("only %d flips were noticed", refused)
		}
	})

	t.Run("[R3] a table whose footer names another format is refused before it is merged", func(t *testing.T) {
		mem := wholeStore(t, true) // with so many tables that Pebble would merge them at once
		table := filesOf(t, mem, ".sst")[0]
		version := len(fileOf(t, mem, table)) - 12
		for bits := 1; bits < 1<<8; bits++ {
			if what := fmt.Sprintf("%s with %#x in its version", table, bits); !refusedOrWhole(t, what, changed(t, mem, table, version, byte(bits))) {
				t.Errorf("%s: not refused", what)
			}
		}
	})

	t.Run("[R3] a flipped bit in the list of tables is refused", func(t *testing.T) {
		mem := wholeStore(t, true)
		for _, part := range []string{"MANIFEST-", "OPTIONS-"} {
			for _, file := range filesOf(t, mem, part) {
				for _, at := range flips(len(fileOf(t, mem, file))) {
					if at >= 0 && at < len(fileOf(t, mem, file)) {
						refusedOrWhole(t, fmt.Sprintf("%s byte %d", file, at), flipped(t, mem, file, at))
					}
				}
			}
		}
	})

	t.Run("a damaged log is not backed up, unless what can be read of it is asked for", func(t *testing.T) {
		mem := wholeStore(t, false)
		logs := filesOf(t, mem, ".log")
		log := logs[len(logs)-1]
		fs := flipped(t, mem, log, len(bytes.TrimRight(fileOf(t, mem, log), "\x00"))/2)
		_, err := Open(Options{Dir: "store", FS: fs, BootID: boot("one"), BallastBytes: -1})
		if !errors.Is(err, chanlog.ErrCorrupt) || !strings.Contains(err.Error(), "restore a backup") {
			t.Errorf("open: %v", err)
		}
		if _, err := BackupDir(t.Context(), "store", io.Discard, false, fs); !errors.Is(err, chanlog.ErrCorrupt) {
			t.Errorf("backup: %v", err)
		}
		var out bytes.Buffer
		if _, err := BackupDir(t.Context(), "store", &out, true, fs); err != nil {
			t.Fatal(err)
		}
		r := restored(t, out.Bytes())
		defer mustClose(t, r)
		if n := len(readAll(t, r, "room-0")); n < damagedEntries/16 || n > damagedEntries*3/16 {
			t.Errorf("%d entries of %d were saved", n, damagedEntries/4)
		}
	})

	t.Run("[E7] after the machine went down a log with a hole is a shorter one of another epoch", func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		e := open(t, Options{Dir: "store", FS: mem, BootID: boot("one")})
		for i := range damagedEntries {
			mustAppend(t, e, "room-0", message(engine.OS, damagedText(i)))
		}
		at := mustAppend(t, e, "room-0", message(engine.Disk, "last")) // all of it is on the disk
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		mustClose(t, e)
		logs := filesOf(t, crashed, ".log")
		log := logs[len(logs)-1]
		holed := flipped(t, crashed, log, len(bytes.TrimRight(fileOf(t, crashed, log), "\x00"))/2)
		e = open(t, Options{Dir: "store", FS: holed, BootID: boot("two")})
		defer mustClose(t, e)
		head, err := e.Head(t.Context(), "room-0")
		if err != nil || head.Epoch == at.Epoch || head.Offset >= at.Offset {
			t.Errorf("head %v after %v (%v)", head, at, err)
		}
	})
}
