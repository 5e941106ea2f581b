package transport

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// popped is all that is due after a turn, in order of number.
func (w *wheel) popped(now int64) (all []uint32) {
	w.turn(now)
	for n := w.pop(); n != 0; n = w.pop() {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func TestWheel(t *testing.T) {
	pops := func(t *testing.T, w *wheel, now int64, want ...uint32) {
		t.Helper()
		if got := w.popped(now); !slices.Equal(got, want) {
			t.Errorf("at %d got %v; want %v", now, got, want)
		}
	}
	// set returns a wheel of 8 ticks of 10, with an entry due at each time.
	set := func(at ...int64) *wheel {
		w := newWheel(10, 8)
		for _, at := range at {
			w.set(w.add(), at)
		}
		return &w
	}
	t.Run("an entry is due with the tick behind its time, and once", func(t *testing.T) {
		w := set(0, 20, 21, 30)
		pops(t, w, 0, 1)
		pops(t, w, 19)
		pops(t, w, 20, 2)
		pops(t, w, 29)
		pops(t, w, 30, 3, 4)
		pops(t, w, 1000)
	})
	t.Run("one that is further away than a turn stays for another", func(t *testing.T) {
		w := set(10, 90, 170)
		pops(t, w, 15, 1)
		pops(t, w, 89)
		pops(t, w, 90, 2)
		pops(t, w, 169)
		pops(t, w, 170, 3)
	})
	t.Run("who was not turned for long has all that was due meanwhile", func(t *testing.T) {
		pops(t, set(10, 40, 79, 80, 500, 2000), 1000, 1, 2, 3, 4, 5)
	})
	t.Run("what is set to the past is due with the next tick, not in this turn", func(t *testing.T) {
		w := set(50)
		pops(t, w, 55, 1)
		w.set(1, 3)
		if n := w.pop(); n != 0 {
			t.Errorf("popped %d", n)
		}
		pops(t, w, 59)
		pops(t, w, 60, 1)
	})
	t.Run("an entry that is removed is not due, wherever it is", func(t *testing.T) {
		w := set(10, 10, 10, 10, 50)
		w.remove(2) // amid a slot
		w.remove(5) // alone in one
		w.turn(10)
		w.remove(4) // due
		pops(t, w, 10, 1, 3)
		w.remove(1) // popped
		pops(t, w, 1000)
	})
	t.Run("numbers are given again", func(t *testing.T) {
		w := set(10, 20)
		w.remove(1)
		if n := w.add(); n != 1 {
			t.Errorf("got %d", n)
		}
		pops(t, w, 1000, 2) // the new one is not set
		if n := w.add(); n != 3 {
			t.Errorf("got %d", n)
		}
	})
	t.Run("it says when it is to be turned, and when there is no need", func(t *testing.T) {
		for _, c := range []struct {
			w    *wheel
			at   int64
			want bool
		}{{set(), 0, false}, {set(31), 40, true}, {set(70, 50), 50, true}, {set(120), 40, true}} {
			if at, ok := c.w.next(); at != c.at || ok != c.want {
				t.Errorf("got %d, %v; want %d, %v", at, ok, c.at, c.want)
			}
		}
		w := set(20, 30)
		w.turn(25)
		if at, ok := w.next(); at != 20 || !ok { // at once
			t.Errorf("got %d, %v", at, ok)
		}
	})
	t.Run("time that goes back changes nothing", func(t *testing.T) {
		w := set(40, 60)
		pops(t, w, 45, 1)
		pops(t, w, 0)
		w.set(1, 10)
		pops(t, w, 50, 1)
		pops(t, w, 60, 2)
	})
}

// TestWheelAgainstAModel does the same to a wheel and to a map of when entries are due.
func TestWheelAgainstAModel(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			width, slots := 1+random.Int64N(20), 1+random.IntN(20)
			w := newWheel(width, slots)
			entries := map[uint32]int64{} // the tick with which it is due
			now, coming := int64(0), int64(0)
			some := func() (n uint32, ok bool) {
				if len(entries) == 0 {
					return 0, false
				}
				return slices.Sorted(maps.Keys(entries))[random.IntN(len(entries))], true
			}
			for range 1000 {
				n, ok := some()
				switch action := random.IntN(10); {
				case action < 3:
					n = w.add()
					if _, used := entries[n]; used {
						t.Fatalf("%d is used", n)
					}
					entries[n] = unset
				case action < 4 && ok:
					w.remove(n)
					delete(entries, n)
				case action < 8 && ok:
					at := now + random.Int64N(3*width*int64(slots))
					w.set(n, at)
					entries[n] = max((at+width-1)/width, coming)
				default:
					now += random.Int64N(2 * width * int64(1+random.IntN(slots)))
					coming = max(coming, now/width+1)
					var want []uint32
					for n, tick := range entries {
						if tick != unset && tick*width <= now {
							want = append(want, n)
							entries[n] = unset
						}
					}
					slices.Sort(want)
					if got := w.popped(now); !slices.Equal(got, want) {
						t.Fatalf("at %d got %v; want %v", now, got, want)
					}
				}
				earliest, isSet := int64(0), false
				for _, tick := range entries {
					if tick != unset && (!isSet || tick*width < earliest) {
						earliest, isSet = tick*width, true
					}
				}
				if at, ok := w.next(); ok != isSet || at > earliest || ok && at < now {
					t.Fatalf("at %d it is to be turned at %d, %v; the first is due at %d, %v", now, at, ok, earliest, isSet)
				}
			}
		})
	}
}

// BenchmarkWheel is one look at one entry of as many: its slot's turn, and set again.
func BenchmarkWheel(b *testing.B) {
	for _, n := range []int{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWheel(100, 512)
			random := rand.New(rand.NewPCG(1, 0))
			for range n {
				w.set(w.add(), random.Int64N(30_000))
			}
			now := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				e := w.pop()
				for e == 0 {
					now += 100
					w.turn(now)
					e = w.pop()
				}
				w.set(e, now+30_000)
			}
		})
	}
}
