package bench

import (
	"strings"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	const duration = 250 * time.Millisecond
	subscribers := Subscribers{Mode: Broadcast, Counts: []int{5, 20}, Deliveries: 400, Duration: duration, TextSize: 100}
	channels := Channels{Mode: Broadcast, Counts: []int{1, 5}, Members: 3, Shared: 2, Rate: 200, Duration: duration, TextSize: 100, Seed: 1}

	t.Run("there are as many deliveries each time, to more subscribers or in more channels", func(t *testing.T) {
		for _, s := range []Scenario{subscribers, channels} {
			got := measure(t, s, startFake(t, &fake{}).subject(t), enough)
			assertClean(t, got)
			if len(got) != 2 || got[0].Operations != 100 || got[1].Operations != 100 {
				t.Errorf("%s: %+v, want 100 deliveries twice", s.name(), got)
			}
		}
	})

	t.Run("a connection is in several channels, and each of them gets its own", func(t *testing.T) {
		f := startFake(t, &fake{})
		got := measure(t, channels, f.subject(t), enough)
		if got[0].Phase != "1 channel" || got[1].Phase != "5 channels" {
			t.Errorf("%+v", got)
		}
		if conns := len(f.conns); conns != 3+9 {
			t.Errorf("%d connections: for one channel 3, for 5 of which two share them 9", conns)
		}
		if len(f.channels) != 1+5 {
			t.Errorf("%d channels", len(f.channels))
		}
		for topic, c := range f.channels {
			if c.pushes == 0 {
				t.Errorf("nothing was pushed in %s", topic)
			}
		}
	})

	t.Run("[R2] what one of those who share a connection misses is lost", func(t *testing.T) {
		f := startFake(t, &fake{spoil: func(n int, frame []byte) [][]byte {
			if n == 3 {
				return nil
			}
			return [][]byte{frame}
		}})
		got := measure(t, channels, f.subject(t), inVain)
		if got[0].Lost != 2 || got[1].Lost != 5*2 {
			t.Errorf("%d and %d lost, want the third of each at 2 members per channel", got[0].Lost, got[1].Lost)
		}
	})

	t.Run("where a connection has one channel there are as many connections, in fewer channels", func(t *testing.T) {
		f := startFake(t, &fake{})
		got := measure(t, channels, struct{ subject }{f.subject(t)}, enough) // as those of the floor
		assertClean(t, got)
		if got[0].Phase != "1 channel" || got[1].Phase != "5 channels" {
			t.Errorf("%+v", got)
		}
		if len(f.conns) != 3+9 || len(f.channels) != 1+3 {
			t.Errorf("%d connections in %d channels: 3 in the first, 9 in three", len(f.conns), len(f.channels))
		}
	})

	t.Run("growth from nothing, to nothing or without a second count is refused", func(t *testing.T) {
		one, none, alone := subscribers, subscribers, channels
		one.Counts, none.Counts, alone.Shared = []int{1}, []int{1, 0}, 0
		for want, s := range map[string]Scenario{"two counts": one, "count of 0": none, "one channel at least": alone} {
			if err := s.validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
}
