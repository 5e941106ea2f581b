package sim

import (
	"context"
	"fmt"
	"hash/fnv"
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
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// Options say what is simulated. The zero value is a run of no steps.
type Options struct {
	Seed    uint64
	Steps   int
	Nodes   int       // 0: one server over the embedded engine; else so many over a shared log
	Clients int       // 0 means 6
	Limits  bool      // senders are limited, as a small server would
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
	messages int // said or written so far
	started  time.Time
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
	w := &World{options: o, rng: rand.New(rand.NewPCG(o.Seed, 0)), expiries: make(map[int64]bool), asked: make(map[string]asked), started: time.Now()}
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
	if w.policies, err = loadPolicies(); err != nil {
		return err
	}
	w.truth = newTruth(w.now, w.fail)
	if w.options.Nodes == 0 {
		w.backend = newDisk(w.truth, w.now)
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

// start puts a new process on a node.
func (w *World) start(index int, skew time.Duration) error {
	eng, err := w.backend.open(index)
	if err != nil {
		return fmt.Errorf("node %d: %w", index, err)
	}
	s, err := w.newServer(index, eng, skew)
	if err != nil {
		return err
	}
	if index < len(w.servers) {
		w.servers[index] = s
	} else {
		w.servers = append(w.servers, s)
	}
	return nil
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

// dial opens a socket with a session; nil when the server refuses the token.
func (w *World) dial(c *client, s *server) *link {
	token := c.goodToken()
	if _, err := s.deps.Verifier.Verify(token); err != nil {
		c.token = ""
		return nil
	}
	w.dials++
	l := &link{world: w, number: w.dials, client: c, server: s}
	l.sess = session.New(s.deps, l, c.version, token)
	s.links = append(s.links, l)
	w.links = append(w.links, l)
	return l
}

// hangUp ends a session after its socket, as the transport does.
func (w *World) hangUp(l *link) {
	if l.ended {
		return
	}
	l.ended = true
	l.up = nil
	l.server.remove(l)
	l.sess.Cancel()
	w.run(l.sess.Close)
}

// kill ends a process without warning. What it has paused never happens.
func (w *World) kill(s *server) {
	w.backend.killed(s.index)
	s.seam.dead = true
	links := slices.Clone(s.links)
	for _, l := range links {
		l.Close(0, "")
	}
	w.resumeAll()
	for _, l := range links {
		w.hangUp(l) // only so that its timers end
	}
	if err := w.backend.close(s.seam.Engine); err != nil {
		w.fail("close: %v", err)
	}
}

// drain ends a process as it ends by itself: sessions are closed and everything
// is finished first.
func (w *World) drain(s *server) {
	w.resumeAll()
	w.quiet.Store(true)
	for _, l := range slices.Clone(s.links) {
		l.sess.Announce()
		l.Close(protocol.CloseRestart, "")
		w.hangUp(l)
	}
	w.quiet.Store(false)
	if n := s.hub.Channels(); n != 0 {
		w.fail("[R7] %d channels have members after the last session has ended", n)
	}
	s.seam.dead = true
	if err := w.backend.close(s.seam.Engine); err != nil {
		w.fail("close: %v", err)
	}
}

// verify compares the logs that a process finds with what really happened (R2).
func (w *World) verify(s *server) {
	for _, channel := range sortedKeys(w.truth.last) {
		log := w.truth.last[channel]
		head, err := s.seam.Engine.Head(context.Background(), channel)
		if err != nil {
			continue // cut off
		}
		switch n := uint64(len(log.entries)); {
		case head.Epoch == log.epoch && head.Offset != n:
			w.fail("[R2] %s ends at %d after a restart; %d entries are in it", channel, head.Offset, n)
		case head.Epoch != log.epoch && log.durable:
			w.fail("[R2] %s is another log after a restart, and was to survive it", channel)
		case head.Epoch == log.epoch:
			w.verifyEntries(s, channel, log)
		}
	}
}

func (w *World) verifyEntries(s *server, channel string, log *truthLog) {
	entries, err := s.seam.Engine.Since(context.Background(), channel, 0, len(log.entries)+1)
	if err != nil {
		w.fail("since %s: %v", channel, err)
		return
	}
	for _, e := range entries {
		if e.Offset > uint64(len(log.entries)) || log.entries[e.Offset-1].id != e.ID {
			w.fail("[R2] %s: entry %d is %q, which it was not", channel, e.Offset, e.ID)
		}
	}
}

// fail notes the first thing that must not be.
func (w *World) fail(format string, args ...any) {
	if w.fault == nil {
		w.fault = &Failure{Options: w.options, Step: w.steps, What: fmt.Sprintf(format, args...), Before: w.trace.lines()}
	}
}

// end stops everything that runs.
func (w *World) end() {
	w.resumeAll()
	w.quiet.Store(true)
	for _, s := range w.servers {
		if s.seam.dead {
			continue
		}
		for _, l := range slices.Clone(s.links) {
			w.hangUp(l)
		}
		if n := s.hub.Channels(); n != 0 {
			w.fail("[R7] %d channels have members after the last session has ended", n)
		}
		s.seam.dead = true
		if err := w.backend.close(s.seam.Engine); err != nil {
			w.fail("close: %v", err)
		}
	}
}

// did notes what happens, for the trace and the digest.
func (w *World) did(what string, who int, detail string) {
	if w.options.Trace != nil {
		_, _ = fmt.Fprintf(w.options.Trace, "%d %s %d %s\n", w.steps, what, who, detail) // the run is what counts
	}
	w.trace.add(w.steps, what, who, detail)
}

// trace keeps the newest steps, and a digest of all.
type trace struct {
	ring   [64]traced
	next   int
	digest uint64
}

type traced struct {
	step   int
	what   string
	who    int
	detail string
}

func (t *trace) add(step int, what string, who int, detail string) {
	t.ring[t.next%len(t.ring)] = traced{step, what, who, detail}
	t.next++
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %d %s %d %s", t.digest, step, what, who, detail) // a hash does not fail
	t.digest = h.Sum64()
}

func (t *trace) lines() (out []string) {
	for i := max(0, t.next-len(t.ring)); i < t.next; i++ {
		e := t.ring[i%len(t.ring)]
		out = append(out, fmt.Sprintf("step %d: %s %d %.200s", e.step, e.what, e.who, e.detail))
	}
	return out
}
