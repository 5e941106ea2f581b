package client

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/protocol"
)

func TestHybridClock(t *testing.T) {
	t.Run("[M2] each time is later than all that were told or received, also when the wall clock goes back", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			var c hybridClock
			last := ""
			for range rapid.IntRange(1, 50).Draw(t, "steps") {
				ms := int64(rapid.IntRange(0, 1<<40).Draw(t, "ms"))
				if rapid.Bool().Draw(t, "receive") {
					at := protocol.FormatTime(ms, uint16(rapid.IntRange(0, 0xffff).Draw(t, "counter")))
					c.receive(at)
					last = max(last, at)
					continue
				}
				at := c.tick(ms)
				if at <= last || protocol.CheckTime(at) != nil {
					t.Fatalf("%s after %s", at, last)
				}
				last = at
			}
		})
	})
	t.Run("a counter that is full borrows from the future", func(t *testing.T) {
		c := hybridClock{ms: 5, counter: 0xffff}
		if at := c.tick(5); at != protocol.FormatTime(6, 0) {
			t.Error(at)
		}
	})
	t.Run("[M2] a wall clock that was wrong once is forgotten when nothing of it is on its way", func(t *testing.T) {
		var c hybridClock
		c.receive(protocol.FormatTime(1_000, 7))
		c.tick(9_000_000)
		c.setBack()
		if at := c.tick(500); at != protocol.FormatTime(1_000, 8) {
			t.Error(at)
		}
		c.receive("no time")
		c = hybridClock{}
		c.setBack()
		if at := c.tick(1); at != protocol.FormatTime(1, 0) {
			t.Error(at)
		}
	})
}
