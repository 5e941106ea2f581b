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
