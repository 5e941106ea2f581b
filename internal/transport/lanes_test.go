package transport

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// whoever lets in whoever a token names.
type whoever struct{}

func (whoever) Verify(token string) (*auth.Identity, error) {
	if token == "expired" || token == "" {
		return nil, &auth.TokenError{Code: auth.CodeTokenExpired, Message: "for the tests"}
	}
	return &auth.Identity{Subject: token}, nil
}

// shared is a server for whoever comes, and a socket with lane 1 of x.
func shared(t *testing.T, s limit.Settings) (*endpoint, *socketPeer) {
	t.Helper()
	e := newEndpointWith(t, Options{Deps: &session.Deps{Verifier: whoever{}}}, s)
	return e, dialShared(t, e, "")
}

// hears fails when the next frames are not these.
func (p *socketPeer) hears(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := p.next(t); got.data != w {
			t.Fatalf("got %+v; want %s", got, w)
		}
	}
}

// ends fails when the socket does not end with this code and sentence.
func (p *socketPeer) ends(t *testing.T, code int, reason string) {
	t.Helper()
	if got := closed(t, p); got.code != code || got.reason != reason {
		t.Fatalf("closed with %+v; want %d %s", got, code, reason)
	}
}

func TestLanes(t *testing.T) {
	t.Run("[W1] each lane is a session of its own, and they are answered each in its own", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "3+bob", "3"+heartbeat(1), "1"+heartbeat(1), "2"+heartbeat(1))
		p.hears(t, "3"+answer(1), "1"+answer(1), "2"+answer(1))
		if n := e.server.Conns(); n != 3 {
			t.Errorf("%d connections are counted", n)
		}
	})
	t.Run("[W1] [L5] a lane counts as a connection of its own identity", func(t *testing.T) {
		e, p := shared(t, limit.Settings{IdentitySockets: 1})
		p.send(t, "2+ada", "3+ada", "3"+heartbeat(1), "4+x", "5+bob", "5"+heartbeat(5))
		p.hears(t, "3-4290 Too many connections of this user: 1 are allowed", "4-4290 Too many connections of this user: 1 are allowed", "5"+answer(5))
		p.send(t, "2-", "6+ada", "6"+heartbeat(6))
		p.hears(t, "6"+answer(6))
		p.leave()
		eventually(t, "all places to be given back", func() bool { return e.server.Conns() == 0 })
		again := dialShared(t, e, "&apikey=ada")
		again.send(t, "1"+heartbeat(1))
		again.hears(t, "1"+answer(1))
	})
	t.Run("[W3] a token that is refused ends its lane alone, and the number is spent", func(t *testing.T) {
		_, p := shared(t, limit.Unlimited())
		p.send(t, "2+expired", "2"+heartbeat(1), "3+", "4+ada", "4"+heartbeat(2))
		refusal := (&auth.TokenError{Code: auth.CodeTokenExpired, Message: "for the tests"}).HTTPText()
		p.hears(t, "2-4101 "+refusal, "3-4101 "+refusal, "4"+answer(2))
		p.send(t, "2+ada")
		p.ends(t, 1002, "lanes are opened with rising numbers, and 2 comes behind 4")
	})
	t.Run("[W3] a lane that the server closes has said its last, and the others go on", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "2"+heartbeat(1))
		p.hears(t, "2"+answer(1))
		n := e.lane(t, 2)
		n.Send(textMessage("last"))
		n.Close(protocol.CloseTokenRefused, "disconnected by an administrator")
		n.Close(protocol.CloseIdle, "never")
		n.Send(textMessage("never"))
		p.send(t, "2"+heartbeat(2), "1"+heartbeat(3), "2-", "2"+heartbeat(4), "1"+heartbeat(5))
		if got := p.next(t); !strings.HasPrefix(got.data, "2[") || !strings.Contains(got.data, "last") {
			t.Errorf("got %+v", got)
		}
		p.hears(t, "2-4101 disconnected by an administrator", "1"+answer(3), "1"+answer(5))
		eventually(t, "its place to be given back", func() bool { return e.server.Conns() == 1 })
	})
	t.Run("[W3] a lane that the client closes is not answered", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "2-", "2"+heartbeat(1), "1"+heartbeat(2))
		p.hears(t, "1"+answer(2))
		if n := e.server.Conns(); n != 1 {
			t.Errorf("%d connections are counted", n)
		}
	})
	t.Run("[W4] [R7] there are at most 32 at a time", func(t *testing.T) {
		_, p := shared(t, limit.Unlimited())
		for n := 2; n <= protocol.MaxLanes+1; n++ {
			p.send(t, fmt.Sprintf("%d+ada", n))
		}
		p.hears(t, "33-4290 a shared socket has at most 32 lanes")
		p.send(t, "7-", "34+ada", "34"+heartbeat(1))
		p.hears(t, "34"+answer(1))
	})
	t.Run("[W4] a lane on which nothing arrives for 180 s is closed with 4201, the others are not, and once a minute is enough", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "2"+heartbeat(1))
		p.hears(t, "2"+answer(1))
		for minute := 1; minute <= 3; minute++ {
			e.turn(time.Duration(minute) * 59 * time.Second)
			p.send(t, "1"+heartbeat(minute))
			p.hears(t, "1"+answer(minute))
		}
		e.turn(181 * time.Second)
		p.hears(t, "2-4201 idle: nothing arrived for three minutes")
		p.send(t, "1"+heartbeat(4))
		p.hears(t, "1"+answer(4))
	})
	t.Run("[W4] who does not read is cut off as a whole", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "2"+heartbeat(1))
		p.hears(t, "2"+answer(1))
		big := textMessage(strings.Repeat("x", 100_000))
		one, two := e.lane(t, 1), e.lane(t, 2)
		for range 400 {
			one.Send(big)
			two.Send(big, big)
		}
		p.ends(t, protocol.CloseSlowConsumer, "slow consumer: come back and resume")
	})
	t.Run("[W4] a frame that is too large closes the socket", func(t *testing.T) {
		_, p := shared(t, limit.Settings{FrameBytes: limit.MinFrameBytes})
		p.send(t, "2+ada", "2"+strings.Repeat("x", limit.MinFrameBytes), "2"+heartbeat(1))
		p.hears(t, "2"+answer(1))
		p.send(t, "2"+strings.Repeat("x", limit.MinFrameBytes+1))
		p.ends(t, protocol.CloseTooLarge, "a frame is larger than 65536 bytes")
	})
	t.Run("[W5] a socket without lanes is closed", func(t *testing.T) {
		for name, last := range map[string]string{"by the client": "1-", "by the server": ""} {
			t.Run(name, func(t *testing.T) {
				e, p := shared(t, limit.Unlimited())
				if last == "" {
					e.lane(t, 1).Close(protocol.CloseTokenRefused, "revoked")
				} else {
					p.send(t, last)
				}
				p.ends(t, protocol.CloseNormal, "no lane is left")
			})
		}
	})
	t.Run("[W5] so is one whose last lane is closed while it is opened", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		one := e.lane(t, 1)
		l := one.lanes
		var opening sync.WaitGroup
		defer opening.Wait()
		l.socket.mu.Lock() // so that who opens the lane cannot see yet whether it is closed
		opening.Go(func() { l.Receive(false, []byte("2+ada")) })
		two := e.lane(t, 2)
		for _, n := range []*lane{two, one} { // by one revocation
			n.closed = true
		}
		l.leaveLater(one)
		l.closeEmpty()
		l.socket.mu.Unlock()
		p.ends(t, protocol.CloseNormal, "no lane is left")
	})
	for name, broken := range map[string][2]string{
		"a frame without a number":      {heartbeat(1), "a frame of a shared socket begins with the number of its lane, from 1 to 999999999"},
		"a lane that was never opened":  {"2" + heartbeat(1), "lane 2 was never opened"},
		"a lane that is closed unheard": {"7-", "lane 7 was never opened"},
		"a lane that is opened twice":   {"1+ada", "lanes are opened with rising numbers, and 1 comes behind 1"},
	} {
		t.Run("[W5] "+name+" closes the socket with 1002", func(t *testing.T) {
			e, p := shared(t, limit.Unlimited())
			p.send(t, "1"+heartbeat(1), broken[0], "1"+heartbeat(2))
			p.hears(t, "1"+answer(1))
			if got := p.next(t); got.code != 1002 || got.reason != broken[1] {
				t.Errorf("got %+v", got)
			}
			p.leave()
			eventually(t, "it to be counted out", func() bool { return e.server.Conns() == 0 })
		})
	}
	t.Run("[W2] bytes are carried as bytes", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		if _, err := p.Write(clientFrame(true, ws.OpBinary, "1+no token, and no frame either")); err != nil {
			t.Fatal(err)
		}
		p.send(t, "1"+heartbeat(1))
		p.hears(t, "1"+answer(1))
		m := protocol.EncodeBinaryBroadcast("t", "e", []byte{0, '-', 255}, protocol.BroadcastMeta{ID: "1"})
		e.lane(t, 1).Send(m)
		if got := p.next(t); !got.binary || got.data != "1"+string(m.Payload()) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a restart is said to all at once", func(t *testing.T) {
		e, p := shared(t, limit.Unlimited())
		p.send(t, "2+ada", "2"+heartbeat(1))
		p.hears(t, "2"+answer(1))
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { e.server.Shutdown(t.Context(), time.Second) })
		p.ends(t, protocol.CloseRestart, "the server restarts drainMs=1000")
		p.leave()
	})
}

// lane is the server's end of a lane.
func (e *endpoint) lane(t *testing.T, number uint32) (found *lane) {
	t.Helper()
	eventually(t, "the lane", func() bool {
		for _, c := range e.server.snapshot(nil) {
			if l, ok := c.user.(*lanes); ok {
				found, _ = l.find(number)
			}
		}
		return found != nil
	})
	return found
}

func TestManyLanes(t *testing.T) {
	t.Run("frames of all lanes arrive whole, each lane's in order, while lanes come and go", func(t *testing.T) {
		e := newEndpointWith(t, Options{Deps: &session.Deps{Verifier: whoever{}}, QueueBytes: 64 << 20}, limit.Unlimited()) // four that write are quicker than one that reads
		p := dialShared(t, e, "")
		const writers, each = 4, 200
		for n := uint32(2); n <= writers; n++ {
			p.send(t, fmt.Sprintf("%d+ada", n))
		}
		var wg sync.WaitGroup
		for n := uint32(1); n <= writers; n++ {
			c := e.lane(t, n)
			wg.Go(func() {
				for i := range each {
					c.Send(textMessage(fmt.Sprintf("<%d>", i)), textMessage(strings.Repeat("x", i*100)))
				}
				if c.number != 1 {
					c.Close(4101, "done")
				}
			})
		}
		seen := map[string]int{}
		ended := 0
		for ended < writers-1 || seen["1"] < 2*each {
			got := p.next(t)
			number := got.data[:1]
			if strings.HasPrefix(got.data[1:], "-4101 ") {
				ended++
				continue
			}
			i := seen[number] / 2
			want := fmt.Sprintf("<%d>", i)
			if seen[number]%2 == 1 {
				want = strings.Repeat("x", i*100)
			}
			if !strings.HasSuffix(got.data, `"`+want+`"]`) {
				t.Fatalf("frame %d of lane %s is %.80q", seen[number], number, got.data)
			}
			seen[number]++
		}
		wg.Wait()
	})
	t.Run("[R7] opening lanes without end makes reading slower", func(t *testing.T) {
		e, _ := shared(t, limit.Unlimited())
		l := e.lane(t, 1).lanes
		for n := range 10_000 {
			l.Receive(false, fmt.Appendf(nil, "%d+expired", n+2))
		}
		if pause := l.Pause(); pause != time.Second {
			t.Errorf("a pause of %s", pause)
		}
	})
}
