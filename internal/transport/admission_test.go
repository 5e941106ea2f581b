//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// hold makes a turn of those who are in last until what it returns is called.
func (p *poller) hold(t *testing.T) (end func()) {
	t.Helper()
	a := &p.admission
	eventually(t, "nobody to end turns", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.isKept {
			return false
		}
		a.isKept, a.sockets.passed, a.arrivals.passed = true, socketsPerTurn, 0
		return true
	})
	return func() { p.running.Go(p.admitInTurns) }
}

func (a *admission) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sockets.waiting)
}

func (c *polled) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hasAsked
}

// kept is a client that has asked for a socket and waits, until open is called.
func kept(t *testing.T) (e *endpoint, waits net.Conn, open func()) {
	t.Helper()
	e = newEndpoint(t, Options{})
	open = e.server.poller.hold(t)
	waits = e.tcp(t)
	says(t, waits, upgradeFor(socketOfX))
	eventually(t, "it to wait", func() bool { return e.server.poller.admission.count() == 1 })
	return e, waits, open
}

func TestAdmission(t *testing.T) {
	t.Run("those who wait go in in the order in which they came, so many in a turn", func(t *testing.T) {
		var l line
		came := make([]*polled, 20)
		for i := range came {
			came[i] = new(polled)
		}
		l.waiting = append(l.waiting, came[:11]...)
		var went []*polled
		for i, want := range []int{8, 8, 4, 0} {
			next := l.next(8)
			if len(next) != want || l.passed != want {
				t.Errorf("%d in turn %d, of whom %d count; want %d", len(next), i, l.passed, want)
			}
			if went = append(went, next...); i == 0 {
				l.waiting = append(l.waiting, came[11:]...) // who come while others are let in
			}
		}
		if !slices.Equal(went, came) {
			t.Error("in another order")
		}
		if l.waiting != nil {
			t.Error("room is kept although nobody waits")
		}
	})
	t.Run("who has gone takes nobody's place", func(t *testing.T) {
		var l line
		for i := range 100 {
			c := new(polled)
			c.hangup.Store(i%3 != 0)
			l.waiting = append(l.waiting, c)
		}
		if next := l.next(8); len(next) != 22 || l.passed != 8 {
			t.Errorf("%d in a turn, of whom %d count; want 22 and 8", len(next), l.passed)
		}
		for _, c := range l.waiting {
			c.hangup.Store(true)
		}
		if next := l.next(8); len(next) != 64 || l.passed != 0 {
			t.Errorf("%d in a turn, of whom %d count; want 64 and none", len(next), l.passed)
		}
	})
	t.Run("who asks for a socket waits for a turn of others, who are served meanwhile", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		in := e.dial(t)
		a := &e.server.poller.admission
		open := e.server.poller.hold(t)
		newcomer := e.tcp(t)
		says(t, newcomer, upgradeFor(socketOfX)+string(clientFrame(true, ws.OpText, heartbeat(1))))
		eventually(t, "it to wait", func() bool { return a.count() == 1 })

		if _, err := in.Write(clientFrame(true, ws.OpText, heartbeat(1))); err != nil {
			t.Fatal(err)
		}
		heartbeatAnswered(t, in)
		page := e.tcp(t)
		says(t, page, "GET /socket/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		if response, _ := answered(t, bufio.NewReader(page)); response.StatusCode != http.StatusNotFound {
			t.Errorf("got %+v", response)
		}
		if n := e.server.Conns(); n != 1 {
			t.Errorf("%d have their socket; want 1", n)
		}

		open()
		r := bufio.NewReader(newcomer)
		if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %+v", response)
		}
		heartbeatAnswered(t, r)
	})
	t.Run("[R7] who waits for longer than a request may take is not cut, nor by a front that closes", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		a := &e.server.poller.admission
		open := e.server.poller.hold(t)
		waits, silent := e.tcp(t), e.tcp(t)
		says(t, waits, upgradeFor(socketOfX))
		eventually(t, "it to wait", func() bool { return a.count() == 1 && len(e.server.snapshot(nil)) == 2 })
		for _, c := range e.server.snapshot(nil) {
			if c := c.conn.(*polled); c.waits() {
				c.hurry()
				if c.isLingering() {
					t.Error("it is hurried")
				}
				c.giveUp() // as a timer does that was set before it asked
			}
		}
		e.turn(headPatience + 2*time.Second)
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v; want the end of who has not asked", err)
		}
		open()
		upgraded(t, waits)
	})
	t.Run("[R7] nor who has not been listened to yet", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		open := e.server.poller.hold(t)
		a := &e.server.poller.admission
		a.mu.Lock()
		a.arrivals.passed = arrivalsPerTurn
		a.mu.Unlock()
		waits := e.tcp(t)
		says(t, waits, upgradeFor(socketOfX))
		eventually(t, "it to wait", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.arrivals.waiting) == 1
		})
		c := e.server.snapshot(nil)[0].conn.(*polled)
		c.keepAlive(int64(headPatience + 2*time.Second))
		c.hurry()
		c.giveUp() // as the timer does
		open()
		upgraded(t, waits)
	})
	t.Run("nor because of the end of whoever had its descriptor before", func(t *testing.T) {
		e, waits, open := kept(t)
		c := e.server.snapshot(nil)[0].conn.(*polled)
		c.hangup.Store(true) // as find does of an event that was fetched before that end
		c.wake()
		open()
		upgraded(t, waits)
	})
	t.Run("who has gone meanwhile is not let in", func(t *testing.T) {
		e, waits, open := kept(t)
		_ = waits.Close()
		c := e.server.snapshot(nil)[0].conn.(*polled)
		eventually(t, "the end to be known", c.hangup.Load)
		open()
		eventually(t, "it to be forgotten", func() bool { return len(e.server.snapshot(nil)) == 0 })
		if n := e.server.Conns(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("[R7] who waits when the server shuts down is told to come back", func(t *testing.T) {
		e, waits, open := kept(t)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			e.server.Shutdown(context.Background(), time.Second)
		}()
		<-e.server.done
		open()
		r := bufio.NewReader(waits)
		if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %+v", response)
		}
		if f, err := ws.ReadFrame(r); err != nil || f.Header.OpCode != ws.OpClose || int(f.Payload[0])<<8|int(f.Payload[1]) != protocol.CloseRestart {
			t.Errorf("got %+v, %v", f, err)
		}
		_ = waits.Close()
		<-gone
	})
	t.Run("a crowd that comes at once is all let in", func(t *testing.T) {
		const many = 5 * socketsPerTurn
		e := newEndpoint(t, Options{})
		open := e.server.poller.hold(t)
		crowd := make([]io.ReadWriter, many)
		for i := range crowd {
			conn := e.tcp(t)
			says(t, conn, upgradeFor(socketOfX)+string(clientFrame(true, ws.OpText, heartbeat(1))))
			crowd[i] = conn
		}
		eventually(t, "all to wait", func() bool { return e.server.poller.admission.count() == many })
		open()
		for _, conn := range crowd {
			r := bufio.NewReader(conn)
			if response, _ := answered(t, r); response.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got %+v", response)
			}
			heartbeatAnswered(t, r)
		}
		eventually(t, "nobody to end turns", func() bool {
			a := &e.server.poller.admission
			a.mu.Lock()
			defer a.mu.Unlock()
			return !a.isKept
		})
	})
}
