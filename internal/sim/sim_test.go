package sim

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/chorale-rt/chorale/internal/linear"
)

var (
	soakFlag    = flag.Int("sim.soak", 0, "TestSoak: how many steps in all")
	seedFlag    = flag.Uint64("sim.seed", 0, "TestSeed: the seed to run; TestSoak: the first one")
	stepsFlag   = flag.Int("sim.steps", 0, "TestSeed: how many steps")
	nodesFlag   = flag.Int("sim.nodes", 0, "TestSeed: 0 for the embedded engine, else nodes over a shared log")
	clientsFlag = flag.Int("sim.clients", 0, "TestSeed: how many clients, 0 means six")
	limitsFlag  = flag.Bool("sim.limits", false, "TestSeed: with limits")
	powerFlag   = flag.Bool("sim.power", false, "TestSeed: with losses of power")
	traceFlag   = flag.String("sim.trace", "", "TestSeed: a file for everything that happens")
)

// play runs a world with everything of chance tied to its seed.
func play(t *testing.T, o Options) (report *Report, err error) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, o.Seed)
	synctest.Test(t, func(*testing.T) { report, err = Run(o) })
	return report, err
}

func mustPlay(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := play(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kinds of worlds, which differ in what lies under the servers.
var kinds = []struct {
	name string
	o    Options
}{
	{"one node and its disk", Options{}},
	{"one node with limits", Options{Limits: true}},
	{"one node that loses its power", Options{Power: true}},
	{"three nodes and their log", Options{Nodes: 3}},
	{"five nodes, twelve clients, limits", Options{Nodes: 5, Clients: 12, Limits: true}},
}

// The steps of a test run, 10⁵ and more; see TestSoak for more of them.
const (
	seedsOfAKind = 3
	stepsOfASeed = 7_500
)

func TestSimulation(t *testing.T) {
	for _, kind := range kinds {
		t.Run("[R1] [R2] [R3] [R4] [R5] [R6] [R7] hold in a world of "+kind.name, func(t *testing.T) {
			var all Report
			for seed := range uint64(seedsOfAKind) {
				o := kind.o
				o.Seed, o.Steps = seed, stepsOfASeed
				r := mustPlay(t, o)
				if err := linear.Check(r.History); err != nil {
					t.Errorf("[E5] [M4] seed %d: %v", seed, err)
				}
				all.add(r)
			}
			all.checkThorough(t)
		})
	}
}

// checkThorough demands that a run has met what it is there to meet.
func (r *Report) checkThorough(t *testing.T) {
	t.Helper()
	t.Logf("%+v", *r) // its history is long, and not added up
	for what, count := range map[string]int{
		"entries": r.Entries, "mutations": r.Mutations, "joins that resumed": r.Resumed, "joins that could not": r.Resynced,
		"restarts": r.Restarts, "slow readers": r.Slow, "repeats": r.Repeats,
	} {
		if count == 0 {
			t.Errorf("there were no %s", what)
		}
	}
}

func (r *Report) add(o *Report) {
	r.Entries += o.Entries
	r.Mutations += o.Mutations
	r.Resumed += o.Resumed
	r.Resynced += o.Resynced
	r.Restarts += o.Restarts
	r.Slow += o.Slow
	r.Repeats += o.Repeats
}

func TestSameSeed(t *testing.T) {
	for _, kind := range kinds {
		t.Run("the same seed is the same run: "+kind.name, func(t *testing.T) {
			o := kind.o
			o.Seed, o.Steps = 77, 3000
			first, again := mustPlay(t, o), mustPlay(t, o)
			if first.Digest != again.Digest || !reflect.DeepEqual(first, again) {
				t.Errorf("first %+v, then %+v", *first, *again)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	t.Run("a failure says its seed, its steps, and how to run it again", func(t *testing.T) {
		o := Options{Seed: 3, Nodes: 3, Steps: 8000, Faults: Faults{SkipsLast: true}}
		_, err := play(t, o)
		if err == nil {
			t.Fatal("no failure")
		}
		for _, want := range []string{"seed 3, step ", "[R3]", "\n  step ", "again: go test ./internal/sim -run 'TestSeed$' -sim.seed=3 -sim.steps=8000 -sim.nodes=3"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %s", want, err)
			}
		}
	})
}

func TestSeed(t *testing.T) {
	if *stepsFlag == 0 {
		t.Skip("runs a seed with -sim.seed and -sim.steps")
	}
	o := Options{Seed: *seedFlag, Steps: *stepsFlag, Nodes: *nodesFlag, Clients: *clientsFlag, Limits: *limitsFlag, Power: *powerFlag}
	if *traceFlag != "" {
		f, err := os.Create(*traceFlag)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }() // the run is what counts
		o.Trace = f
	}
	r := mustPlay(t, o)
	r.History = nil // too long to look at
	t.Logf("%+v", *r)
}

// TestSoak is the long form: seeds of all kinds until so many steps are done.
func TestSoak(t *testing.T) {
	if *soakFlag == 0 {
		t.Skip("runs with -sim.soak, the number of steps")
	}
	const steps = 20_000
	for done, seed := 0, *seedFlag; done < *soakFlag; seed++ {
		for _, kind := range kinds {
			o := kind.o
			o.Seed, o.Steps = seed, steps
			if _, err := play(t, o); err != nil {
				t.Error(err)
			}
			done += steps
		}
		if seed%25 == 24 {
			fmt.Printf("simulated %d of %d steps, seeds up to %d\n", done, *soakFlag, seed)
		}
	}
}
