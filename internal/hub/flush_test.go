package hub

import (
	"testing"
	"testing/synctest"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

type idle struct{}

func (idle) Queue(...protocol.Message) {}
func (idle) Flush()                    {}

func TestWhoWaitsForAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(nil, protocol.Channel{Name: "room"})
		c.due, c.flushing = []Sink{idle{}}, true
		done := make(chan struct{})
		go func() { defer close(done); c.Flush() }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it does not wait for who flushes")
		default:
		}
		// That one ends, and another takes what is due; then somebody brings more.
		c.delivery.Lock()
		c.turn++
		c.due = []Sink{idle{}}
		c.flushed.Broadcast()
		c.delivery.Unlock()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("who waited waits on, although what he has brought is in somebody's hands")
			c.delivery.Lock()
			c.flushing = false
			c.flushed.Broadcast()
			c.delivery.Unlock()
		}
	})
}

func TestAHolderDoesNotWaitForAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(nil, protocol.Channel{Name: "room"})
		c.due, c.flushing = []Sink{idle{}}, true
		c.hold()
		c.Deliver([]engine.Event{{Entry: &engine.Entry{Kind: engine.KindMessage, Data: []byte("{}")}}})
		c.Flush() // by the engine, for the write within the hold; it would wait for ever
	})
}
