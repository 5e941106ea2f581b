package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

// testdata/format1 was made by the first program with format 1: a store that was
// closed, with one entry in a table and what fillWithAll makes in the log, and a
// backup of it. It is never made anew: stores like it are on people's disks.
const format1 = "testdata/format1"

// storeOfFormat1 is a copy in memory.
func storeOfFormat1(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewMem()
	if _, err := vfs.Clone(vfs.Default, mem, format1+"/store", "store"); err != nil {
		t.Fatal(err)
	}
	return mem
}

func checkFormat1(t *testing.T, e *Engine, sameEpoch bool) {
	t.Helper()
	if got := readAll(t, e, "before"); len(got) != 1 || string(got[0].Data) != "in a table" {
		t.Errorf("entries %v", got)
	}
	head, err := e.Head(t.Context(), room)
	if err != nil || (head.Epoch == "kmhsxbfwhn.0") != sameEpoch {
		t.Errorf("head %v (%v)", head, err)
	}
	checkAll(t, e, engine.Position{Epoch: head.Epoch, Offset: 5})
}

func TestFormat(t *testing.T) {
	t.Run("[R2] a store and a backup of format 1 open for ever, and are then of the newest", func(t *testing.T) {
		mem := storeOfFormat1(t)
		for range 2 {
			e := open(t, Options{Dir: "store", FS: mem, BootID: boot("two"), Clock: newFakeClock().Now})
			checkFormat1(t, e, true)
			if v, err := formatOf(e.store.db); err != nil || v != storeFormat {
				t.Errorf("format %d (%v)", v, err)
			}
			mustClose(t, e)
		}
		b, err := os.ReadFile(format1 + "/backup")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := Restore(dir, strings.NewReader(string(b)), nil); err != nil {
			t.Fatal(err)
		}
		e := open(t, Options{Dir: dir, Clock: newFakeClock().Now})
		defer mustClose(t, e)
		checkFormat1(t, e, false)
	})

	t.Run("there is a step from each format to the next", func(t *testing.T) {
		if n := len(storeSteps()); n != storeFormat-1 {
			t.Errorf("%d steps to format %d", n, storeFormat)
		}
	})

	t.Run("steps are done in order and once, and one that was broken off is done again", func(t *testing.T) {
		db := openFormat1(t)
		var done []string
		broken := errors.New("killed")
		second := broken
		steps := []step{
			func(db *pebble.DB) error {
				done = append(done, "2")
				return renamePrefix(db, prefixHeader, 'H')
			},
			func(*pebble.DB) error {
				done = append(done, "3")
				return second
			},
		}
		log := quietLog().log
		if err := upgrade(db, steps, log); !errors.Is(err, broken) || !strings.Contains(err.Error(), "from format 2 to 3") {
			t.Errorf("got %v", err)
		}
		second = nil
		for range 2 {
			if err := upgrade(db, steps, log); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(done); got != "[2 3 3]" {
			t.Errorf("steps %s", got)
		}
		if v, err := formatOf(db); err != nil || v != 3 {
			t.Errorf("format %d (%v)", v, err)
		}
		moved := 0
		if err := copyPrefix(db, 'H', func(_, b []byte) error { moved++; _, err := decodeHeader(b); return err }); err != nil || moved != 2 {
			t.Errorf("%d headers moved (%v)", moved, err)
		}
		if err := upgrade(db, steps[:1], log); err == nil || !strings.Contains(err.Error(), "format 3 and this program knows formats up to 2") {
			t.Errorf("an older program: %v", err)
		}
	})

	t.Run("a format that is no number is damage", func(t *testing.T) {
		db := openFormat1(t)
		for _, b := range [][]byte{{}, {0x80}, binary.AppendUvarint(nil, 0)} {
			if err := db.Set([]byte(metaFormat), b, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := upgrade(db, storeSteps(), quietLog().log); err == nil {
				t.Errorf("%x was taken for a format", b)
			}
		}
	})
}

func openFormat1(t *testing.T) *pebble.DB {
	t.Helper()
	db, err := openPebble("store", &pebble.Options{FS: storeOfFormat1(t), Logger: quietLog(), FormatMajorVersion: pebbleFormat})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// renamePrefix is a change of the layout such as a step may make.
func renamePrefix(db *pebble.DB, from, to byte) error {
	b := db.NewBatch()
	err := copyPrefix(db, from, func(key, value []byte) error {
		return errors.Join(b.Set(append([]byte{to}, key[1:]...), value, nil), b.Delete(key, nil))
	})
	return errors.Join(err, db.Apply(b, pebble.Sync), b.Close())
}
