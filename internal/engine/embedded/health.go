package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
)

// condition is what the store can do.
type condition uint32

const (
	sound  condition = iota // everything
	full                    // reads; writes once there is space again
	failed                  // reads, until the process starts again
)

const (
	// probeEvery is the time between two attempts to make the ballast again.
	probeEvery = 2 * time.Second
	// pauseFor slows Pebble down while it retries flushes that cannot succeed;
	// it retries at once, for ever.
	pauseFor = 100 * time.Millisecond
	// headroom times the ballast must be free before the ballast is made again,
	// so that the store does not go to and fro on a disk that is nearly full.
	headroom = 2
)

// health knows whether the store can be written, and why not. All methods may
// be called concurrently.
type health struct {
	condition atomic.Uint32
	fs        vfs.FS // below the one that calls diskFull
	dir       string
	ballast   string // path of the ballast file
	size      int    // of the ballast; none when it is not positive
	log       *slog.Logger
	closing   chan struct{} // closed when the store is to be closed

	mu     sync.Mutex // guards the following
	cause  error      // why condition is failed
	probed time.Time  // when the ballast was last tried
}

func newHealth(fs vfs.FS, dir string, size int, log *slog.Logger) *health {
	return &health{
		fs: fs, dir: dir, ballast: fs.PathJoin(dir, "ballast"), size: size, log: log,
		closing: make(chan struct{}),
	}
}

func (h *health) is(c condition) bool { return condition(h.condition.Load()) == c }

// fail is the end of writing. The first cause stands.
func (h *health) fail(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.is(failed) {
		return
	}
	h.cause = cause
	h.condition.Store(uint32(failed))
	h.log.Error("store cannot be written; it is refusing durable appends until the process starts again", "cause", cause)
}

// diskFull gives the ballast up. Pebble's writes wait while it runs.
func (h *health) diskFull() {
	if !h.condition.CompareAndSwap(uint32(sound), uint32(full)) {
		return
	}
	err := h.removeBallast()
	h.log.Error("disk is full; durable appends are refused until there is space", "dir", h.dir, "ballast_released", err == nil)
}

// backgroundError is told what went wrong in a flush or a compaction. A full
// disk is known already and passes; anything else does not.
func (h *health) backgroundError(err error) {
	if errors.Is(err, syscall.ENOSPC) {
		return
	}
	h.fail(err)
}

// damaged is told of a part of a table whose checksum is wrong. What wanted to
// read it fails: a channel that is loaded is unavailable, and a compaction ends
// writing. Without this Pebble would end the process, time and again.
func (h *health) damaged(info pebble.DataCorruptionInfo) {
	h.log.Error("the store is damaged: restore a backup; until then the channels in question are unavailable",
		"file", info.Path, "cause", info.Details)
}

// admit is nil while durable appends are taken. On a full disk it looks now and
// then whether there is space again.
func (h *health) admit(clock func() time.Time) error {
	if h.is(sound) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := clock(); h.is(full) && now.Sub(h.probed) >= probeEvery {
		h.probed = now
		h.probeLocked()
	}
	return h.refusalLocked()
}

// refusal is nil while the store can be written. Unlike admit it does not probe.
func (h *health) refusal() error {
	if h.is(sound) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refusalLocked()
}

func (h *health) refusalLocked() error {
	switch condition(h.condition.Load()) {
	case full:
		return fmt.Errorf("disk is full: %w", engine.ErrUnavailable)
	case failed:
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, h.cause)
	}
	return nil
}

func (h *health) probeLocked() {
	if err := h.makeBallast(); err != nil {
		h.log.Debug("disk is still full", "dir", h.dir, "cause", err)
		return
	}
	if h.condition.CompareAndSwap(uint32(full), uint32(sound)) {
		h.log.Info("disk has space again; durable appends are taken", "dir", h.dir)
	}
}

// makeBallast makes the ballast file unless it is there in full size.
func (h *health) makeBallast() error {
	if h.size <= 0 {
		return h.tryWrite()
	}
	if info, err := h.fs.Stat(h.ballast); err == nil && info.Size() >= int64(h.size) {
		return nil
	}
	if usage, err := h.fs.GetDiskUsage(h.dir); err == nil && usage.AvailBytes < headroom*uint64(h.size) {
		return fmt.Errorf("make ballast: %d bytes are free: %w", usage.AvailBytes, syscall.ENOSPC)
	}
	if err := h.write(h.ballast, h.size); err != nil {
		return fmt.Errorf("make ballast: %w", errors.Join(err, h.removeBallast()))
	}
	return nil
}

// tryWrite finds out whether there is space when there is no ballast.
func (h *health) tryWrite() error {
	const some = 1 << 20
	path := h.fs.PathJoin(h.dir, "probe")
	err := h.write(path, some)
	return errors.Join(err, h.fs.Remove(path))
}

func (h *health) write(path string, size int) error {
	f, err := h.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	zeros := make([]byte, min(size, 1<<20))
	for left := size; left > 0 && err == nil; left -= len(zeros) {
		zeros = zeros[:min(left, len(zeros))]
		_, err = f.Write(zeros)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (h *health) removeBallast() error {
	if h.size <= 0 {
		return nil
	}
	return h.fs.Remove(h.ballast)
}

// pause holds back whoever makes a table while the store is not sound.
func (h *health) pause() {
	if h.is(sound) {
		return
	}
	t := time.NewTimer(pauseFor)
	defer t.Stop()
	select {
	case <-t.C:
	case <-h.closing:
	}
}
