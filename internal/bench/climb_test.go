package bench

import "testing"

func TestClimb(t *testing.T) {
	t.Run("it ends within a tenth below the limit, wherever it began", func(t *testing.T) {
		for _, limit := range []float64{0.3, 7, 39, 40, 41, 1000, 77_777} {
			tries := 0
			c := climb{rate: 40, most: 1e6, step: 2, near: 1.1}
			for ; !c.done(); tries++ {
				c.tell(c.rate <= limit)
			}
			if c.borne > limit || c.borne < limit/1.1 {
				t.Errorf("limit %g: found %g", limit, c.borne)
			}
			if tries > 20 {
				t.Errorf("limit %g: %d tries", limit, tries)
			}
		}
	})

	t.Run("near the limit small steps end it sooner", func(t *testing.T) {
		tries := 0
		c := climb{rate: 105, most: 1e6, step: 1.2, near: 1.1}
		for ; !c.done(); tries++ {
			c.tell(c.rate <= 110)
		}
		if tries > 3 || c.borne > 110 || c.borne < 100 {
			t.Errorf("found %g in %d tries", c.borne, tries)
		}
	})

	t.Run("the last rate is the most that may be tried", func(t *testing.T) {
		c := climb{rate: 300, most: 1000, step: 2, near: 1.1}
		for !c.done() {
			c.tell(true)
		}
		if c.borne != 1000 || c.broke != 0 {
			t.Errorf("it ended at %g", c.borne)
		}
	})

	t.Run("it ends when every rate is borne, or none", func(t *testing.T) {
		for _, borne := range []bool{true, false} {
			c := climb{rate: 40, most: 1e6, step: 2, near: 1.1}
			for i := 0; !c.done(); i++ {
				if i > 50 {
					t.Fatalf("borne %t: still at %g", borne, c.rate)
				}
				c.tell(borne)
			}
			if (c.borne > 0) != borne {
				t.Errorf("borne %t: found %g", borne, c.borne)
			}
		}
	})
}
