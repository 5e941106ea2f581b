package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/internal/engine"
)

// backupPrefixes are what a backup holds, in the order of the keys. The store's
// own marks are not in it: they are about one store's life, and a restored one
// begins another.
var backupPrefixes = []byte{prefixEntry, prefixHeader, prefixValue}

// Backup writes a backup of everything that is stored at the moment of the call:
// what was acknowledged as OS or Disk before is in it, and of what comes after
// nothing is. Channels that live in memory only are not. The engine goes on
// meanwhile: what it deletes takes space until the backup is done. After an error
// what was written is no backup.
//
// Close waits for it, so a writer must not block for ever.
func (e *Engine) Backup(ctx context.Context, to io.Writer) (backup.Summary, error) {
	if err := e.admitWork(); err != nil {
		return backup.Summary{}, fmt.Errorf("backup: %w", err)
	}
	defer e.work.Done()
	snapshot := e.store.db.NewSnapshot()
	made := e.options.Clock()
	sum, err := writeBackup(ctx, to, snapshot, backup.Head{Format: storeFormat, Made: made}, e.stop)
	if err = errors.Join(err, snapshot.Close()); err != nil {
		return backup.Summary{}, fmt.Errorf("backup: %w", err)
	}
	return sum, nil
}

// admitWork makes Close wait for the caller until work is done.
func (e *Engine) admitWork() error {
	s := &e.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return engine.ErrClosed
	}
	e.work.Add(1)
	return nil
}

// BackupDir writes a backup of a store that no process has open, and changes
// nothing in it. fs nil means the operating system's files. A log that is damaged
// is refused; with salvage what comes before the damage is taken.
func BackupDir(ctx context.Context, dir string, to io.Writer, salvage bool, fs vfs.FS) (backup.Summary, error) {
	sum, err := backupDir(ctx, dir, to, salvage, fs)
	if err != nil {
		return backup.Summary{}, fmt.Errorf("backup of %s: %w", dir, err)
	}
	return sum, nil
}

func backupDir(ctx context.Context, dir string, to io.Writer, salvage bool, fs vfs.FS) (backup.Summary, error) {
	if fs == nil {
		fs = vfs.Default
	}
	s, err := readStore(dir, fs)
	if err != nil {
		return backup.Summary{}, err
	}
	sum, err := s.backup(ctx, to, salvage)
	return sum, errors.Join(err, s.db.Close())
}

func (s *closedStore) backup(ctx context.Context, to io.Writer, salvage bool) (backup.Summary, error) {
	if s.damage != nil && !salvage {
		return backup.Summary{}, s.damage
	}
	return writeBackup(ctx, to, s.db, backup.Head{Format: s.format, Made: time.Now()}, nil)
}

// writeBackup writes what from holds, until ctx ends or stop is closed.
func writeBackup(ctx context.Context, to io.Writer, from pebble.Reader, h backup.Head, stop <-chan struct{}) (backup.Summary, error) {
	w, err := backup.NewWriter(to, h)
	if err != nil {
		return backup.Summary{}, err
	}
	for _, prefix := range backupPrefixes {
		err := copyPrefix(from, prefix, func(key, value []byte) error {
			select {
			case <-stop:
				return engine.ErrClosed
			case <-ctx.Done():
				return ctx.Err()
			default:
				return w.Add(key, value)
			}
		})
		if err != nil {
			return backup.Summary{}, err
		}
	}
	return w.Close()
}

func copyPrefix(from pebble.Reader, prefix byte, each func(key, value []byte) error) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = each(it.Key(), value)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
