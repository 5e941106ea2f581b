package collection

import (
	"log/slog"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/protocol"
)

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	lives := 0
	// live opens the engine of the directory, hands over a desk and closes it again.
	live := func(use func(d *desk)) {
		t.Helper()
		lives++
		eng, err := embedded.Open(embedded.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("life %d: %v", lives, err)
		}
		d := newDesk(t, eng, map[string]Spec{"notes": {}})
		d.target.Durability = engine.OS
		use(d)
		if err := eng.Close(); err != nil {
			t.Fatalf("life %d: %v", lives, err)
		}
	}

	first := withVotes(put("c1", 1, "r1", fields("content", "a")), 1)
	refused := patch("c1", 2, "r1", fields("id", "x"))
	var outcomes [2]protocol.Outcome
	live(func(d *desk) {
		outcomes = [2]protocol.Outcome{d.apply(first), d.apply(refused)}
		d.apply(put("c2", 1, "r2", fields("content", "b")))
		d.apply(remove("c2", 2, "r2"))
	})
	live(func(d *desk) {
		t.Run("[R4] after a restart a repeat gets the first outcome and changes nothing", func(t *testing.T) {
			for i, m := range []*protocol.Mutation{first, refused} {
				want := outcomes[i]
				want.Duplicate = true
				if got := d.apply(m); mustJSON(t, got) != mustJSON(t, want) {
					t.Errorf("repeat %+v, first %+v", got, want)
				}
			}
			if rec := d.record("r1"); rec.Counters["votes"] != 1 || rec.Version != 1 {
				t.Errorf("record %+v", rec)
			}
		})
		t.Run("[M1] after a restart the client id is still its owner's", func(t *testing.T) {
			d.refuse("mallory", patch("c1", 3, "r1", nil), protocol.CodeForbiddenClient)
		})
		t.Run("[M3] after a restart a deleted record is still gone, and can be restored with its fields", func(t *testing.T) {
			wantStatus(t, d.apply(patch("c2", 3, "r2", fields("content", "late"))), protocol.StatusGone, protocol.CodeRecordDeleted)
			wantStatus(t, d.apply(restore("c2", 4, "r2", nil)), protocol.StatusApplied, "")
			if rec := d.record("r2"); string(rec.Fields["content"]) != `"b"` || rec.Deleted != "" {
				t.Errorf("record %+v", rec)
			}
		})
	})
	live(func(d *desk) {
		t.Run("[R2] a third life goes on where the second ended", func(t *testing.T) {
			wantStatus(t, d.apply(patch("c1", 3, "r1", fields("content", "c"))), protocol.StatusApplied, "")
			if rec := d.record("r1"); string(rec.Fields["content"]) != `"c"` {
				t.Errorf("record %+v", rec)
			}
		})
	})
}

func TestAge(t *testing.T) {
	dir, day := t.TempDir(), 0
	clock := func() time.Time { return time.UnixMilli(now).AddDate(0, 0, day) }
	// on opens the engine on a day, as after a restart.
	on := func(d int, use func(d *desk)) {
		t.Helper()
		day = d
		eng, err := embedded.Open(embedded.Options{Dir: dir, Clock: clock, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		desk := newDesk(t, eng, map[string]Spec{"notes": {}})
		desk.target.Durability = engine.OS
		use(desk)
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
	first := withVotes(put("c1", 1, "r1", fields("content", "a")), 1)
	var outcome protocol.Outcome
	on(0, func(d *desk) { outcome = d.apply(first) })
	t.Run("[R4] an outbox that comes back after 89 days gets the first outcome and changes nothing", func(t *testing.T) {
		outcome.Duplicate = true
		on(89, func(d *desk) {
			if got := d.apply(first); mustJSON(t, got) != mustJSON(t, outcome) {
				t.Errorf("repeat %+v, first %+v", got, outcome)
			}
			if rec := d.record("r1"); rec.Counters["votes"] != 1 || rec.Version != 1 {
				t.Errorf("record %+v", rec)
			}
		})
	})
	t.Run("[M1] after 91 days the channel does not know the client, and says so instead of doing anything", func(t *testing.T) {
		on(91, func(d *desk) {
			d.refuse("ada", patch("c1", 2, "r1", fields("content", "b")), protocol.CodeClientUnknown)
			if rec := d.record("r1"); rec.Version != 1 {
				t.Errorf("record %+v", rec)
			}
		})
	})
}
