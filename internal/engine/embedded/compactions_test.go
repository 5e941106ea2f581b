package embedded

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// wanting is a database that wants compactions.
type wanting struct {
	allowed atomic.Int32

	mu      sync.Mutex // guards the following; as Pebble's, held while it calls TrySchedule
	waiting int
	running int
	most    int // ever
	asked   int // how often it was asked for what waits
	grants  []pebble.CompactionGrantHandle
}

func (d *wanting) GetAllowedWithoutPermission() int {
	return int(d.allowed.Load())
}

func (d *wanting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.waiting > 0, pebble.WaitingCompaction{}
}

func (d *wanting) Schedule(h pebble.CompactionGrantHandle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == 0 {
		return false
	}
	d.waiting--
	d.begin(h)
	return true
}

func (d *wanting) begin(h pebble.CompactionGrantHandle) {
	d.running++
	d.most = max(d.most, d.running)
	d.grants = append(d.grants, h)
}

// want is Pebble's maybeScheduleCompaction.
func (d *wanting) want(c *compactions) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if granted, h := c.TrySchedule(); granted {
		d.begin(h)
	} else {
		d.waiting++
	}
}

func (d *wanting) finish() {
	d.mu.Lock()
	h := d.grants[0]
	d.grants = d.grants[1:]
	d.running--
	d.mu.Unlock()
	h.Done()
}

func (d *wanting) assert(t *testing.T, running, waiting int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running != running || d.waiting != waiting {
		t.Errorf("%d run and %d wait, want %d and %d", d.running, d.waiting, running, waiting)
	}
}

// hold lets none begin from now on.
func (c *compactions) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = false
}

func TestCompactions(t *testing.T) {
	run := func(t *testing.T, allowed int32, do func(t *testing.T, c *compactions, d *wanting)) {
		synctest.Test(t, func(t *testing.T) {
			c, d := newCompactions(), new(wanting)
			d.allowed.Store(allowed)
			c.Register(2, d)
			c.begin()
			do(t, c, d)
			c.Unregister()
		})
	}
	t.Run("as many run as are allowed, and the next one when one is done", func(t *testing.T) {
		run(t, 2, func(t *testing.T, c *compactions, d *wanting) {
			for range 4 {
				d.want(c)
			}
			d.assert(t, 2, 2)
			d.finish()
			d.assert(t, 2, 1)
			d.finish()
			d.finish()
			d.assert(t, 1, 0)
			d.finish()
			if d.most != 2 {
				t.Errorf("%d ran at once", d.most)
			}
		})
	})
	t.Run("one that was refused runs soon after more are allowed, told or not", func(t *testing.T) {
		for _, told := range []bool{false, true} {
			run(t, 1, func(t *testing.T, c *compactions, d *wanting) {
				for range 3 {
					d.want(c)
				}
				d.finish()
				time.Sleep(time.Hour)
				d.assert(t, 1, 1)
				d.allowed.Store(2)
				if told {
					c.UpdateGetAllowedWithoutPermission()
					time.Sleep(time.Nanosecond)
				} else {
					time.Sleep(askAgain)
				}
				synctest.Wait()
				d.assert(t, 2, 0)
			})
		}
	})
	t.Run("nothing is asked while nothing waits", func(t *testing.T) {
		run(t, 1, func(t *testing.T, c *compactions, d *wanting) {
			d.want(c)
			d.want(c)
			d.finish()
			d.finish()
			time.Sleep(2 * askAgain) // until that is known
			synctest.Wait()
			asked := d.asked
			c.UpdateGetAllowedWithoutPermission()
			time.Sleep(time.Hour)
			synctest.Wait()
			if d.asked != asked {
				t.Errorf("asked %d times", d.asked-asked)
			}
		})
	})
	t.Run("nothing runs before the tables were looked at, and then what waits does", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, d := newCompactions(), new(wanting)
			d.allowed.Store(2)
			c.Register(2, d)
			d.want(c)
			d.want(c)
			c.UpdateGetAllowedWithoutPermission()
			time.Sleep(time.Hour)
			synctest.Wait()
			if d.assert(t, 0, 2); d.asked > 0 {
				t.Errorf("asked %d times", d.asked)
			}
			c.begin()
			d.assert(t, 2, 0)
			c.Unregister()
		})
	})
	t.Run("nothing is granted once the database is closing", func(t *testing.T) {
		run(t, 1, func(t *testing.T, c *compactions, d *wanting) {
			d.want(c)
			d.want(c)
			c.Unregister()
			d.finish()
			time.Sleep(time.Hour)
			synctest.Wait()
			if granted, _ := c.TrySchedule(); granted {
				t.Error("granted")
			}
			d.assert(t, 0, 1)
		})
	})
	t.Run("many at once lose none and run no more than are allowed", func(t *testing.T) {
		const all = 200
		c, d := newCompactions(), new(wanting)
		d.allowed.Store(3)
		c.Register(2, d)
		c.begin()
		var done sync.WaitGroup
		for range all {
			done.Go(func() { d.want(c) })
		}
		for finished := 0; finished < all; {
			d.mu.Lock()
			running := len(d.grants)
			d.mu.Unlock()
			if running > 0 {
				d.finish()
				finished++
			}
		}
		done.Wait()
		c.Unregister()
		if d.assert(t, 0, 0); d.most > 3 {
			t.Errorf("%d ran at once", d.most)
		}
	})
}
