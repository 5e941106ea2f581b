package embedded

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// askAgain is how long a compaction that was refused waits until the database is
// asked whether more may run by now. Pebble's own scheduler takes as long.
const askAgain = 100 * time.Millisecond

// compactions says when Pebble may run a compaction: as many at once as Pebble
// itself allows. Its own scheduler (pebble.ConcurrencyLimitScheduler) does the same
// and asks ten times a second whether something waits, also when nothing has
// happened for hours: that was three quarters of what a server cost to whom nobody
// speaks. This one asks only while a compaction waits.
//
// None runs before begin: Pebble trusts a table's footer and panics, in a goroutine of
// its own, over what a damaged one leads it to, so the footers are looked at before.
//
// Its lock comes behind the database's. What calls the database that takes locks
// there is called without it.
type compactions struct {
	db pebble.DBForCompaction // set by Register, before all other calls

	mu       sync.Mutex // guards the following
	begun    bool
	running  int       // and those that are being granted
	refused  bool      // one waits, as far as is known
	granting bool      // somebody is in grant
	again    bool      // and has to look once more
	idle     sync.Cond // nobody is
	timer    *time.Timer
	armed    bool // the timer runs
	closed   bool
}

func newCompactions() *compactions {
	c := new(compactions)
	c.idle.L = &c.mu
	return c
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler.
func (c *compactions) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	for c.granting {
		c.idle.Wait()
	}
}

// begin lets compactions run. The database is not locked.
func (c *compactions) begin() {
	c.mu.Lock()
	c.begun = true
	c.mu.Unlock()
	c.grant()
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed, !c.begun:
		return false, nil
	case c.running < c.db.GetAllowedWithoutPermission():
		c.running++
		return true, c
	}
	c.refused, c.again = true, true
	c.armLocked(askAgain)
	return false, nil
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler. The
// database may be locked: who looks is the timer.
func (c *compactions) UpdateGetAllowedWithoutPermission() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused {
		c.armed = false
		c.armLocked(0)
	}
}

// armLocked lets the timer look in a while, unless it will already.
func (c *compactions) armLocked(in time.Duration) {
	if c.closed || c.armed {
		return
	}
	c.armed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(in, c.look)
	} else {
		c.timer.Reset(in)
	}
}

// look is the timer's.
func (c *compactions) look() {
	c.mu.Lock()
	c.armed = false
	c.mu.Unlock()
	c.grant()
}

// Done implements pebble.CompactionGrantHandle. The database is not locked.
func (c *compactions) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.grant()
}

// grant runs what waits, as far as it is allowed.
func (c *compactions) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again = true; c.granting || !c.begun {
		return
	}
	c.granting = true
	for c.again && !c.closed {
		c.again = false
		for !c.closed && c.running < c.db.GetAllowedWithoutPermission() && c.grantOneLocked() {
		}
	}
	c.granting = false
	c.idle.Broadcast()
	if c.refused {
		c.armLocked(askAgain)
	}
}

// grantOneLocked says whether there was one to run, and that it does.
func (c *compactions) grantOneLocked() bool {
	c.running++
	c.mu.Unlock()
	waiting, _ := c.db.GetWaitingCompaction()
	accepted := waiting && c.db.Schedule(c)
	c.mu.Lock()
	if !accepted {
		c.running--
		c.refused = c.again // meanwhile, for the one that was being granted
	}
	return accepted
}

// Started implements pebble.CompactionGrantHandle.
func (c *compactions) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
