package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// Tables and older logs have checksums, and Pebble refuses what does not fit
// them. In the newest log, and in the manifest, which lists the tables, it takes
// what does not fit for the end, because a write that a crash cut short looks
// like that. So a flipped bit in the log would take with it what was acknowledged
// after it, and one in the manifest all tables that were made since, without a
// word. (From its format FormatWALSyncChunks on Pebble knows better of logs, but
// see pebbleFormat.) What follows here finds out: behind the end there is nothing
// left, and behind damage there is.
//
// After the machine went down a log may have holes: pages that were not fsynced
// reach the disk in any order. Then it ends at the first, and the store begins a
// new generation.

// damage is where a file does not hold what was written to it.
type damage struct {
	file string
	at   int
	// torn: a power loss can have done it too.
	torn bool
}

func (d *damage) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: restore a backup, or what can be read (chorale backup --salvage)", d.file, d.at)
}

func (d *damage) Unwrap() error { return chanlog.ErrCorrupt }

// refuseDamage refuses a store in which something that was acknowledged would be
// passed over.
func refuseDamage(fs vfs.FS, dir, boot string) error {
	d, err := findDamage(fs, dir)
	if err != nil || d == nil {
		return err
	}
	if !d.torn {
		return d
	}
	db, err := openForReading(dir, fs)
	if err != nil {
		return err
	}
	run, err := meta(db, metaRun)
	if err = errors.Join(err, db.Close()); err != nil || machineWentDown(run, boot) {
		return err
	}
	return d
}

// findDamage looks into the manifest and the newest log; nil when they are sound,
// or when there is no store.
func findDamage(fs vfs.FS, dir string) (*damage, error) {
	desc, err := pebble.Peek(dir, fs)
	if errors.Is(err, os.ErrNotExist) || err == nil && !desc.Exists {
		return nil, nil // or what is wrong will be said by who opens it
	}
	if err != nil {
		return nil, err
	}
	b, err := readFile(fs, desc.ManifestFilename)
	if err != nil {
		return nil, err
	}
	if at, found, torn := manifestForm.damageIn(b); found {
		return &damage{file: filepath.Base(desc.ManifestFilename), at: at, torn: torn}, nil
	}
	name, number, err := newestLog(fs, dir)
	if err != nil || name == "" {
		return nil, err
	}
	if b, err = readFile(fs, fs.PathJoin(dir, name)); err != nil {
		return nil, err
	}
	if at, found, _ := logForm(number).damageIn(b); found {
		return &damage{file: name, at: at, torn: true}, nil
	}
	return nil, nil
}

// newestLog returns the log with the highest number, "" when there is none.
func newestLog(fs vfs.FS, dir string) (newest string, number uint32, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return "", 0, err
	}
	for _, name := range names {
		if n, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 32); isWAL(name) && err == nil && uint32(n) >= number {
			newest, number = name, uint32(n)
		}
	}
	return newest, number, nil
}

func readFile(fs vfs.FS, path string) (b []byte, err error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	b, err = io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// closedStore is the store of no process, open for reading.
type closedStore struct {
	db     *pebble.DB
	format uint64
	damage *damage // nil: none was found
}

func readStore(dir string, fs vfs.FS) (*closedStore, error) {
	d, err := findDamage(fs, dir)
	if err != nil {
		return nil, err
	}
	db, err := openForReading(dir, fs)
	if err != nil {
		return nil, err
	}
	s := &closedStore{db: db, damage: d}
	if err = refuseFooters(db, fs, dir); err == nil {
		s.format, err = formatOf(db)
	}
	switch {
	case err == nil && s.format == 0:
		err = errors.New("it was never used")
	case err == nil && s.format > storeFormat:
		err = newerFormat(s.format, storeFormat)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// openForReading changes nothing in the directory.
func openForReading(dir string, fs vfs.FS) (*pebble.DB, error) {
	o := toolOptions(fs)
	o.ReadOnly = true
	return openPebble(dir, o)
}

// The end of a table: what its blocks are checked with, where they are, and which
// version it has. Up to version 5 nothing checks that, and Pebble takes a table of
// another version at its word.
const (
	footerSize     = 53
	footerChecksum = 1 // CRC-32C
	footerEnd      = "\x05\x00\x00\x00\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3"
)

// refuseFooters refuses a store with a table whose footer no Chorale wrote. Pebble
// compacts from the moment it is open, so a table that was listed may be gone when
// it is looked at: it counts as missing only if it still is listed then.
func refuseFooters(db *pebble.DB, fs vfs.FS, dir string) error {
	missing := map[uint64]error{}
	for checked := map[uint64]bool{}; ; {
		levels, err := db.SSTables()
		if err != nil {
			return err
		}
		again := false
		for _, tables := range levels {
			for i := range tables {
				number := uint64(tables[i].BackingSSTNum)
				if checked[number] {
					if missing[number] != nil {
						return missing[number]
					}
					continue
				}
				checked[number] = true
				err := checkFooter(fs, fs.PathJoin(dir, fmt.Sprintf("%06d.sst", number)))
				switch {
				case errors.Is(err, os.ErrNotExist):
					missing[number], again = err, true
				case err != nil:
					return err
				}
			}
		}
		if !again {
			return nil
		}
	}
}

func checkFooter(fs vfs.FS, path string) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size() - footerSize
	b := make([]byte, footerSize)
	if at >= 0 {
		_, err = f.ReadAt(b, at)
	}
	if err == nil && (b[0] != footerChecksum || string(b[footerSize-len(footerEnd):]) != footerEnd) {
		err = &damage{file: filepath.Base(path), at: int(max(0, at))}
	}
	return err
}
