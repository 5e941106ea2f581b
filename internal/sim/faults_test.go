package sim

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Every fault must be found by the rule that it breaks, in a few seeds.
func TestFaultsAreFound(t *testing.T) {
	for _, wrong := range []struct {
		what  string
		o     Options
		rules []string // one of which must be the one that is seen to be broken
		from  uint64   // the first seed to try, for faults that few seeds meet
	}{
		{"a log in which ids mean nothing", Options{Nodes: 3, Faults: Faults{NoDedupe: true}}, []string{"[R2]"}, 0},
		{"a log that does not look at conditions", Options{Nodes: 3, Faults: Faults{NoConditions: true}}, []string{"[R4]", "[R5]", "[R6]"}, 0},
		{"a catch-up that leaves out the last entry", Options{Nodes: 3, Faults: Faults{SkipsLast: true}}, []string{"[R3]"}, 0},
		{"a node that does not notice what got lost on the way", Options{Nodes: 3, Faults: Faults{NoRepair: true}}, []string{"[R3]", "[R5]"}, 0},
		{"a node that delivers two entries the wrong way round", Options{Nodes: 3, Faults: Faults{Reorders: true}}, []string{"[R1]", "[R3]"}, 0},
		{"a log that drops entries without a word", Options{Nodes: 3, Faults: Faults{NoTruncation: true}}, []string{"[R3]"}, 0},
		{"a node that lags behind and takes what it knows for the newest", Options{Nodes: 3, Faults: Faults{StaleHead: true}}, []string{"[S2]", "[J1]", "[R4]", "[R5]", "[R3]", "[A1]"}, 0},
		{"a log that loses what it has acknowledged", Options{Nodes: 3, Faults: Faults{LosesAcknowledged: true}}, []string{"[R2]"}, 0},
		{"a disk that is not synced", Options{Power: true, Faults: Faults{LazyDisk: true}}, []string{"[R2]"}, 0},
		{"leases that outlive their node", Options{Nodes: 3, Faults: Faults{LeakyLeases: true}}, []string{"[P3]"}, 0},
		{"a node that cannot give up a lease while it is cut off", Options{Nodes: 3, Faults: Faults{FailingDrops: true}}, []string{"[P3]"}, 7},
		{"a client that goes on as if it had been resumed", Options{Nodes: 3, Faults: Faults{IgnoresResync: true}}, []string{"[R3]", "[R5]"}, 0},
		{"a client that gives another number to what it sends again", Options{Faults: Faults{RenumbersResent: true}}, []string{"[R4]"}, 0},
		{"a client that gives another id to what it publishes again", Options{Faults: Faults{FreshIDs: true}}, []string{"[R2]"}, 0},
		{"a client that shows what has settled as pending", Options{Faults: Faults{KeepsSettled: true}}, []string{"[R6]"}, 0},
		{"a client that forgets its position too soon", Options{Limits: true, Faults: Faults{ForgetsPosition: true}}, []string{"[R6]"}, 207},
		{"a queue without an end", Options{Faults: Faults{Unbounded: true}}, []string{"[R7]"}, 0},
	} {
		t.Run("the simulation finds "+wrong.what, func(t *testing.T) {
			for seed := wrong.from; seed < wrong.from+300; seed++ { // a dozen, unless the server's ways have changed
				o := wrong.o
				o.Seed, o.Steps = seed, 8000
				_, err := play(t, o)
				var f *Failure
				if !errors.As(err, &f) {
					continue
				}
				if !slices.ContainsFunc(wrong.rules, func(rule string) bool { return strings.HasPrefix(f.What, rule) }) {
					t.Fatalf("found as something else: %s", f.What)
				}
				t.Logf("seed %d, step %d: %.120s", seed, f.Step, f.What)
				return
			}
			t.Error("not found")
		})
	}
}
