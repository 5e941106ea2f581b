//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/protocol"
)

// BenchmarkFanOut is a message to 2,000 sockets, until the kernel has it for all of them.
// Compare -cpu 1 and -cpu 2, in calls of their own: with -cpu 1,2 a loop of b.Loop is run
// once, for both lines.
func BenchmarkFanOut(b *testing.B) {
	const members = 2_000
	server := newEndpoint(b, Options{}).server
	eng, err := embedded.Open(embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = eng.Close() })
	h := hub.New(eng, metrics.New())
	name := protocol.Channel{Name: "hall"}
	clients := make([]int, members) // descriptors, which nobody waits for
	for i := range clients {
		client, conn := connected(b)
		fd, ok := detach(client)
		if !ok {
			b.Fatal("the conn has no descriptor")
		}
		b.Cleanup(func() { _ = unix.Close(fd) })
		clients[i] = fd
		m, err := h.Join(b.Context(), name, server.pollForTest(b, conn, newRecord()), hub.Options{Version: protocol.V2})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(m.Leave)
		m.GoLive(hub.Seen{})
	}
	message := engine.Write{Kind: engine.KindMessage, Data: []byte(`{"event":"note","payload":{"text":"` + strings.Repeat("x", 200) + `"}}`)}
	buf := make([]byte, 4<<10)
	for b.Loop() {
		if _, err := eng.Append(b.Context(), name.Log(), message); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for _, fd := range clients {
			if n, err := readNow(fd, buf); n == 0 || err != nil {
				b.Fatalf("read %d bytes: %v", n, err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/members, "ns/delivery")
}
