package transport

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// peer is a client's end of a connection, whatever carries its frames. A test
// fails when it takes longer than 10 s.
type peer interface {
	// send sends text frames, in order.
	send(t *testing.T, frames ...string)
	// next is the next frame, or the close code when there are no more.
	next(t *testing.T) arrived
	// leave ends the connection without a word.
	leave()
}

// arrived is a frame, or the end.
type arrived struct {
	data   string
	binary bool
	code   int // of the close; 0 for a frame
	reason string
}

// dialer connects a peer; query comes behind the version and the token.
type dialer func(t *testing.T, e *endpoint, query string) peer

// closed reads on until the end.
func closed(t *testing.T, p peer) arrived {
	t.Helper()
	for {
		if a := p.next(t); a.code != 0 {
			return a
		}
	}
}

func heartbeat(ref int) string { return fmt.Sprintf(`[null,"%d","phoenix","heartbeat",{}]`, ref) }

func answer(ref int) string {
	return fmt.Sprintf(`[null,"%d","phoenix","phx_reply",{"status":"ok","response":{}}]`, ref)
}

func TestTransports(t *testing.T) {
	for name, w := range map[string]way{
		"WebSocket":                         {dial: dialSocket},
		"WebSocket, a goroutine per socket": {dial: dialSocket, goroutines: true},
		"WebSocket, upgraded by net/http":   {dial: dialSocket, start: plain},
		"WebSocket over TLS":                {dial: dialSocket, start: overTLS},
		"event stream":                      {dial: dialStream},
		"lane":                              {dial: dialLane},
		"lane, a goroutine per socket":      {dial: dialLane, goroutines: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suiteUp(t, w)
			suiteDown(t, w)
			suiteBursts(t, w)
			suiteSlow(t, w)
			suiteEnds(t, w)
		})
	}
}

// way is what carries the frames in a run of the suite.
type way struct {
	dial       dialer
	goroutines bool    // Options.Goroutines
	start      starter // nil means fronted
}

func (w way) endpoint(t *testing.T, o Options) *endpoint {
	t.Helper()
	return w.with(t, o, limit.Unlimited())
}

func (w way) limited(t *testing.T, s limit.Settings) *endpoint {
	t.Helper()
	return w.with(t, Options{}, s)
}

func (w way) with(t *testing.T, o Options, s limit.Settings) *endpoint {
	t.Helper()
	o.Goroutines = w.goroutines
	if w.start == nil {
		return newEndpointWith(t, o, s)
	}
	return newEndpointOver(t, w.start, o, s)
}

// suiteUp: what clients send.
func suiteUp(t *testing.T, w way) {
	t.Run("[C2] a heartbeat is answered", func(t *testing.T) {
		p := w.dial(t, w.endpoint(t, Options{}), "")
		p.send(t, heartbeat(7))
		if got := p.next(t); got.data != answer(7) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("[R1] frames are handled in the order in which they were sent", func(t *testing.T) {
		p := w.dial(t, w.endpoint(t, Options{}), "")
		ref := 0
		for n := range 40 {
			var frames []string
			for range n % 7 {
				ref++
				frames = append(frames, heartbeat(ref))
			}
			p.send(t, frames...)
		}
		for want := 1; want <= ref; want++ {
			if got := p.next(t); got.data != answer(want) {
				t.Fatalf("got %+v; want the answer to %d", got, want)
			}
		}
	})
	t.Run("[F5] what cannot be decoded is dropped, and the connection stays", func(t *testing.T) {
		p := w.dial(t, w.endpoint(t, Options{}), "")
		p.send(t, `{"no":"frame"}`, `[1,2]`, heartbeat(1))
		if got := p.next(t); got.data != answer(1) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("[F5] [H3] a frame as large as is allowed is read, and a larger one closes with 1009", func(t *testing.T) {
		p := w.dial(t, w.limited(t, limit.Settings{FrameBytes: limit.MinFrameBytes}), "")
		frame := func(size int) string {
			empty := `[null,"1","phoenix","heartbeat",{"x":""}]`
			return strings.Replace(empty, `""}`, `"`+strings.Repeat("x", size-len(empty))+`"}`, 1)
		}
		p.send(t, frame(limit.MinFrameBytes))
		if got := p.next(t); got.data != answer(1) {
			t.Fatalf("got %+v", got)
		}
		p.send(t, frame(limit.MinFrameBytes+1))
		if got := closed(t, p); got.code != protocol.CloseTooLarge {
			t.Errorf("closed with %+v", got)
		}
	})
}

// laneConn is a lane with the deadlines of its socket.
type laneConn struct {
	conn
	lane *lane
}

func (c laneConn) Send(frames ...protocol.Message)  { c.lane.Send(frames...) }
func (c laneConn) Queue(frames ...protocol.Message) { c.lane.Queue(frames...) }
func (c laneConn) Flush()                           { c.lane.Flush() }
func (c laneConn) Close(code int, reason string)    { c.lane.Close(code, reason) }

// only is the server's end of the one connection that there is.
func (e *endpoint) only(t *testing.T) conn {
	t.Helper()
	var found conn
	eventually(t, "a connection", func() bool {
		for _, c := range e.server.snapshot(nil) {
			if _, ok := c.user.(interface{ isNobody() }); ok {
				continue // has been answered, and is not known yet as whom
			}
			found = c.conn
			if l, ok := c.user.(*lanes); ok {
				n, _ := l.find(1)
				found = laneConn{c.conn, n}
			}
		}
		return found != nil
	})
	return found
}

func (nobody) isNobody() {}

// patience is how long a test waits for what must come: on a busy machine, under
// the race detector, 20 MB take their time.
const patience = time.Minute

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// suiteDown: what the server sends.
func suiteDown(t *testing.T, w way) {
	t.Run("frames arrive whole and in order from many writers", func(t *testing.T) {
		e := w.endpoint(t, Options{QueueBytes: 64 << 20})
		p := w.dial(t, e, "")
		c := e.only(t)
		const writers, each = 4, 200
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					c.Send(textMessage(strings.Repeat("a", 300)), textMessage(strings.Repeat("b", 300)))
				}
			})
		}
		for i := range writers * each * 2 {
			want := "a"
			if i%2 == 1 { // the two of one Send stay together
				want = "b"
			}
			if got := p.next(t); !strings.Contains(got.data, strings.Repeat(want, 300)) {
				t.Fatalf("frame %d is %+.80v", i, got)
			}
		}
		wg.Wait()
	})
	t.Run("white space that an author put into a payload changes no value", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		e.only(t).Send(protocol.EncodeText(protocol.V2, "", "", "t", "e", []byte("{\r\n\t\"a\":\n\r[1,\r2],\n\n\"b\": \"\\n\"}")))
		var frame [5]any
		if err := json.Unmarshal([]byte(p.next(t).data), &frame); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(frame[4]); got != "map[a:[1 2] b:\n]" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("[F4] [H1] raw bytes arrive as they are", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		m := protocol.EncodeBinaryBroadcast("t", "e", []byte{0, '\n', '\r', 255}, protocol.BroadcastMeta{ID: "1"})
		e.only(t).Send(m, textMessage("next"))
		if got := p.next(t); !got.binary || got.data != string(m.Payload()) {
			t.Errorf("got %+v", got)
		}
		if got := p.next(t); got.binary || !strings.Contains(got.data, "next") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("what is sent at once may be larger than the queue", func(t *testing.T) {
		e := w.endpoint(t, Options{QueueBytes: 1 << 10})
		p := w.dial(t, e, "")
		var burst []protocol.Message
		for range 50 {
			burst = append(burst, textMessage(strings.Repeat("x", 100_000)))
		}
		e.only(t).Send(burst...)
		for range burst {
			if got := p.next(t); len(got.data) < 100_000 {
				t.Fatalf("got %+v", got)
			}
		}
	})
}

// suiteBursts: what is sent at once, and what follows.
func suiteBursts(t *testing.T, w way) {
	t.Run("[R3] what follows a large burst does not close a client that reads steadily", func(t *testing.T) {
		e := w.endpoint(t, Options{QueueBytes: 64 << 10})
		p := w.dial(t, e, "")
		c := e.only(t)
		c.Send(textMessage("the reply to a join"))
		c.Send(textMessage(strings.Repeat("x", 20_000_000)))
		c.Send(textMessage("heartbeat"))
		for _, want := range []int{10, 20_000_000, 9} {
			if got := p.next(t); len(got.data) < want {
				t.Fatalf("%+v", got)
			}
		}
	})
}

// suiteSlow: clients that do not read.
func suiteSlow(t *testing.T, w way) {
	t.Run("a client that does not read is closed with 4200 and stalls nobody", func(t *testing.T) {
		e := w.endpoint(t, Options{QueueBytes: 1 << 20})
		p := w.dial(t, e, "")
		c := e.only(t)
		big := textMessage(strings.Repeat("x", 100_000))
		for range 400 { // 40 MB: more than any socket buffer and the queue
			c.Send(big)
		}
		if got := closed(t, p); got.code != protocol.CloseSlowConsumer {
			t.Errorf("closed with %+v", got)
		}
	})
	t.Run("a client that takes nothing for 30 s is cut", func(t *testing.T) {
		e := w.endpoint(t, Options{IdleAfter: time.Hour})
		w.dial(t, e, "")
		var burst []protocol.Message
		for range 400 {
			burst = append(burst, textMessage(strings.Repeat("x", 100_000)))
		}
		c := e.only(t)
		c.Send(burst...)
		eventually(t, "the client's buffers to fill", func() bool { return c.stalled() != 0 })
		e.turn(31 * time.Second)
		eventually(t, "the connection to be cut", func() bool {
			e.turn(e.now() + time.Second) // it may have taken something after the clock was set
			return e.server.Conns() == 0
		})
	})
}

// suiteEnds: how connections end.
func suiteEnds(t *testing.T, w way) {
	t.Run("a close code comes behind what was queued, and nothing follows", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		c := e.only(t)
		c.Send(textMessage("last"))
		c.Close(protocol.CloseIdle, `with "quotes"`)
		c.Send(textMessage("never"))
		if got := p.next(t); !strings.Contains(got.data, "last") {
			t.Errorf("got %+v", got)
		}
		if got := p.next(t); got.code != protocol.CloseIdle || got.reason != `with "quotes"` {
			t.Errorf("got %+v", got)
		}
		eventually(t, "the session to end", func() bool { p.leave(); return e.server.Conns() == 0 })
	})
	t.Run("[H5] a client that leaves is forgotten", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		e.only(t)
		p.leave()
		eventually(t, "the session to end", func() bool { return e.server.Conns() == 0 })
	})
	t.Run("[C3] a connection on which nothing arrives for 60 s is closed with 4201", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		c := e.only(t)
		turn := func(to time.Duration) {
			// The client may have an answer before the server notes that it has, which would
			// have been stuck for a minute then.
			eventually(t, "nothing to wait for the socket", func() bool { return c.stalled() == 0 })
			e.turn(to)
		}
		turn(50 * time.Second)
		p.send(t, heartbeat(1))
		if got := p.next(t); got.data != answer(1) {
			t.Fatalf("got %+v", got)
		}
		turn(109 * time.Second)
		p.send(t, heartbeat(2))
		if got := p.next(t); got.data != answer(2) {
			t.Fatalf("got %+v", got)
		}
		turn(170 * time.Second)
		if got := closed(t, p); got.code != protocol.CloseIdle {
			t.Errorf("closed with %+v", got)
		}
	})
	t.Run("a server that restarts says 1012 and when to come back", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		p := w.dial(t, e, "")
		e.only(t)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { e.server.Shutdown(t.Context(), time.Second) })
		if got := closed(t, p); got.code != protocol.CloseRestart || !strings.Contains(got.reason, "drainMs=1000") {
			t.Errorf("closed with %+v", got)
		}
		p.leave()
	})
	t.Run("who comes while the server shuts down is told so, and when to come back", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		e.server.Shutdown(t.Context(), time.Second)
		if got := closed(t, w.dial(t, e, "")); got.code != protocol.CloseRestart || !strings.Contains(got.reason, "drainMs=1000") {
			t.Errorf("closed with %+v", got)
		}
	})
	t.Run("[C1] [H4] a token that is refused is told as 4101 to who says chorale=1", func(t *testing.T) {
		e := w.endpoint(t, Options{})
		if got := closed(t, w.dial(t, e, "&apikey=expired&chorale=1")); got.code != protocol.CloseTokenRefused || got.reason == "" {
			t.Errorf("closed with %+v", got)
		}
	})
	t.Run("[L5] [C1] who is one too many is told so with 4290", func(t *testing.T) {
		e := w.limited(t, limit.Settings{Sockets: 1})
		p := w.dial(t, e, "")
		e.only(t)
		if got := closed(t, w.dial(t, e, "&chorale=1")); got.code != protocol.CloseTooMany {
			t.Errorf("closed with %+v", got)
		}
		p.leave()
		eventually(t, "the first to have left", func() bool { return e.server.Conns() == 0 })
		again := w.dial(t, e, "&chorale=1")
		again.send(t, heartbeat(1))
		if got := again.next(t); got.data != answer(1) {
			t.Errorf("got %+v", got)
		}
	})
}
