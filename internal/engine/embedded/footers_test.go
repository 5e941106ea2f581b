package embedded

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

// compacting is a file system on which the tables are merged into others right
// before the first of them is looked at.
type compacting struct {
	vfs.FS
	db   *pebble.DB
	done bool
}

func (c *compacting) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if !c.done && strings.HasSuffix(name, ".sst") {
		c.done = true
		if err := c.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
			return nil, err
		}
		for { // Pebble deletes what it no longer needs in the background
			f, err := c.FS.Open(name)
			if err != nil {
				return nil, err
			}
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
	}
	return c.FS.Open(name, opts...)
}

func TestFootersWhileCompacting(t *testing.T) {
	written := func(t *testing.T) (*Engine, vfs.FS) {
		fs := vfs.NewMem()
		e := open(t, Options{Dir: "store", FS: fs})
		t.Cleanup(func() { mustClose(t, e) })
		for range 3 {
			mustAppend(t, e, room, message(engine.OS, "x"))
			if err := e.store.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		return e, fs
	}
	t.Run("[E3] a table that is merged into others while the store is opened is no damage", func(t *testing.T) {
		e, fs := written(t)
		busy := &compacting{FS: fs, db: e.store.db}
		if err := refuseFooters(e.store.db, busy, "store"); err != nil || !busy.done {
			t.Errorf("refused: %v, compacted: %v", err, busy.done)
		}
	})
	t.Run("[E3] one that is missing is", func(t *testing.T) {
		e, fs := written(t)
		if err := refuseFooters(e.store.db, fs, "elsewhere"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}
