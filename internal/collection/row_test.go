package collection

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/protocol"
)

func anOutcome(t *rapid.T) protocol.Outcome {
	o := protocol.Outcome{Status: rapid.SampledFrom([]protocol.Status{
		protocol.StatusApplied, protocol.StatusNoop, protocol.StatusSuperseded,
		protocol.StatusExists, protocol.StatusGone, protocol.StatusRejected,
	}).Draw(t, "status")}
	o.Lost = rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "lost")
	if rapid.Bool().Draw(t, "failed") {
		o.Error = &protocol.Error{Code: rapid.String().Draw(t, "code"), Message: rapid.String().Draw(t, "message"), Path: rapid.String().Draw(t, "path")}
	}
	return o
}

func TestClientRow(t *testing.T) {
	t.Run("[M1] a row keeps the owner and the newest 64 outcomes, each with its offset", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			row := clientRow{owner: rapid.String().Draw(t, "owner")}
			var want []protocol.Outcome
			var version uint64
			for n := range uint64(rapid.IntRange(1, 80).Draw(t, "count")) {
				outcome := anOutcome(t)
				next, err := parseRow(row.with(outcome, version))
				if err != nil {
					t.Fatal(err)
				}
				version += rapid.Uint64Range(1, 1<<40).Draw(t, "gap")
				outcome.N, outcome.Offset = n+1, version
				want = append(want, outcome)
				if next.owner != row.owner || next.last != n+1 {
					t.Fatalf("row %+v after %+v", next, row)
				}
				row = next
			}
			want = want[max(0, len(want)-protocol.OutcomesKept):]
			got, err := row.outcomes(version)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, func(a, b protocol.Outcome) bool { return mustJSON(t, a) == mustJSON(t, b) }) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
		})
	})
	t.Run("[R7] a client's row stays small", func(t *testing.T) {
		row := clientRow{owner: "0192f0c1-2b3c-7000-8000-000000000000"}
		for n := range uint64(200) {
			next, err := parseRow(row.with(protocol.Outcome{Status: protocol.StatusApplied}, 1_000_000+n))
			if err != nil {
				t.Fatal(err)
			}
			row = next
		}
		if size := len(row.with(protocol.Outcome{Status: protocol.StatusApplied}, 2_000_000)); size > 400 {
			t.Errorf("%d bytes", size)
		}
	})
}
