package linear

import (
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

func at(version uint64) *uint64 { return &version }

func TestCheck(t *testing.T) {
	applied, rejected := protocol.StatusApplied, protocol.StatusRejected
	for _, h := range []struct {
		what       string
		ok         bool
		operations []Operation
	}{
		{"[E5] of two that overlap and name one version, one is applied and the other told", true, []Operation{
			{Record: "r", Call: 1, End: 2, Status: applied, Offset: 1},
			{Record: "r", Call: 3, End: 6, IfVersion: at(1), Status: applied, Offset: 2},
			{Record: "r", Call: 4, End: 7, IfVersion: at(1), Status: rejected, Conflict: true, Offset: 3, Current: 2},
			{Record: "r", Call: 8, End: 9, Read: true, Current: 2},
		}},
		{"[E5] both applied is no history of one record", false, []Operation{
			{Record: "r", Call: 1, End: 2, Status: applied, Offset: 1},
			{Record: "r", Call: 3, End: 6, IfVersion: at(1), Status: applied, Offset: 2},
			{Record: "r", Call: 4, End: 7, IfVersion: at(1), Status: applied, Offset: 3},
		}},
		{"[E5] a read that begins after a write has ended sees it", false, []Operation{
			{Record: "r", Call: 1, End: 2, Status: applied, Offset: 1},
			{Record: "r", Call: 3, End: 4, Read: true, Current: 0},
		}},
		{"[E5] a conflict without anybody who could have been first", false, []Operation{
			{Record: "r", Call: 1, End: 2, Status: applied, Offset: 1},
			{Record: "r", Call: 3, End: 4, IfVersion: at(1), Status: rejected, Conflict: true, Offset: 2},
		}},
		{"[M3] exists without a record", false, []Operation{{Record: "r", Call: 1, End: 2, Status: protocol.StatusExists, Offset: 1}}},
		{"[E5] records do not depend on one another", true, []Operation{
			{Record: "r", Call: 1, End: 2, Status: applied, Offset: 1},
			{Record: "s", Call: 3, End: 4, IfVersion: at(0), Status: applied, Offset: 2},
		}},
	} {
		t.Run(h.what, func(t *testing.T) {
			if err := Check(h.operations); (err == nil) != h.ok {
				t.Errorf("got %v, want a linearization: %v", err, h.ok)
			}
		})
	}
}
