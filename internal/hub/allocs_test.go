//go:build !race

package hub_test

import (
	"testing"

	"github.com/chorale-rt/chorale/internal/hub"
)

// The race detector allocates by itself, so budgets are held without it.
func TestFanOutAllocatesNothingPerDelivery(t *testing.T) {
	allocs := func(members int) float64 {
		h, eng := open(t)
		for range members {
			m := join(t, h, &discard{}, hub.Options{})
			t.Cleanup(m.Leave)
			m.GoLive(hub.Seen{})
		}
		return testing.AllocsPerRun(200, func() { say(t, eng, "") })
	}
	if few, many := allocs(1), allocs(1000); many > few+2 {
		t.Errorf("%.0f allocations for one member, %.0f for 1,000", few, many)
	}
}
