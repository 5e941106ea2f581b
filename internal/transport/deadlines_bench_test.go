package transport

import (
	"fmt"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/session"
)

// stillServer is a server whose deadlines nobody looks at but the test.
func stillServer(now func() time.Time) *Server {
	s := &Server{opts: Options{Deps: &session.Deps{Now: now}}.withDefaults(), begin: now(), roused: make(chan struct{}, 1), conns: newConns()}
	s.terms = &terms{maxQueue: 1 << 20, pingEvery: s.opts.PingEvery, now: now}
	return s
}

// answering is a link whose client takes and answers everything at once. It counts what
// is written.
type answering struct {
	link
	socket *socket
	writes *int
}

func (l answering) write(b []byte) (int, error) {
	*l.writes++
	l.socket.lastRead.Store(l.socket.terms.now().UnixMilli())
	return len(b), nil
}
func (answering) rest() {}

// BenchmarkDeadlines is what one second of the deadlines of 10,000 connections costs that
// came together, and how many are pinged in one go.
func BenchmarkDeadlines(b *testing.B) {
	const n = 10_000
	for _, beat := range []int64{25, 0} {
		b.Run(fmt.Sprintf("beat=%ds", beat), func(b *testing.B) {
			now := time.Unix(1_764_000_000, 0)
			s := stillServer(func() time.Time { return now })
			writes := 0
			all := make([]*socket, n)
			for i := range all {
				all[i] = new(socket)
				all[i].init(answering{socket: all[i], writes: &writes}, s.terms)
				if !s.add(all[i], nobody{}) {
					b.Fatal("the server is closed")
				}
			}
			seconds, pings, most := int64(0), 0, 0
			b.ReportAllocs()
			for b.Loop() {
				seconds++
				for i := seconds; beat > 0 && i-seconds < n; i += beat {
					all[i%n].lastRead.Store(now.UnixMilli())
				}
				for range time.Second / tick {
					now = now.Add(tick)
					writes = 0
					s.lookAtDue()
					pings += writes
					most = max(most, writes)
				}
			}
			b.ReportMetric(float64(most), "pings-at-once")
			b.ReportMetric(float64(pings)/float64(seconds), "pings/s")
		})
	}
}
