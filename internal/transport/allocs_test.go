//go:build !race

package transport

import (
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// The race detector takes things out of pools, so budgets are held without it.

// swift is a link that takes everything at once.
type swift struct{ link }

func (swift) write(b []byte) (int, error) { return len(b), nil }
func (swift) rest()                       {}

func TestDeliveryAllocations(t *testing.T) {
	s := &socket{}
	s.init(swift{}, &terms{maxQueue: 1 << 20, now: time.Now})
	for name, conn := range map[string]session.Conn{"socket": s, "lane": &lane{lanes: &lanes{socket: s}, number: 7}} {
		frames := []protocol.Message{textMessage("one"), textMessage("two")}
		for n := 1; n <= len(frames); n++ {
			for how, deliver := range map[string]func(){
				"sent":   func() { conn.Send(frames[:n]...) },
				"queued": func() { conn.Queue(frames[:n]...); conn.Flush() },
			} {
				if got := testing.AllocsPerRun(100, deliver); got != 0 {
					t.Errorf("%s: %v allocations for a delivery of %d, %s", name, got, n, how)
				}
			}
		}
	}
}

func TestLookingAllocations(t *testing.T) {
	now := time.Unix(1_764_000_000, 0)
	s := stillServer(func() time.Time { return now })
	t.Run("at a socket, whether something is due or not", func(t *testing.T) {
		writes := 0
		for range 100 {
			c := new(socket)
			c.init(answering{socket: c, writes: &writes}, s.terms)
			s.add(c, nobody{})
		}
		if got := testing.AllocsPerRun(2000, func() { now = now.Add(tick); s.lookAtDue() }); got != 0 {
			t.Errorf("%v allocations", got)
		}
		if writes < 400 {
			t.Errorf("only %d pings", writes)
		}
	})
	t.Run("[W4] at lanes, of which the one that is due first counts", func(t *testing.T) {
		l := &lanes{server: s, open: make(map[uint32]*lane)}
		for n := range uint32(3) {
			l.open[n] = &lane{lanes: l, number: n}
			l.open[n].heard.Store(now.UnixMilli() + int64(n))
		}
		var next int64
		at := now.UnixMilli() + 179_000
		if got := testing.AllocsPerRun(10, func() { next = l.closeIdle(at) }); got != 0 {
			t.Errorf("%v allocations", got)
		}
		if next != now.UnixMilli()+180_000 {
			t.Errorf("the next is due %d ms later", next-at)
		}
	})
}
