package embedded

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// restoredTable is how large a restored table gets: that of Pebble's lowest level.
const restoredTable = 128 << 20

// Restore makes the store of a backup in dir, which must not exist or be empty.
// fs nil means the operating system's files. dir is there, whole and on the disk,
// or as it was before. A process that is killed leaves a directory beside it,
// whose name goes on with ".restoring-".
//
// A backup is an older history: what was written after it is gone. So a restored
// store has no generation yet, and gets one of its own when it is opened, under
// which every channel has a new epoch. No position in the lost history, nor in
// what another restoration of the same backup came to, is taken for one in this.
func Restore(dir string, from io.Reader, fs vfs.FS) (backup.Summary, error) {
	if fs == nil {
		fs = vfs.Default
	}
	r, err := backup.NewReader(from)
	if err == nil {
		err = restore(fs, dir, r)
	}
	if err != nil {
		return backup.Summary{}, fmt.Errorf("restore into %s: %w", dir, err)
	}
	return r.Summary(), nil
}

func restore(fs vfs.FS, dir string, r *backup.Reader) error {
	if format := r.Head().Format; format == 0 || format > storeFormat {
		return newerFormat(format, storeFormat)
	}
	if err := unused(fs, dir); err != nil {
		return err
	}
	// A name of its own, so that two restorations at once cannot mix.
	beside := dir + ".restoring-" + strings.ToLower(rand.Text()[:8])
	if err := makeStore(fs, beside, r); err != nil {
		return errors.Join(err, fs.RemoveAll(beside))
	}
	return putInPlace(fs, beside, dir)
}

// unused refuses a directory that holds something, and removes an empty one.
func unused(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	switch {
	case err != nil: // there is none, or what is wrong with it will be said again
		return fs.MkdirAll(filepath.Dir(dir), 0o700)
	case len(names) > 0:
		return errors.New("there is a log already; move it away first")
	}
	return fs.Remove(dir)
}

func putInPlace(fs vfs.FS, beside, dir string) error {
	if err := fs.Rename(beside, dir); err != nil {
		return errors.Join(err, fs.RemoveAll(beside))
	}
	if err := syncDir(fs, filepath.Dir(dir)); err != nil {
		return errors.Join(err, fs.RemoveAll(dir))
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeStore makes a store with what the reader gives: tables, which the store
// then takes in. So there is no log, nothing happens in the background, and every
// error comes to who writes.
func makeStore(fs vfs.FS, dir string, r *backup.Reader) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	o := toolOptions(fs)
	o.DisableWAL = true
	db, err := openPebble(dir, o)
	if err != nil {
		return err
	}
	t := &tables{fs: fs, dir: dir, options: o.MakeWriterOptions(len(o.Levels)-1, pebbleFormat.MaxTableFormat())}
	if err = copyPairs(t, r); err == nil {
		err = catchFatal(func() error { return db.Ingest(context.Background(), t.paths) })
	}
	return errors.Join(err, db.Close())
}

// copyPairs ends with the mark of the format, which is the last of all keys.
func copyPairs(t *tables, r *backup.Reader) error {
	for {
		key, value, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.Join(t.add([]byte(metaFormat), binary.AppendUvarint(nil, r.Head().Format)), t.finish())
		case err == nil && (len(key) == 0 || !slices.Contains(backupPrefixes, key[0])):
			err = fmt.Errorf("key %q: %w", key, chanlog.ErrCorrupt)
		case err == nil:
			err = t.add(key, value)
		}
		if err != nil {
			return errors.Join(err, t.finish())
		}
	}
}

// tables writes keys in their order to tables of a size that suits Pebble.
type tables struct {
	fs      vfs.FS
	dir     string
	options sstable.WriterOptions

	paths []string
	table *sstable.Writer // nil between two
}

func (t *tables) add(key, value []byte) error {
	if t.table == nil {
		path := t.fs.PathJoin(t.dir, fmt.Sprintf("restored-%d", len(t.paths)))
		f, err := t.fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		t.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), t.options)
	}
	if err := t.table.Set(key, value); err != nil {
		return err
	}
	if t.table.Raw().EstimatedSize() < restoredTable {
		return nil
	}
	return t.finish()
}

func (t *tables) finish() error {
	if t.table == nil {
		return nil
	}
	err := t.table.Close()
	t.table = nil
	return err
}
