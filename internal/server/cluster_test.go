package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/server"
)

// startNATS runs a NATS server in this process until the test ends.
func startNATS(t *testing.T) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS server does not start")
	}
	return s
}

// startNode runs one node of a cluster until the test ends.
func startNode(t *testing.T, nats *natsserver.Server) *running {
	t.Helper()
	srv, err := server.New(server.Options{
		Addr: "127.0.0.1:0", Data: t.TempDir(), Engine: nats.ClientURL(), Dev: true, Drain: 50 * time.Millisecond, Limits: limit.Unlimited(),
		Secret: []byte("one secret for all nodes of the cluster"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &running{t: t, base: srv.Addr().String(), srv: srv}
}

func TestNodes(t *testing.T) {
	nats := startNATS(t)
	first, second := startNode(t, nats), startNode(t, nats)

	t.Run("[E1] [M7] notes of people on two nodes reach each other, in one order", func(t *testing.T) {
		ada, ben := first.connect("ada"), second.connect("ben")
		send(t, ada, join("interview:1", notes("client-ada")))
		until(t, ada, `"synced"`)
		send(t, ben, join("interview:1", notes("client-ben")))
		until(t, ben, `"synced"`)
		note := func(client string, n int, text string) string {
			return strings.Replace(put("interview:1", client, n, text), fmt.Sprintf(`"record":"r%d"`, n), `"record":"`+client+`"`, 1)
		}
		send(t, ada, note("client-ada", 1, "from ada"))
		until(t, ben, `"change"`, "from ada", `"applied"`)
		send(t, ben, note("client-ben", 1, "from ben"))
		until(t, ada, `"change"`, "from ben", `"applied"`)
	})

	t.Run("[P1] people on two nodes see each other come and go", func(t *testing.T) {
		ada, ben := first.connect("ada"), second.connect("ben")
		send(t, ada, join("interview:2", `{"private":true,"presence":{"key":"ada","enabled":true}}`))
		until(t, ada, "presence_state")
		send(t, ada, `["1","2","realtime:interview:2","presence",{"type":"presence","event":"track","payload":{"name":"Ada"}}]`)
		until(t, ada, "presence_diff", "Ada")
		send(t, ben, join("interview:2", `{"private":true,"presence":{"key":"ben","enabled":true}}`))
		until(t, ben, "presence_state", "Ada")
		send(t, ben, `["1","2","realtime:interview:2","presence",{"type":"presence","event":"track","payload":{"name":"Ben"}}]`)
		until(t, ada, "presence_diff", "Ben")
		if err := ben.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, ada, "presence_diff", "leaves", "Ben")
	})

	t.Run("[B1] a broadcast reaches members on both nodes", func(t *testing.T) {
		ada, ben := first.connect("ada"), second.connect("ben")
		for _, conn := range []net.Conn{ada, ben} {
			send(t, conn, join("room", `{"presence":{"enabled":false}}`))
			until(t, conn, "phx_reply", `"ok"`)
		}
		send(t, ada, `["1","2","realtime:room","broadcast",{"type":"broadcast","event":"hi","payload":{"n":1}}]`)
		if got := until(t, ben, `"broadcast"`); !strings.Contains(got, `"n":1`) {
			t.Error(got)
		}
	})
}

// A node answers those who come back to a channel from its memory; NATS is asked
// where the log ends, and not once for each of them.
func TestNodesInAStorm(t *testing.T) {
	const people = 1000
	nats := startNATS(t)
	writer, node := startNode(t, nats), startNode(t, nats)
	ada := writer.connect("ada")
	send(t, ada, join("interview:1", notes("client-ada")))
	until(t, ada, `"synced"`)
	for n := range 20 {
		send(t, ada, put("interview:1", "client-ada", n+1, fmt.Sprint("note ", n)))
	}
	until(t, ada, `"change"`, "note 19")

	conns := make([]net.Conn, people)
	for i := range conns {
		conns[i] = node.connect(fmt.Sprint("person-", i))
	}
	asked := func() int64 {
		v, err := nats.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.InMsgs
	}
	before := asked()
	for i, conn := range conns {
		send(t, conn, join("interview:1", notes(fmt.Sprint("client-", i))))
	}
	for _, conn := range conns {
		until(t, conn, `"synced"`)
	}
	cost := asked() - before
	t.Logf("%d joins cost %d messages to NATS", people, cost)
	if cost > people/4 {
		t.Errorf("%d joins cost %d messages to NATS", people, cost)
	}
}
