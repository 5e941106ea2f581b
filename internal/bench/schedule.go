package bench

import (
	"math/rand/v2"
	"time"
)

// Arrival is one push that is due.
type Arrival struct {
	At     time.Duration // since the schedule began
	Writer int           // who pushes, 0 ≤ Writer < writers
}

// A Schedule says when pushes are due and who makes them. It knows nothing of
// whether they succeed: the load is open-loop. For one goroutine.
type Schedule struct {
	rng     *rand.Rand // nil: the writers push in turn
	even    bool       // arrivals are evenly spaced
	gap     float64    // mean seconds between two arrivals
	writers int
	n       int64
	at      float64 // seconds
}

// Poisson returns a schedule of independent writers who push at random, rate
// pushes per second between them. The same seed gives the same schedule.
func Poisson(seed uint64, rate float64, writers int) *Schedule {
	return &Schedule{rng: rand.New(rand.NewPCG(seed, 0)), gap: 1 / rate, writers: writers}
}

// Steady returns a schedule of evenly spaced pushes, rate per second, that the
// writers make in turn.
func Steady(rate float64, writers int) *Schedule {
	return &Schedule{even: true, gap: 1 / rate, writers: writers}
}

// Scattered returns a schedule of evenly spaced pushes, each by a writer at random:
// no two come close to each other however few the writers are.
func Scattered(seed uint64, rate float64, writers int) *Schedule {
	return &Schedule{rng: rand.New(rand.NewPCG(seed, 0)), even: true, gap: 1 / rate, writers: writers}
}

// Next returns the next arrival. Arrivals never go back in time.
func (s *Schedule) Next() Arrival {
	var a Arrival
	if s.even {
		// Multiplied, not added up: a long run must not drift.
		a.At = seconds(float64(s.n) * s.gap)
	} else {
		// One Poisson process whose arrivals are dealt out at random is as many
		// independent ones as there are writers.
		s.at += s.rng.ExpFloat64() * s.gap
		a.At = seconds(s.at)
	}
	if s.rng == nil {
		a.Writer = int(s.n % int64(s.writers))
	} else {
		a.Writer = s.rng.IntN(s.writers)
	}
	s.n++
	return a
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
