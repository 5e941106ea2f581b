package collection

import (
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

func TestApply(t *testing.T) {
	t.Run("[M7] a put carries the whole record with its version", func(t *testing.T) {
		d := openNotes(t)
		outcome := d.apply(put("c1", 1, "r1", fields("content", "hello")))
		wantStatus(t, outcome, protocol.StatusApplied, "")
		change := d.lastChange()
		if change.State == nil || change.State.Version != outcome.Offset || change.Offset != outcome.Offset || change.Fields != nil {
			t.Errorf("change %+v of offset %d", change, outcome.Offset)
		}
	})
}
