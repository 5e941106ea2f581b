package metrics

import "sync/atomic"

// Cell is a part of a counter: each of those who count often has one, which few others
// have. Safe for concurrent use; nil counts nothing.
type Cell struct {
	n atomic.Uint64
	_ [120]byte // CPUs fetch two cache lines at a time: nobody waits for who adds beside
}

// Add counts n more, which must not be negative.
func (c *Cell) Add(n int) {
	if c != nil {
		c.n.Add(uint64(n))
	}
}

// cells are one counter, summed when it is asked for.
type cells struct {
	all   [16]Cell
	given atomic.Uint32
}

// give gives the next of those who count a cell.
func (c *cells) give() *Cell { return &c.all[c.given.Add(1)%uint32(len(c.all))] }

// sum is what was counted. While others count it may be any sum that there was since it
// was called.
func (c *cells) sum() float64 {
	var n uint64
	for i := range c.all {
		n += c.all[i].n.Load()
	}
	return float64(n)
}
