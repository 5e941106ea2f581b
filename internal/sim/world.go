package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/internal/linear"
	"github.com/chorale-rt/chorale/internal/policy"
)

// Options say what is simulated. The zero value is a run of no steps.
type Options struct {
	Seed    uint64
	Steps   int
	Nodes   int       // 0: one server over the embedded engine; else so many over a shared log
	Clients int       // 0 means 6
	Limits  bool      // senders are limited, as a small server would
	Power   bool      // without nodes: what is killed loses its power, and what was not fsynced
	Trace   io.Writer // gets a line for everything that happens; nil for none
	Faults  Faults
}

// World is one run: everything in it happens because the seed says so.
type World struct {
	options Options
	rng     *rand.Rand
	truth   *truth
	backend backend
	servers []*server
	clients []*client
	service *service
	links   []*link // that are open for at least one of their ends
	history []linear.Operation
	asked   map[string]asked // by client and n

	shared   sync.Mutex // guards the following, which timers of the servers ask for
	policies []*policy.Policy
	rules    int
	steps    int

	dials    int
	messages int            // said or written so far
	expiries map[int64]bool // seconds in which a token expires

	paused []*pause
	quiet  atomic.Bool // nothing pauses
	trace  trace
	counts Report
	fault  *Failure
}

// Run plays a world from its seed. It must be called in a synctest bubble, whose
// time it passes; with the same crypto/rand and options it does the very same
// again. The error is a *Failure.
func Run(o Options) (*Report, error) {
	w := &World{options: o, rng: rand.New(rand.NewPCG(o.Seed, 0)), expiries: make(map[int64]bool), asked: make(map[string]asked)}
	if err := w.begin(); err != nil {
		return nil, err
	}
	for w.steps < o.Steps && w.fault == nil {
		w.step()
	}
	if w.fault == nil {
		w.settle()
	}
	w.end()
	if w.fault != nil {
		return nil, w.fault
	}
	return w.report(), nil
}

func (w *World) begin() (err error) {
	if w.policies, err = loadPolicies(w.options.Power); err != nil {
		return err
	}
	w.truth = newTruth(w.now, w.fail)
	if w.options.Nodes == 0 {
		d, err := newDisk(w)
		if err != nil {
			return err
		}
		w.backend = d
	} else {
		w.backend = newCluster(w.truth, w.now, w.options.Faults)
	}
	for i := range max(1, w.options.Nodes) {
		if err := w.start(i, 0); err != nil {
			return err
		}
	}
	w.service = newService(w)
	n := w.options.Clients
	if n == 0 {
		n = 6
	}
	for i := range n {
		w.clients = append(w.clients, newClient(w, i))
	}
	return nil
}

// now is the time, which each step moves by a nanosecond.
func (w *World) now() time.Time {
	w.shared.Lock()
	defer w.shared.Unlock()
	return time.Now().Add(time.Duration(w.steps))
}

// tick begins a step.
func (w *World) tick() {
	w.shared.Lock()
	defer w.shared.Unlock()
	w.steps++
}

// load loads one of the rules.
func (w *World) load(rules int) {
	w.shared.Lock()
	defer w.shared.Unlock()
	w.rules = rules
}

// policy is what the loaded rules say.
func (w *World) policy() *policy.Policy {
	w.shared.Lock()
	defer w.shared.Unlock()
	return w.policies[w.rules]
}

// run lets a piece of the server's work go until it is done or paused.
func (w *World) run(work func()) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				w.fail("panic: %v\n%s", r, debug.Stack())
			}
		}()
		work()
	}()
	synctest.Wait()
}

// resume lets the paused call with this number go on.
func (w *World) resume(i int) {
	p := w.paused[i]
	w.paused = slices.Delete(w.paused, i, i+1)
	w.did("go on", 0, p.what)
	close(p.release)
	synctest.Wait()
}

// resumeAll lets everything that is paused go on, one after the other.
func (w *World) resumeAll() {
	w.quiet.Store(true)
	for len(w.paused) > 0 {
		w.resume(0)
	}
	w.quiet.Store(false)
}

// pass lets time pass. Nothing is paused meanwhile: timers must find their
// sessions free.
func (w *World) pass(d time.Duration) {
	w.resumeAll()
	w.quiet.Store(true)
	w.tick() // what timers see happened before
	time.Sleep(d)
	synctest.Wait()
	w.quiet.Store(false)
}

// fail notes the first thing that must not be.
func (w *World) fail(format string, args ...any) {
	if w.fault == nil {
		w.fault = &Failure{Options: w.options, Step: w.steps, What: fmt.Sprintf(format, args...), Before: w.trace.lines()}
	}
}
