package client

import "github.com/chorale-rt/chorale/protocol"

// A hybridClock is one author's clock. Each time it tells is later than all it
// told and all it has received, also when the wall clock goes back: an own later
// write must never lose to an own earlier one.
type hybridClock struct {
	ms       int64
	counter  uint16
	received string // the latest time that came from the server, so one that is in the log
}

// tick is the time of a new write; ms is the wall clock, Unix ms.
func (c *hybridClock) tick(ms int64) string {
	switch {
	case ms > c.ms:
		c.ms, c.counter = ms, 0
	case c.counter < 0xffff:
		c.counter++
	default:
		c.ms, c.counter = c.ms+1, 0
	}
	return protocol.FormatTime(c.ms, c.counter)
}

// receive takes notice of a time in the log. What is no time is ignored.
func (c *hybridClock) receive(at string) {
	if protocol.CheckTime(at) != nil {
		return
	}
	c.received = max(c.received, at)
	if at > protocol.FormatTime(c.ms, c.counter) {
		c.goTo(at)
	}
}

// setBack goes back to the latest time in the log. For when no write of this
// clock is on its way: then nothing anywhere is later. The server sets times back
// that are far ahead, so a wall clock that was wrong once does not make its owner
// win from then on.
func (c *hybridClock) setBack() {
	if c.received == "" {
		c.ms, c.counter = 0, 0
		return
	}
	c.goTo(c.received)
}

func (c *hybridClock) goTo(at string) {
	c.ms, c.counter = protocol.TimeMillis(at), protocol.TimeCounter(at)
}
