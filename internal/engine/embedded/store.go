package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// pebbleFormat is the newest of Pebble's formats below FormatWALSyncChunks. From
// that on the log says how far it was synced, and Pebble takes a hole before
// that point for corruption; walFS lets Pebble believe in syncs that did not
// reach the disk, so after a power loss the store would not open any more.
const pebbleFormat = pebble.FormatColumnarBlocks

// The store's own keys and words, under prefixMeta.
const (
	metaFormat     = "mformat"     // uvarint
	metaGeneration = "mgeneration" // string
	metaRun        = "mrun"        // runClean, or runOpen and the boot id
	runClean       = "clean"
	runOpen        = "open "
)

// store is the disk: a Pebble database whose commits are as durable as they ask.
// Its methods may be called concurrently, but none after close.
type store struct {
	db         *pebble.DB
	fs         *walFS
	compacting *compactions
	log        *pebbleLog
	health     *health
	inMemory   bool
	generation string // changes when the log may have lost its end
}

// openStore opens or makes the store of the given options.
func openStore(o Options) (*store, error) {
	base, dir := o.FS, o.Dir
	switch {
	case o.inMemory():
		base, dir, o.BallastBytes = vfs.NewMem(), "store", -1
	case base == nil:
		base = vfs.Default
	}
	if err := base.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	h := newHealth(base, dir, o.BallastBytes, o.Logger)
	s := &store{
		health:   h,
		fs:       &walFS{FS: vfs.OnDiskFull(base, h.diskFull), fail: h.fail, pause: h.pause, quick: base == vfs.Default},
		log:      &pebbleLog{log: o.Logger, health: h},
		inMemory: o.inMemory(),

		compacting: newCompactions(),
	}
	boot := o.BootID()
	err := refuseDamage(base, dir, boot)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	if s.db, err = openPebble(dir, pebbleOptions(s)); err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s.log.opened.Store(true)
	if err = refuseFooters(s.db, base, dir); err == nil {
		s.compacting.begin()
		err = s.begin(boot, storeSteps(), o.Logger)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, errors.Join(err, s.db.Close()))
	}
	if err := h.makeBallast(); err != nil {
		h.log.Error("no space for the ballast; durable appends are refused until there is", "cause", err)
		h.condition.CompareAndSwap(uint32(sound), uint32(full))
	}
	return s, nil
}

// openPebble opens a database whose Logger is a pebbleLog.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	err = catchFatal(func() (err error) {
		db, err = pebble.Open(dir, o)
		return err
	})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("no access, or another process has it open: %w", err)
	}
	return db, err
}

// catchFatal returns what Pebble says is fatal before the store was opened, or
// panics with because a file that makes a change whole cannot be synced.
func catchFatal(do func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case openError:
			err = r.error
		case runtime.Error:
			panic(r)
		case error:
			err = r
		default:
			panic(r)
		}
	}()
	return do()
}

func pebbleOptions(s *store) *pebble.Options {
	o := &pebble.Options{
		FS:                 s.fs,
		Logger:             s.log,
		FormatMajorVersion: pebbleFormat,
		DisableWAL:         s.inMemory,
		// The more of the recent log a memtable holds, the fewer entries that
		// retention drops soon are ever written to a table.
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		// Reads are served from memory, so many tables on level 0 hurt less than
		// writers that wait for a compaction.
		L0StopWritesThreshold: 64,
		// Without it the fsync at the end of each log would find all of it
		// unwritten, and every writer would wait for that.
		WALBytesPerSync: 512 << 10,
		EventListener: &pebble.EventListener{
			BackgroundError: s.health.backgroundError,
			DataCorruption:  s.health.damaged,
		},
	}
	o.Experimental.CompactionScheduler = s.compacting
	filterNames(o)
	return o
}

// toolOptions are those of a database that serves nobody: nothing happens in it
// by itself, and who reads it is told of damage by the error.
func toolOptions(fs vfs.FS) *pebble.Options {
	o := &pebble.Options{
		FS: fs, Logger: quietLog(), FormatMajorVersion: pebbleFormat,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
	}
	o.Experimental.CompactionScheduler = noCompactions{}
	filterNames(o)
	o.EnsureDefaults()
	return o
}

// noCompactions is a scheduler that schedules none.
type noCompactions struct{}

func (noCompactions) Register(int, pebble.DBForCompaction)              {}
func (noCompactions) Unregister()                                       {}
func (noCompactions) TrySchedule() (bool, pebble.CompactionGrantHandle) { return false, nil }
func (noCompactions) UpdateGetAllowedWithoutPermission()                {}

// filterNames gives tables a filter: most channels that are asked for are new.
func filterNames(o *pebble.Options) { o.Levels[0].FilterPolicy = bloom.FilterPolicy(10) }

// begin reads the marks that the last run left, brings the layout to the newest
// version, and leaves the marks of this run.
func (s *store) begin(boot string, steps []step, log *slog.Logger) error {
	if s.inMemory {
		s.generation = rand.Text()
		return nil
	}
	if err := upgrade(s.db, steps, log); err != nil {
		return err
	}
	generation, err := meta(s.db, metaGeneration)
	if err != nil {
		return err
	}
	run, err := meta(s.db, metaRun)
	if err != nil {
		return err
	}
	s.generation = string(generation)
	mayHaveLost := machineWentDown(run, boot)
	if s.generation == "" || mayHaveLost {
		s.generation = rand.Text()
	}
	if mayHaveLost {
		log.Warn("the machine went down without a clean end; entries that were not written for power loss may be missing, clients load anew")
	}
	b := s.db.NewBatch()
	defer b.Close()
	err = errors.Join(
		b.Set([]byte(metaGeneration), []byte(s.generation), nil),
		b.Set([]byte(metaRun), []byte(runOpen+boot), nil),
	)
	if err != nil {
		return err
	}
	return s.commit(b, engine.Disk)
}

// machineWentDown says of the mark that the last run left whether the operating
// system's buffers may not have outlived it.
func machineWentDown(run []byte, boot string) bool {
	return run != nil && string(run) != runClean && (boot == "" || string(run) != runOpen+boot)
}

// meta returns a mark, nil when it is not there.
func meta(from pebble.Reader, key string) ([]byte, error) {
	v, closer, err := from.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return append([]byte{}, v...), closer.Close()
}

// commit writes a batch and returns when it is as durable as asked. After an
// error nothing is known about the batch, and nothing is written any more.
func (s *store) commit(b *pebble.Batch, d engine.Durability) error {
	if err := s.failure(); err != nil {
		return err
	}
	if s.inMemory {
		if err := s.db.Apply(b, pebble.NoSync); err != nil {
			s.health.fail(err)
		}
		return s.failure()
	}
	if d == engine.Disk {
		s.fs.disk.Add(1)
		defer s.fs.disk.Add(-1)
	}
	if err := s.db.Apply(b, pebble.Sync); err != nil {
		s.health.fail(err)
	}
	return s.failure()
}

// failure is nil as long as every commit succeeded.
func (s *store) failure() error {
	if s.health.is(failed) {
		return s.health.refusal()
	}
	return nil
}

// image is what the store holds of a channel.
type image struct {
	header  header
	records []*chanlog.Record
	values  []*chanlog.Value
}

// load reads a channel; nil when the store has none of that name.
func (s *store) load(name string) (*image, error) {
	b, closer, err := s.db.Get(appendHeaderKey(nil, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	img := &image{}
	img.header, err = decodeHeader(b)
	if err = errors.Join(err, closer.Close()); err != nil {
		return nil, err
	}
	if img.header.Generation != s.generation {
		img.header.Epoch = s.generation
	}
	err = s.scan(prefixEntry, name, func(key, b []byte) error {
		if len(key) != 8 {
			return fmt.Errorf("entry key of %d bytes: %w", len(key), chanlog.ErrCorrupt)
		}
		r, err := chanlog.DecodeEntry(binary.BigEndian.Uint64(key), b)
		img.records = append(img.records, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.scan(prefixValue, name, func(key, b []byte) error {
		v, err := chanlog.DecodeValue(string(key), b)
		img.values = append(img.values, v)
		return err
	})
	return img, err
}

// scan calls each with the rest of the key and the bytes of everything that is
// stored under a channel's prefix, in key order.
func (s *store) scan(prefix byte, name string, each func(key, b []byte) error) error {
	lower, upper := under(prefix, name)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var b []byte
		if b, err = it.ValueAndErr(); err == nil {
			err = each(it.Key()[len(lower):], b)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// close marks the end as clean and closes the database. After a failure the
// database is left to the process's end if Pebble could not be closed.
func (s *store) close() error {
	var err error
	if !s.inMemory && !s.health.is(failed) {
		b := s.db.NewBatch()
		err = errors.Join(b.Set([]byte(metaRun), []byte(runClean), nil), s.commit(b, engine.Disk), b.Close())
	}
	close(s.health.closing)
	if s.log.parked.Load() {
		return errors.Join(err, s.health.refusal())
	}
	return errors.Join(err, s.db.Close())
}
