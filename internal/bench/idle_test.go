package bench

import (
	"strings"
	"testing"
	"time"
)

func TestIdle(t *testing.T) {
	idle := Idle{
		Mode: Broadcast, Conns: 8, Members: 4, Heartbeat: 50 * time.Millisecond, Quiet: 175 * time.Millisecond,
		Rate: 100, Traffic: 50 * time.Millisecond, TextSize: 100,
	}

	t.Run("after the traffic everybody says now and then that they are there, and that is all", func(t *testing.T) {
		f := startFake(t, &fake{})
		got := measure(t, idle, f.subject(t), enough)
		if len(got) != 2 || got[0].Phase != silent || got[1].Phase != beating {
			t.Fatalf("%+v", got)
		}
		for _, f := range got {
			if f.Operations != 8 || f.Errors+f.Lost+f.OutOfOrder != 0 {
				t.Errorf("%+v", f)
			}
		}
		if len(f.beats) != 8 {
			t.Fatalf("heartbeats of %d connections", len(f.beats))
		}
		for _, n := range f.beats {
			if n != 3 && n != 4 {
				t.Errorf("%d heartbeats of a connection in 3.5 times their period", n)
			}
		}
	})

	t.Run("without heartbeats nothing is said", func(t *testing.T) {
		f := startFake(t, &fake{})
		quiet := idle
		quiet.Heartbeat = 0
		if got := measure(t, quiet, f.subject(t), enough); got[1].Phase != silentAgain || len(f.beats) != 0 {
			t.Errorf("phase %s, heartbeats of %d", got[1].Phase, len(f.beats))
		}
	})

	t.Run("heartbeats that are not answered end the run", func(t *testing.T) {
		f := startFake(t, &fake{deaf: true})
		_, err := idle.run(t.Context(), site{subject: f.subject(t), run: "t", patience: inVain})
		if err == nil || !strings.Contains(err.Error(), "answers to heartbeats") {
			t.Errorf("error %v", err)
		}
	})
}
