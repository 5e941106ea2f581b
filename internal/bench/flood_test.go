package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestFlood(t *testing.T) {
	others := Rooms{Mode: Broadcast, Rooms: 3, Members: 3, Rate: 200, Warmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond, TextSize: 100, Seed: 1}
	t.Run("the others are measured alone and beside the flood, of which nothing counts as theirs", func(t *testing.T) {
		got := measure(t, Flood{others}, startFake(t, &fake{}).subject(t), enough)
		assertClean(t, got)
		if len(got) != 2 || got[0].Phase != alone || got[1].Phase != flooded {
			t.Fatalf("phases %+v", got)
		}
		if got[0].FloodPerSecond != 0 || got[1].FloodPerSecond == 0 {
			t.Errorf("the flood was %g and %g pushes per second", got[0].FloodPerSecond, got[1].FloodPerSecond)
		}
	})
	t.Run("a flood that the server ends is an error, because then it was none", func(t *testing.T) {
		// Only the flood makes this many pushes in one channel, with its first write;
		// the others go on until that has surely been read.
		f := startFake(t, &fake{hangUpAt: floodBatch - 1})
		others := others
		others.Rate, others.Duration = 20, time.Second
		_, err := Flood{others}.run(t.Context(), site{subject: f.subject(t), run: "t", patience: inVain})
		if err == nil || !strings.Contains(err.Error(), "the flood ended by itself") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the table shows what the flood did to the others", func(t *testing.T) {
		r := &Report{Scenario: "flood"}
		r.add(choraleName, Figures{Phase: alone, P99Us: 1000})
		r.add(choraleName, Figures{Phase: flooded, P99Us: 1500, FloodPerSecond: 7000})
		var out bytes.Buffer
		if err := r.WriteTable(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"ratio flooded", "1.50", "the flood's pushes per second", "7,000"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	})
}
