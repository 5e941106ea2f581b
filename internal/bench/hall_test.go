package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestHall(t *testing.T) {
	rooms := Rooms{Mode: Broadcast, Rooms: 3, Members: 3, Rate: 200, Warmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond, TextSize: 100, Seed: 1}
	hall := Hall{Rooms: rooms, Listeners: 10, Speakers: 2, Talk: 200}
	t.Run("the rooms are measured alone and beside the hall, of which nothing counts as theirs", func(t *testing.T) {
		got := measure(t, hall, startFake(t, &fake{}).subject(t), enough)
		assertClean(t, got)
		if len(got) != 2 || got[0].Phase != alone || got[1].Phase != besideHall {
			t.Fatalf("phases %+v", got)
		}
		if got[0].HallPerSecond != 0 || got[1].HallPerSecond == 0 {
			t.Errorf("the hall had %g and %g deliveries per second", got[0].HallPerSecond, got[1].HallPerSecond)
		}
		if got[0].Operations != got[1].Operations {
			t.Errorf("%d deliveries alone and %d beside the hall, by the same schedule", got[0].Operations, got[1].Operations)
		}
	})
	t.Run("what the hall was not handed is an error", func(t *testing.T) {
		f := startFake(t, &fake{spoil: func(n int, frame []byte) [][]byte {
			if n == 2 && bytes.Contains(frame, []byte("-hall")) {
				return nil
			}
			return [][]byte{frame}
		}})
		_, err := hall.run(t.Context(), site{subject: f.subject(t), run: "t", patience: inVain})
		if err == nil || !strings.Contains(err.Error(), "of the hall were lost") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a hall to whom nothing is said is none", func(t *testing.T) {
		silent := hall
		silent.Talk = 0
		if silent.validate() == nil {
			t.Error("it was let in")
		}
	})
	t.Run("the table shows what the hall did to the rooms", func(t *testing.T) {
		r := &Report{Scenario: "hall"}
		r.add(choraleName, Figures{Phase: alone, P99Us: 1000})
		r.add(choraleName, Figures{Phase: besideHall, P99Us: 1500, HallPerSecond: 7000})
		var out bytes.Buffer
		if err := r.WriteTable(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"ratio beside a hall", "1.50", "the hall's deliveries per second", "7,000"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	})
}
