package bench

import (
	"math"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	t.Run("Poisson arrivals have the rate, the spread and the writers that were asked for", func(t *testing.T) {
		const n, rate, writers = 100_000, 2000.0, 10
		s := Poisson(7, rate, writers)
		var last time.Duration
		var sum, squares float64
		counts := make([]int, writers)
		for range n {
			a := s.Next()
			gap := (a.At - last).Seconds() * rate
			if gap < 0 {
				t.Fatalf("an arrival at %s after one at %s", a.At, last)
			}
			sum += gap
			squares += gap * gap
			last = a.At
			counts[a.Writer]++
		}
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		// Gaps are exponential: mean and deviation are both 1, in units of 1/rate.
		if math.Abs(mean-1) > 0.02 || math.Abs(deviation-1) > 0.02 {
			t.Errorf("gaps have mean %.3f and deviation %.3f, want 1 and 1", mean, deviation)
		}
		for w, c := range counts {
			if math.Abs(float64(c)-n/writers) > 5*math.Sqrt(n/writers) {
				t.Errorf("writer %d has %d arrivals, want about %d", w, c, n/writers)
			}
		}
	})

	t.Run("the same seed gives the same schedule, another seed another", func(t *testing.T) {
		a, b, c := Poisson(1, 100, 5), Poisson(1, 100, 5), Poisson(2, 100, 5)
		differs := false
		for range 100 {
			x, y := a.Next(), b.Next()
			if x != y {
				t.Fatalf("%+v and %+v of one seed", x, y)
			}
			differs = differs || x != c.Next()
		}
		if !differs {
			t.Error("two seeds gave one schedule")
		}
	})

	t.Run("steady arrivals are evenly spaced, do not drift, and go round the writers", func(t *testing.T) {
		s := Steady(3, 2)
		for i := range 3_000_001 {
			a := s.Next()
			if a.Writer != i%2 {
				t.Fatalf("arrival %d is writer %d's", i, a.Writer)
			}
			if i == 3_000_000 && (a.At-1_000_000*time.Second).Abs() > time.Microsecond {
				t.Errorf("after 3,000,000 arrivals at 3/s it is %s", a.At)
			}
		}
	})

	t.Run("scattered arrivals are evenly spaced, by writers at random", func(t *testing.T) {
		s := Scattered(1, 1000, 4)
		counts := make([]int, 4)
		for i := range 1000 {
			a := s.Next()
			if a.At != time.Duration(i)*time.Millisecond {
				t.Fatalf("arrival %d at %s", i, a.At)
			}
			counts[a.Writer]++
		}
		for w, c := range counts {
			if c < 200 || c > 300 {
				t.Errorf("writer %d has %d of 1000 arrivals", w, c)
			}
		}
	})
}
