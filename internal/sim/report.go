package sim

import (
	"fmt"
	"strings"

	"github.com/chorale-rt/chorale/internal/linear"
)

// Report is what a run that held everything was made of.
type Report struct {
	Digest    uint64 // of everything that happened: the same run has the same
	Entries   int    // in all logs
	Mutations int
	Resumed   int // joins that went on from a position
	Resynced  int // joins that were told they could not
	Restarts  int
	Slow      int // sockets that were cut because nobody read
	Repeats   int // mutations and messages that were sent more than once

	History []linear.Operation // of the mutations of all records
}

// Failure is a run in which something happened that must not.
type Failure struct {
	Options Options
	Step    int
	What    string
	Before  []string // the steps before, oldest first
}

func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, step %d: %s\n", f.Options.Seed, f.Step, f.What)
	for _, line := range f.Before {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	o := f.Options
	fmt.Fprintf(&b, "again: go test ./internal/sim -run 'TestSeed$' -sim.seed=%d -sim.steps=%d -sim.nodes=%d -sim.clients=%d -sim.limits=%v -sim.power=%v\n",
		o.Seed, o.Steps, o.Nodes, o.Clients, o.Limits, o.Power)
	return b.String()
}

func (w *World) report() *Report {
	r := w.counts
	r.Digest, r.History = w.trace.digest, w.lastHistory()
	for _, log := range w.truth.last {
		r.Entries += len(log.entries)
		r.Mutations += len(log.outcomes)
	}
	return &r
}
