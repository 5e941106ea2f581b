package hub

import (
	"runtime"
	"slices"
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
		c := newChannel(nil, protocol.Channel{Name: "room"}, nil)
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
		c := newChannel(nil, protocol.Channel{Name: "room"}, nil)
		c.due, c.flushing = []Sink{idle{}}, true
		c.hold()
		c.Deliver([]engine.Event{{Entry: &engine.Entry{Kind: engine.KindMessage, Offset: 1, Data: []byte("{}")}}})
		c.Flush() // by the engine, for the write within the hold; it would wait for ever
	})
}

// meeting is a sink whose flush ends when that of another is going on as well.
type meeting struct {
	idle
	here, there chan struct{}
}

func (m meeting) Flush() {
	close(m.here)
	<-m.there
}

// counted counts how often it is flushed.
type counted struct {
	idle
	times *int
}

func (c counted) Flush() { *c.times++ }

func TestManySinksAreFlushedByAsManyAsCanRunAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	t.Run("so that the last need not wait for the first", func(t *testing.T) {
		first, last := make(chan struct{}), make(chan struct{})
		sinks := slices.Repeat([]Sink{idle{}}, 2*share)
		sinks[0], sinks[len(sinks)-1] = meeting{here: first, there: last}, meeting{here: last, there: first}
		flushAll(sinks)
	})
	t.Run("each once, however many they are", func(t *testing.T) {
		for _, n := range []int{0, 1, share, 2*share - 1, 2 * share, 5*share + 1} {
			times := make([]int, n)
			sinks := make([]Sink, n)
			for i := range sinks {
				sinks[i] = counted{times: &times[i]}
			}
			flushAll(sinks)
			for i, got := range times {
				if got != 1 {
					t.Fatalf("of %d sinks number %d was flushed %d times", n, i, got)
				}
			}
		}
	})
	t.Run("who comes to help when all is done leaves the sinks alone, which are another message's by then", func(t *testing.T) {
		f := &flush{sinks: slices.Repeat([]Sink{idle{}}, share)}
		f.left.Add(1)
		f.take()
		f.left.Wait()
		clear(f.sinks)
		f.take()
	})
}

// noting is a sink that notes who is flushed.
type noting struct {
	idle
	name  string
	order *[]string
}

func (n noting) Flush() { *n.order = append(*n.order, n.name) }

func TestARoomIsFlushedBeforeAHall(t *testing.T) {
	var order []string
	member := func(name string, sinks int) *Member {
		c := newChannel(nil, protocol.Channel{Name: name}, nil)
		c.due = slices.Repeat([]Sink{noting{name: name, order: &order}}, sinks)
		return &Member{channel: c}
	}
	Flush(member("hall", 3), member("room", 1), member("nobody", 0), member("floor", 2))
	if want := []string{"room", "floor", "floor", "hall", "hall", "hall"}; !slices.Equal(order, want) {
		t.Errorf("flushed %v, want %v", order, want)
	}
}
