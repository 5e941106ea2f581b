package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
)

// backend is what keeps the logs under the servers.
type backend interface {
	// open returns the engine of a new process on a node.
	open(index int) (engine.Engine, error)
	// killed prepares for the end of a process without warning: what it has
	// written so far is what the next one finds.
	killed(index int)
	// close ends the engine of a process that is gone.
	close(eng engine.Engine) error
}

// disk is one embedded engine on a file system in memory.
type disk struct {
	world *World
	fs    *vfs.MemFS
	boots int // of the machine
}

func newDisk(w *World) (*disk, error) {
	d := &disk{world: w, fs: vfs.NewCrashableMem()}
	first, err := d.open(0) // Pebble's format is in force from its second log on
	if err != nil {
		return nil, err
	}
	return d, first.Close()
}

func (d *disk) open(int) (engine.Engine, error) {
	eng, err := embedded.Open(embedded.Options{
		Dir: "log", FS: d.fs, Clock: d.world.now, BallastBytes: -1, BootID: func() string { return strconv.Itoa(d.boots) },
		SweepEvery: 10 * time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		files, _ := d.fs.List("log") // the first error is the one that counts
		return nil, fmt.Errorf("%w; there are %v", err, files)
	}
	return tap{eng, d.world.truth, d.world.options.Faults.LazyDisk}, nil
}

// killed keeps what was handed to the operating system, synced or not; when the
// power is lost, what was synced and by chance some of the rest.
func (d *disk) killed(int) {
	kept := 100
	if d.world.options.Power {
		kept = d.world.rng.IntN(100)
		d.boots++
	}
	// A generator of its own: the clone asks it for files in an order of chance.
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(d.world.rng.Uint64(), 0))})
}

func (d *disk) close(eng engine.Engine) error { return eng.Close() }

// cluster is a shared log with a node per server.
type cluster struct {
	log   *sharedLog
	truth *truth
}

func newCluster(t *truth, now func() time.Time, f Faults) *cluster {
	return &cluster{log: newSharedLog(now, tombstoneAge, f), truth: t}
}

func (c *cluster) open(index int) (engine.Engine, error) {
	n := c.log.join(string(rune('a'+index)), true)
	return &witness{node: n, truth: c.truth}, nil
}

func (c *cluster) killed(int) {}

func (c *cluster) close(eng engine.Engine) error { return eng.Close() }

// witness is a node that tells the truth of what it appends, also when its answer
// is lost.
type witness struct {
	*node
	truth *truth
}

func (m *witness) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	r, err := m.node.Append(ctx, channel, w)
	switch {
	case err == nil && !r.Duplicate:
		m.truth.note(channel, r.Position, w)
	case errors.Is(err, errLostAnswer):
		m.log.mu.Lock()
		c := m.log.channel(channel)
		at := engine.Position{Epoch: c.epoch, Offset: c.head()}
		m.log.mu.Unlock()
		m.truth.note(channel, at, w)
	}
	return r, err
}
