package embedded

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFS is the file system under Pebble. It takes the sync out of the log's
// commits when nobody needs it: Pebble has written the log's bytes to the file
// before it calls Sync, so they are with the operating system and survive
// kill -9; fsync is for those who asked to survive power loss.
//
// A log file is always fsynced when it is closed, for Pebble demands that only
// its newest log may have lost an end. All other files sync as Pebble asks, and a
// manifest is in its directory before anything can name it.
type walFS struct {
	vfs.FS
	disk  atomic.Int64 // commits under way that must survive power loss
	fail  func(error)  // told of the first error, before Pebble is
	pause func()       // called before a table is made, see health.pause
	quick bool         // log files are the operating system's own, see walFile.writeQuickly
}

func isWAL(name string) bool   { return strings.HasSuffix(name, ".log") }
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

func (fs *walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if isTable(name) {
		fs.pause()
	}
	f, err := fs.FS.Create(name, category)
	if err == nil && strings.HasPrefix(fs.PathBase(name), "MANIFEST-") {
		// Pebble makes a marker that names this file, and then syncs the directory
		// for both. A power loss in between may leave the marker alone, with which
		// no store opens.
		if err := syncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return fs.wrap(name, f, err)
}

func (fs *walFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	return fs.wrap(newname, f, err)
}

func (fs *walFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	switch {
	case isTable(name) && err == nil && fs.quick:
		return newTableFile(f), nil
	case !isWAL(name):
		return f, err
	case err != nil:
		fs.fail(err)
		return f, err
	}
	return &walFile{File: f, fs: fs}, nil
}

// walFile is a log file. Pebble calls Write, the syncs and Close one at a time.
type walFile struct {
	vfs.File
	fs       *walFS
	unsynced bool // bytes were written since the last fsync
	pace     pace

	ahead   int            // bytes written since the last sync ahead began
	syncing atomic.Bool    // one is under way
	beside  sync.WaitGroup // it

	mu     sync.Mutex // one fsync at a time; guards the following
	broken error      // of the first that failed: the next may say that all is well (fsync(2))
}

func (f *walFile) Write(p []byte) (n int, err error) {
	f.unsynced = true
	if n = f.writeQuickly(p); n < len(p) {
		m, err := f.File.Write(p[n:])
		if n += m; err != nil {
			return n, f.note(err)
		}
	}
	f.syncAhead(n)
	return n, nil
}

// aheadEvery is how many bytes of a log are synced at a time, before anybody asks.
const aheadEvery = 1 << 20

// syncAhead notes that n bytes were written, and syncs beside the writes that
// follow when they are many. Every writer waits while a log is closed: what the
// sync there finds still unwritten it has to write, and it took 30 to 60 ms for a
// log of 32 MB.
func (f *walFile) syncAhead(n int) {
	if f.ahead += n; f.ahead < aheadEvery || !f.syncing.CompareAndSwap(false, true) {
		return
	}
	f.ahead = 0
	f.beside.Go(func() {
		defer f.syncing.Store(false)
		_ = f.syncData() // whoever asks next is told
	})
}

// writeQuickly writes without telling the scheduler, who would have another thread
// ready by the time the copy is made (package nonblock), and returns how much that
// was. What it leaves, errors included, is for an ordinary write.
func (f *walFile) writeQuickly(p []byte) int {
	begun := time.Now()
	if !f.fs.quick || f.pace.isSlow(begun) {
		return 0
	}
	n := writeUnannounced(f.Fd(), p)
	f.pace.took(begun, time.Since(begun))
	return n
}

// A pace says whether a file's writes are slow. They are copies into the operating
// system's memory, of a few microseconds, until the disk cannot keep up: then
// writers are made to wait, and nobody but they should.
type pace struct {
	slowUntil time.Time
}

const (
	slowWrite = 5 * time.Millisecond // more than a thread that loses its CPU is away
	slowFor   = time.Second          // how long one slow write counts
)

func (p *pace) isSlow(now time.Time) bool { return now.Before(p.slowUntil) }

func (p *pace) took(begun time.Time, d time.Duration) {
	if d > slowWrite {
		p.slowUntil = begun.Add(d + slowFor)
	}
}

func (f *walFile) Sync() error { return f.SyncData() }
func (f *walFile) SyncData() error {
	// A commit counts itself before its bytes can be in the file and until it is
	// over, so whoever waits for this sync and needs the disk is counted.
	if f.fs.disk.Load() == 0 {
		return nil
	}
	return f.sync()
}

func (f *walFile) sync() error {
	if err := f.syncData(); err != nil {
		return err
	}
	f.unsynced, f.ahead = false, 0
	return nil
}

// syncData syncs what was written before. The kernel tells of a failure once, and
// takes what it could not write for written: nobody may rely on the file after it.
func (f *walFile) syncData() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = f.note(f.File.SyncData())
	}
	return f.broken
}

func (f *walFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.note(err)
}

func (f *walFile) Close() error {
	f.beside.Wait()
	if f.unsynced {
		if err := f.sync(); err != nil {
			_ = f.File.Close() // the first error is the one that counts
			return err
		}
	}
	return f.note(f.File.Close())
}

func (f *walFile) note(err error) error {
	if err != nil {
		f.fs.fail(err)
	}
	return err
}
