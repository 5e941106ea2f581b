package transport

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// gate is a link whose writes take as long as the test wants, and as much.
type gate struct {
	entered chan string // what is being written
	take    chan int    // how much of it is taken; more than there is: all

	mu       sync.Mutex
	later    int // calls of drainLater
	cuts     int
	lingers  int
	released int
}

func (g *gate) write(b []byte) (int, error) {
	g.entered <- string(b)
	return min(<-g.take, len(b)), nil
}

func (g *gate) count(n *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*n++
}

func (g *gate) drainLater(*socket) { g.count(&g.later) }
func (g *gate) linger()            { g.count(&g.lingers) }
func (g *gate) cut()               { g.count(&g.cuts) }
func (g *gate) release()           { g.count(&g.released) }
func (g *gate) rest()              {}

const everything = 1 << 30

func newGated(maxQueue int) (*socket, *gate) {
	g := &gate{entered: make(chan string), take: make(chan int)}
	s := &socket{}
	s.init(g, &terms{maxQueue: maxQueue, now: time.Now})
	return s, g
}

// writes are what the link is given to write, each taken whole, until nobody writes.
func (g *gate) writes(done <-chan struct{}) (all []string) {
	for {
		select {
		case got := <-g.entered:
			all = append(all, got)
			g.take <- everything
		case <-done:
			return all
		}
	}
}

func begun(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	return done
}

func wire(texts ...string) string {
	var out strings.Builder
	for _, text := range texts {
		out.Write(textMessage(text).Wire())
	}
	return out.String()
}

func inLane(number uint32, text string) string {
	return string(textMessage(text).AppendInLane(nil, number))
}

func TestSocket(t *testing.T) {
	t.Run("[B3] who comes while somebody writes does not wait, and his frames are written behind, in order", func(t *testing.T) {
		s, g := newGated(1 << 20)
		first := begun(func() { s.Send(textMessage("a")) })
		if got := <-g.entered; got != wire("a") {
			t.Fatalf("%q", got)
		}
		s.Send(textMessage("b")) // returns although nothing is taken
		s.Queue(textMessage("c"), textMessage("d"))
		s.Flush()
		g.take <- everything
		if got := g.writes(first); !slices.Equal(got, []string{wire("b", "c", "d")}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("[B3] what the kernel does not take stays in front of what came meanwhile", func(t *testing.T) {
		s, g := newGated(1 << 20)
		first := begun(func() { s.Send(textMessage("abc")) })
		<-g.entered
		s.Send(textMessage("b"))
		g.take <- 3
		<-first
		if g.later != 1 {
			t.Fatalf("asked %d times to be told of room", g.later)
		}
		s.Flush() // writes nothing: there is no room
		drained := begun(s.drain)
		if got := g.writes(drained); !slices.Equal(got, []string{wire("abc", "b")[3:]}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("room that comes while somebody is told that there is none is used", func(t *testing.T) {
		s, g := newGated(1 << 20)
		first := begun(func() { s.Send(textMessage("abc")) })
		<-g.entered
		s.drain()
		g.take <- 0
		if got := g.writes(first); !slices.Equal(got, []string{wire("abc")}) || g.later != 0 {
			t.Errorf("%q, and asked %d times to be told of room", got, g.later)
		}
	})
	t.Run("what is queued is written by Flush, once", func(t *testing.T) {
		s, g := newGated(1 << 20)
		s.Queue(textMessage("a"))
		s.Queue(textMessage("b"))
		if got := g.writes(begun(s.Flush)); !slices.Equal(got, []string{wire("a", "b")}) {
			t.Errorf("%q", got)
		}
		if got := g.writes(begun(s.Flush)); got != nil {
			t.Errorf("and then %q", got)
		}
	})
	t.Run("a socket that ends while it is written is given back by who writes, once, behind what waits", func(t *testing.T) {
		s, g := newGated(1 << 20)
		first := begun(func() { s.Send(textMessage("a")) })
		<-g.entered
		s.Close(protocol.CloseNormal, "") // the answer to the client's
		s.mu.Lock()
		s.endLocked()
		s.mu.Unlock()
		if g.released != 0 {
			t.Error("while it was written")
		}
		g.take <- everything
		if got := g.writes(first); !slices.Equal(got, []string{string(closeWire(protocol.CloseNormal, ""))}) || g.released != 1 {
			t.Errorf("written then: %q; released %d times", got, g.released)
		}
	})
	t.Run("of a socket that has ended nothing waits for the kernel", func(t *testing.T) {
		for name, first := range map[string]func(s *socket){
			"sent":   func(s *socket) { s.Send(textMessage("abc")) },
			"queued": func(s *socket) { s.Queue(textMessage("abc")); s.Flush() },
		} {
			s, g := newGated(1 << 20)
			done := begun(func() { first(s) })
			<-g.entered
			s.Send(textMessage("b"))
			s.mu.Lock()
			s.endLocked()
			s.mu.Unlock()
			g.take <- 1
			<-done
			if g.released != 1 || g.later != 0 || s.backlog != nil {
				t.Errorf("%s: released %d times, asked %d times to be told of room, waiting: %v", name, g.released, g.later, s.backlog)
			}
		}
	})
	t.Run("who ends a socket that nobody writes gives it back", func(t *testing.T) {
		s, g := newGated(1 << 20)
		s.Queue(textMessage("a"))
		s.mu.Lock()
		s.endLocked()
		s.mu.Unlock()
		if got := g.writes(begun(s.Flush)); got != nil || g.released != 1 {
			t.Errorf("written then: %q; released %d times", got, g.released)
		}
	})
	t.Run("a closed socket whose client does not answer is ended", func(t *testing.T) {
		for name, test := range map[string]func(s *socket, g *gate){
			"closed": func(s *socket, g *gate) { g.writes(begun(func() { s.Close(4000, "") })) },
			"closed while it is stuck": func(s *socket, g *gate) {
				<-begunTaking(s, g, textMessage("abc"), 1)
				s.Close(4000, "")
			},
			"stuck with its close": func(s *socket, g *gate) {
				done := begun(func() { s.Close(4000, "") })
				<-g.entered
				g.take <- 1
				<-done
			},
			"closed by who writes for another": func(s *socket, g *gate) {
				first := begun(func() { s.Send(textMessage("a")) })
				<-g.entered
				s.Close(4000, "")
				g.take <- everything
				g.writes(first)
			},
		} {
			s, g := newGated(1 << 20)
			if test(s, g); g.lingers == 0 {
				t.Errorf("%s: not", name)
			}
		}
	})
	t.Run("[R7] who is cut off for being slow gets to its end what is being written to him", func(t *testing.T) {
		s, g := newGated(100)
		<-begunTaking(s, g, textMessage("abc"), 3)
		s.Send(textMessage("d"))
		draining := begun(s.drain)
		<-g.entered
		s.Send(textMessage(strings.Repeat("x", 60)))
		s.Send(textMessage(strings.Repeat("y", 60))) // one too many, while two are written
		g.take <- 5
		<-draining
		got := strings.Join(g.writes(begun(s.drain)), "")
		want := wire("abc", "d")[8:] + string(closeWire(protocol.CloseSlowConsumer, "slow consumer: come back and resume"))
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("[R7] of a socket for which something always waits what was written is not kept", func(t *testing.T) {
		s, g := newGated(1 << 20)
		<-begunTaking(s, g, textMessage("abc"), 3)
		size := len(textMessage("abc").Wire())
		for range 10 {
			s.Send(textMessage("abc"))
		}
		for range 10_000 {
			s.Send(textMessage("abc"))
			done := begun(s.drain)
			<-g.entered
			g.take <- size
			<-done
		}
		if b := s.backlog; b.waiting() != 11 || cap(b.pieces) > 100 {
			t.Errorf("room for %d pieces, %d of which wait", cap(b.pieces), b.waiting())
		}
	})
	t.Run("[R7] many small frames are too many before they are large", func(t *testing.T) {
		s, g := newGated(minPiece * 100)
		<-begunTaking(s, g, textMessage("abc"), 3)
		for range 200 {
			s.control(ws.OpPong, nil)
		}
		if s.cause != protocol.CloseSlowConsumer {
			t.Errorf("%d pieces wait", s.backlog.waiting())
		}
	})
	t.Run("a socket that fails while it is written is not written any more", func(t *testing.T) {
		s, g := newGated(1 << 20)
		first := begun(func() { s.Send(textMessage("abc")) })
		<-g.entered
		s.Send(textMessage("b"))
		s.sever()
		g.take <- 1
		if got := g.writes(first); got != nil || s.backlog != nil || g.cuts != 1 {
			t.Errorf("written: %q, waiting: %v, cut %d times", got, s.backlog, g.cuts)
		}
	})
	t.Run("[R7] who is too slow keeps what is being written of his queue, and is told why", func(t *testing.T) {
		s, g := newGated(100)
		<-begunTaking(s, g, textMessage("abc"), 3)
		s.Send(textMessage(strings.Repeat("x", 60)))
		s.Send(textMessage(strings.Repeat("y", 60))) // one too many
		s.Send(textMessage("never"))
		got := strings.Join(g.writes(begun(s.drain)), "")
		if want := wire("abc")[3:] + string(closeWire(protocol.CloseSlowConsumer, "slow consumer: come back and resume")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if g.lingers == 0 {
			t.Error("nobody ends it")
		}
	})
	t.Run("[R7] a client that is not behind is never too slow", func(t *testing.T) {
		s, g := newGated(100)
		large := strings.Repeat("x", 1000)
		s.Queue(textMessage(large), textMessage(large), textMessage(large))
		if got := g.writes(begun(s.Flush)); !slices.Equal(got, []string{wire(large, large, large)}) {
			t.Errorf("%d writes", len(got))
		}
	})
	t.Run("a list of frames is written in pieces of a bound, large frames by themselves", func(t *testing.T) {
		s, g := newGated(1 << 20)
		half, large := strings.Repeat("x", flushPiece/2), strings.Repeat("y", 2*flushPiece)
		s.Queue(textMessage("a"), textMessage(half), textMessage(half), textMessage(large), textMessage("b"))
		got := g.writes(begun(s.Flush))
		if !slices.Equal(got, []string{wire("a", half), wire(half), wire(large), wire("b")}) {
			t.Errorf("%d writes", len(got))
		}
	})
	t.Run("lanes share a socket's queue, each frame in its own", func(t *testing.T) {
		s, g := newGated(1 << 20)
		seven, eight := &lane{lanes: &lanes{socket: s}, number: 7}, &lane{lanes: &lanes{socket: s}, number: 80}
		seven.Queue(textMessage("a"), textMessage("b"))
		eight.Queue(textMessage("c"))
		if got := g.writes(begun(seven.Flush)); !slices.Equal(got, []string{inLane(7, "a") + inLane(7, "b") + inLane(80, "c")}) {
			t.Errorf("%q", got)
		}
		large := strings.Repeat("x", 2*flushPiece)
		done := begun(func() { eight.Send(textMessage(large)) })
		<-g.entered
		g.take <- 5
		<-done
		if got := g.writes(begun(s.drain)); strings.Join(got, "") != inLane(80, large)[5:] {
			t.Error("the rest of a large one")
		}
	})
}

// begunTaking sends a frame of which so much is taken.
func begunTaking(s *socket, g *gate, frame protocol.Message, n int) <-chan struct{} {
	done := begun(func() { s.Send(frame) })
	<-g.entered
	g.take <- n
	return done
}
