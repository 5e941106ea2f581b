package bench

import "math"

// A climb looks for the highest rate that is borne: up in steps until one is
// not, or down until one is, and then between the two. It only
// decides; whoever measures tells it. The zero value is not useful.
type climb struct {
	rate  float64 // to be tried next
	most  float64 // beyond it nothing is tried
	step  float64 // by which it is multiplied on the way up, and divided on the way down
	near  float64 // at which ratio of what broke to what was borne it ends
	borne float64 // the highest that was; 0: none yet
	broke float64 // the lowest that was not; 0: none yet
}

// Where a climb ends: when what was borne and what was not are this close, or
// when the rate has left the range in which the generator means anything.
const climbLowest = 0.1

// tell says whether the rate was borne, and chooses the next.
func (c *climb) tell(borne bool) {
	if borne {
		c.borne = max(c.borne, c.rate)
	} else if c.broke == 0 || c.rate < c.broke {
		c.broke = c.rate
	}
	switch {
	case c.broke == 0:
		c.rate = min(c.rate*c.step, c.most)
	case c.borne == 0:
		c.rate /= c.step
	default:
		c.rate = math.Sqrt(c.borne * c.broke)
	}
}

// done says whether there is nothing more to try.
func (c *climb) done() bool {
	if c.borne > 0 && c.broke > 0 {
		return c.broke <= c.borne*c.near
	}
	return c.rate < climbLowest || c.borne >= c.most
}
