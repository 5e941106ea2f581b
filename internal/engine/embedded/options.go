package embedded

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say how an Engine is opened. The zero value works: it is an engine
// that lives in memory.
type Options struct {
	// Dir is the store's directory, made when it is missing; one process at a
	// time may have it open. "" (and no FS) means that nothing outlives the
	// engine, whatever durability an append asks for.
	Dir string

	// FS is the file system that Dir is on. nil means the operating system's.
	FS vfs.FS

	// Clock tells the time of entries, and how old they are. nil means time.Now.
	Clock func() time.Time

	// TombstoneAge is how long the engine remembers what is gone: deleted keys,
	// and the position of a stored channel that holds nothing any more. Clients
	// that were away for longer load everything anew. 0 means 90 days.
	TombstoneAge time.Duration

	// IdleAfter is how long a channel stays in memory after its last use. 0
	// means a minute: a room that people leave and enter again is still there.
	IdleAfter time.Duration

	// SweepEvery is how often each channel in memory is looked at for entries
	// that are too old, and for being idle. 0 means 10 seconds.
	SweepEvery time.Duration

	// MaxWaiting bounds the bytes that wait to be written, per shard (of 32).
	// Above it appends fail with engine.ErrOverloaded. 0 means 4 MiB: a tenth of
	// a second's worth for a slow disk.
	MaxWaiting int

	// MaxMemory bounds the bytes that all channels together hold in memory, with
	// what waits to be written; not the store's own buffers, nor the store where
	// it lives in memory. Go's heap may grow to twice as much between two
	// collections. Near it channels that nobody watches leave memory, and above
	// it appends fail with engine.ErrOverloaded. 0 means 1 GiB.
	MaxMemory int64

	// BallastBytes is the size of the file that is given up when the disk is
	// full, so that commits under way can finish. 0 means 16 MiB, which is more
	// than can be waiting in a usual batch; negative means none.
	BallastBytes int

	// BootID names the start of the machine, to tell after an unclean end
	// whether the operating system's buffers outlived it. "" means unknown: then
	// every unclean end counts as a loss and begins a new epoch. nil means what
	// the operating system says.
	BootID func() string

	// Logger gets what an operator should know. nil means slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.TombstoneAge <= 0 {
		o.TombstoneAge = 90 * 24 * time.Hour
	}
	if o.IdleAfter <= 0 {
		o.IdleAfter = time.Minute
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = 10 * time.Second
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 4 << 20
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = 1 << 30
	}
	if o.BallastBytes == 0 {
		o.BallastBytes = 16 << 20
	}
	if o.BootID == nil {
		o.BootID = bootID
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// inMemory says whether there is no disk at all.
func (o Options) inMemory() bool { return o.Dir == "" && o.FS == nil }
