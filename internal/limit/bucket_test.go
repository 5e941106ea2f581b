package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// steps are what a test does with a bucket: time passes, something is asked for.
type step struct {
	pass time.Duration
	n    int
}

func drawRate(t *rapid.T) Rate {
	return Rate{rapid.IntRange(1, 1_000_000).Draw(t, "perSecond"), rapid.IntRange(1, 1_000_000).Draw(t, "burst")}
}

func drawSteps(t *rapid.T, burst int) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			pass: time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "pass")),
			n:    rapid.IntRange(0, 2*burst).Draw(t, "n"),
		}
	}), 1, 200).Draw(t, "steps")
}

func TestBucket(t *testing.T) {
	t.Run("in t seconds no more passes than the burst, what t gives back, and one that is larger than the burst", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			r := drawRate(t)
			var b Bucket
			var now int64
			passed, largest, takes := 0, r.Burst, 0
			for _, s := range drawSteps(t, r.Burst) {
				now += int64(s.pass)
				if b.Take(now, r, s.n) > 0 {
					continue
				}
				passed, largest, takes = passed+s.n, max(largest, s.n), takes+1
				// Each take is rounded down by less than a nanosecond.
				allowed := float64(r.Burst) + float64(largest) + (float64(now)+float64(takes))/1e9*float64(r.PerSecond)
				if float64(passed) > allowed+1 {
					t.Fatalf("%d passed in %s, %s allows %.1f", passed, time.Duration(now), r, allowed)
				}
			}
		})
	})
	t.Run("who waits for as long as was said passes, and not before", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			r := drawRate(t)
			var b Bucket
			var now int64
			for _, s := range drawSteps(t, r.Burst) {
				now += int64(s.pass)
				wait := b.Take(now, r, s.n)
				if wait == 0 {
					continue
				}
				early := b
				if early.Take(now+int64(wait)-1, r, s.n) == 0 {
					t.Fatalf("%d passed before the %s were over", s.n, wait)
				}
				now += int64(wait)
				if again := b.Take(now, r, s.n); again > 0 {
					t.Fatalf("%d waited %s and were told to wait %s more", s.n, wait, again)
				}
			}
		})
	})
	t.Run("what is refused costs nothing", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			r := drawRate(t)
			var b Bucket
			var now int64
			for _, s := range drawSteps(t, r.Burst) {
				now += int64(s.pass)
				before := b
				if b.Take(now, r, s.n) > 0 && b != before {
					t.Fatalf("refused %d, and %+v became %+v", s.n, before, b)
				}
			}
		})
	})
	t.Run("a bucket at rest answers like a new one", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			r := drawRate(t)
			var b, fresh Bucket
			var now int64
			for _, s := range drawSteps(t, r.Burst) {
				now += int64(s.pass)
				b.Take(now, r, s.n)
			}
			now = max(now, b.full)
			if !b.atRest(now) {
				t.Fatal("not at rest when all was given back")
			}
			for _, s := range drawSteps(t, r.Burst) {
				now += int64(s.pass)
				if got, want := b.Take(now, r, s.n), fresh.Take(now, r, s.n); got != want {
					t.Fatalf("waits %s, a new one %s", got, want)
				}
			}
		})
	})
	t.Run("the burst passes to its last, one by one or at once", func(t *testing.T) {
		for _, r := range []Rate{{3, 3}, {7, 100}, {1_000_000, 8_000_000}, {1, 1}} {
			var single, whole Bucket
			for i := range min(r.Burst, 1000) {
				if wait := single.Take(0, r, 1); wait > 0 {
					t.Errorf("%s: number %d waits %s", r, i+1, wait)
				}
			}
			if wait := whole.Take(0, r, r.Burst); wait > 0 {
				t.Errorf("%s: all at once waits %s", r, wait)
			}
			if whole.Take(0, r, 1) == 0 {
				t.Errorf("%s: one more than the burst passed", r)
			}
		}
	})
	t.Run("a rate below one has no limit", func(t *testing.T) {
		var b Bucket
		for range 1000 {
			if b.Take(0, Rate{}, 1_000_000) > 0 || b.Take(0, Rate{PerSecond: -1}, 1_000_000) > 0 {
				t.Fatal("refused")
			}
		}
	})
}

func TestMeter(t *testing.T) {
	t.Run("a refusal for one of the two takes nothing of the other", func(t *testing.T) {
		f := Flow{Messages: Rate{10, 10}, Bytes: Rate{1000, 1000}}
		var m Meter
		if a, b := m.take(0, &f, 1, 1000); a > 0 || b > 0 {
			t.Fatal(a, b)
		}
		for range 100 { // would be ten times the messages
			if _, b := m.take(0, &f, 1, 1); b == 0 {
				t.Fatal("more bytes than the burst passed")
			}
		}
		if a, b := m.take(int64(time.Second), &f, 9, 0); a > 0 || b > 0 {
			t.Error("refused messages were charged", a, b)
		}
	})
}
