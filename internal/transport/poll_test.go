//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// pollForTest serves a conn as a polled socket whose frames go to a receiver.
func (s *Server) pollForTest(t testing.TB, conn net.Conn, to Receiver) *socket {
	t.Helper()
	fd, ok := detach(conn)
	if !ok {
		t.Fatal("the conn has no descriptor")
	}
	s.enter()
	c := &polled{server: s, ticket: limit.Ticket{}, fd: fd}
	c.init(c, s.terms)
	c.user = session.New(s.opts.Deps, c, protocol.V2, "x")
	c.reader = reader{socket: &c.socket, to: to}
	if !s.add(c, c.user) {
		t.Fatal("the server is closed")
	}
	if err := s.poller.add(c); err != nil {
		t.Fatal(err)
	}
	return &c.socket
}

func TestPolling(t *testing.T) {
	t.Run("what arrives together with the end is handled before it", func(t *testing.T) {
		p := newPolledPair(t, 1<<20)
		p.write(t, clientFrame(true, 1, "last words"))
		if err := p.client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := p.record.wait(t, 1); got[0] != "text:last words" {
			t.Errorf("got %q", got)
		}
		if err := p.ended(); err != nil {
			t.Error(err)
		}
	})
	t.Run("who writes to many gives others their turn, although the scheduler does not look for them", func(t *testing.T) {
		server := newEndpoint(t, Options{}).server
		client, conn := connected(t)
		heard := newRecord()
		server.pollForTest(t, conn, heard)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		if _, err := client.Write(clientFrame(true, 1, "x")); err != nil {
			t.Fatal(err)
		}
		rests := 0
		for ; heard.count() == 0 && rests < 100*turnEvery; rests++ {
			server.poller.rest()
		}
		if rests > 4*turnEvery {
			t.Errorf("heard after %d writes", rests)
		}
	})
	t.Run("who looks at the deadlines of many does so, too", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		client, conn := connected(t)
		heard := newRecord()
		e.server.pollForTest(t, conn, heard)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		const many = 100 * atATime
		pinged, before := make(chan struct{}, many), 0
		for range many {
			c := &made{server: e.server, patience: 40 * time.Second}
			c.heard.Store(e.server.nowMs())
			c.onKept = func() {
				if before == 0 {
					if _, err := client.Write(clientFrame(true, 1, "x")); err != nil {
						t.Error(err)
					}
				}
				if heard.count() == 0 {
					before++
				}
				pinged <- struct{}{}
			}
			c.enter()
			defer c.end("left")
		}
		e.turn(59 * time.Second)
		for range many {
			<-pinged
		}
		if before > 4*atATime {
			t.Errorf("heard after %d were pinged", before)
		}
		_ = client.Close()
	})
	t.Run("a receiver that waits keeps no other socket waiting", func(t *testing.T) {
		server := newEndpoint(t, Options{}).server
		held, release := stuck{make(chan struct{}, 1)}, make(chan struct{})
		slowClient, slowConn := connected(t)
		server.pollForTest(t, slowConn, receiverFunc(func() { held.entered <- struct{}{}; <-release }))
		quickClient, quickConn := connected(t)
		quick := newRecord()
		server.pollForTest(t, quickConn, quick)
		if _, err := slowClient.Write(clientFrame(true, 1, "x")); err != nil {
			t.Fatal(err)
		}
		<-held.entered
		if _, err := quickClient.Write(clientFrame(true, 1, "y")); err != nil {
			t.Fatal(err)
		}
		quick.wait(t, 1)
		close(release)
		_ = slowClient.Close()
		_ = quickClient.Close()
	})
	t.Run("[R7] a client that reads is written to while its receiver waits", func(t *testing.T) {
		server := newEndpoint(t, Options{}).server
		held, release := stuck{make(chan struct{}, 1)}, make(chan struct{})
		defer close(release)
		client, conn := connected(t)
		defer func() { _ = client.Close() }()
		sock := server.pollForTest(t, conn, receiverFunc(func() { held.entered <- struct{}{}; <-release }))
		if _, err := client.Write(clientFrame(true, 1, "x")); err != nil {
			t.Fatal(err)
		}
		<-held.entered
		big, sent := textMessage(strings.Repeat("x", 100_000)), 0
		for round := range 3 { // the kernel says more than once that there is room
			for before := sent; sent == before || sock.stalled() == 0; {
				sock.Send(big)
				sent += len(big.Wire())
			}
			if err := client.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, client, int64(sent)); err != nil {
				t.Fatalf("round %d: %d of %d bytes: %v", round, n, sent, err)
			}
			sent = 0
			eventually(t, "nothing to wait", func() bool { return sock.stalled() == 0 })
		}
	})
	t.Run("an idle socket has no goroutine", func(t *testing.T) {
		server := newEndpoint(t, Options{}).server
		before := runtime.NumGoroutine()
		rec := newRecord()
		var clients []net.Conn
		for range 3 * maxSpare {
			client, conn := connected(t)
			server.pollForTest(t, conn, rec)
			clients = append(clients, client)
			if _, err := client.Write(clientFrame(true, 1, "x")); err != nil {
				t.Fatal(err)
			}
		}
		rec.wait(t, len(clients))
		eventually(t, "no more than the spare goroutines to be left", func() bool { return runtime.NumGoroutine() <= before+maxSpare })
		for _, c := range clients {
			_ = c.Close()
		}
	})
	t.Run("a socket that ends while it is written to is let go of", func(t *testing.T) {
		for range 50 {
			p := newPolledPair(t, 1<<20)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 200 {
					p.socket.Send(textMessage("x"))
				}
			}()
			_ = p.client.Close()
			<-done
			p.socket.sever()
			if err := p.ended(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("those who are ready all at once do not get a goroutine each", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		const sockets = 10 * maxSpare
		for range sockets {
			e.dial(t)
		}
		eventually(t, "all to be let in", func() bool { return e.server.Conns() == sockets })
		p := e.server.poller
		eventually(t, "all to have been served", func() bool { return p.staff.Load() == p.waiting.Load() })
		p.mu.RLock()
		ready := slices.DeleteFunc(slices.Clone(p.sockets), func(c *polled) bool { return c == nil })
		p.mu.RUnlock()
		// With one processor nobody else has a turn but those who are given one.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		p.wakeAll(ready)
		if n := p.staff.Load(); n > sockets/2 {
			t.Errorf("%d goroutines for %d sockets", n, len(ready))
		}
	})
	t.Run("a server that was shut down has no poller left, whoever asks twice", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		e.server.Shutdown(t.Context(), time.Second)
		e.server.Shutdown(t.Context(), time.Second)
		e.server.poller.running.Wait()
	})
}

type stuck struct{ entered chan struct{} }

type receiverFunc func()

func (f receiverFunc) Receive(bool, []byte) { f() }
