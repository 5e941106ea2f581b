package transport

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// timed runs a test in a bubble with a server whose clock is the bubble's.
func timed(t *testing.T, o Options, test func(t *testing.T, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Deps = &session.Deps{Verifier: anybody{}, Limits: limit.New(limit.Unlimited(), time.Now), Metrics: metrics.New(), Logger: slog.New(slog.DiscardHandler), Now: time.Now}
		o.Goroutines = true // a poller is nothing that a bubble knows
		s := NewServer(o)
		test(t, s)
		s.Shutdown(t.Context(), 0)
	})
}

func (s *Server) numberOf(c *made) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.number
}

// made is a connection that was made up: it notes what is done to it, and after how long.
type made struct {
	seat
	server       *Server
	patience     time.Duration
	begin        time.Time
	onKept       func()       // if not nil, keepAlive
	heard, stuck atomic.Int64 // Unix ms

	mu       sync.Mutex // guards the following
	done     []string
	reminded []time.Duration
	hasLeft  bool
}

// come makes one up that is kept as a socket is.
func come(s *Server) *made { return comeWith(s, s.opts.PingEvery) }

func comeWith(s *Server, patience time.Duration) *made {
	c := &made{server: s, begin: time.Now(), patience: patience}
	c.beat()
	c.enter()
	return c
}

func (c *made) enter() {
	c.server.enter()
	c.server.add(c, nobody{})
}

// end notes how it ended, once.
func (c *made) end(how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hasLeft {
		return
	}
	c.hasLeft = true
	c.done = append(c.done, fmt.Sprintf("%s %.1f", how, time.Since(c.begin).Seconds()))
	c.server.leave(c, limit.Ticket{})
	c.server.wg.Done()
}

func (c *made) beat() { c.heard.Store(time.Now().UnixMilli()) }

// was is what was done to it.
func (c *made) was() (done string, reminded []time.Duration) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.done, ", "), slices.Clone(c.reminded)
}

func (c *made) Send(...protocol.Message)         {}
func (c *made) Queue(...protocol.Message)        {}
func (c *made) Flush()                           {}
func (c *made) lastHeard() int64                 { return c.heard.Load() }
func (c *made) stalled() int64                   { return c.stuck.Load() }
func (c *made) silence() (since, patience int64) { return c.heard.Load(), c.patience.Milliseconds() }
func (c *made) sever()                           { c.end("cut") }
func (c *made) Close(code int, _ string)         { c.end(fmt.Sprint(code)) }
func (c *made) keepAlive(int64) {
	if c.onKept != nil {
		c.onKept()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reminded = append(c.reminded, time.Since(c.begin))
}

// ended fails when it did not end so.
func (c *made) ended(t *testing.T, want string) {
	t.Helper()
	if done, _ := c.was(); done != want {
		t.Errorf("got %q; want %q", done, want)
	}
}

func TestDeadlinesAreMet(t *testing.T) {
	t.Run("[C3] who says nothing is closed within a tick of a minute, whenever it came", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			var all []*made
			for range 20 {
				time.Sleep(1234 * time.Millisecond)
				all = append(all, come(s))
			}
			time.Sleep(2 * time.Minute)
			for _, c := range all {
				if done, _ := c.was(); done != "4201 60.0" && done != "4201 60.1" {
					t.Errorf("got %q", done)
				}
			}
		})
	})
	t.Run("a stall is cut within a tick of 30 s, whenever it begins, and not when something is taken meanwhile", func(t *testing.T) {
		for second := range 60 {
			timed(t, Options{IdleAfter: time.Hour}, func(t *testing.T, s *Server) {
				c := come(s)
				time.Sleep(time.Duration(second) * time.Second)
				c.stuck.Store(time.Now().UnixMilli())
				time.Sleep(29 * time.Second)
				c.stuck.Store(time.Now().UnixMilli())
				time.Sleep(29 * time.Second)
				c.stuck.Store(0)
				time.Sleep(time.Minute)
				c.ended(t, "")
				c.stuck.Store(time.Now().UnixMilli())
				time.Sleep(30*time.Second - 1)
				c.ended(t, "")
				time.Sleep(tick)
				c.ended(t, fmt.Sprintf("cut %d.0", second+29+29+60+30))
			})
		}
	})
	t.Run("who has left is not looked at, and whoever has its number then is not mistaken for it", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			old := come(s)
			number := s.numberOf(old)
			due := visit{connection: connection{old, nobody{}}, number: number, next: 1}
			old.end("left")
			s.putBack([]visit{due}, time.Now()) // it was just being looked at
			s.mu.Lock()
			if at, ok := s.conns.wheel.next(); ok {
				t.Errorf("something is due at %d", at)
			}
			s.mu.Unlock()
			time.Sleep(time.Second)
			c := come(s)
			if got := s.numberOf(c); got != number {
				t.Errorf("number %d behind %d", got, number)
			}
			s.putBack([]visit{due}, time.Now())
			time.Sleep(2 * time.Minute)
			old.ended(t, "left 0.0")
			c.ended(t, "4201 60.0")
		})
	})
	t.Run("a server without connections sleeps", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			c := come(s)
			c.end("left")
			time.Sleep(time.Minute)
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.alarm < time.Hour.Milliseconds() {
				t.Errorf("it will wake up at %d ms", s.alarm)
			}
		})
	})
	t.Run("whoever is due first counts, also while it sleeps for another", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			come(s)
			time.Sleep(15 * time.Second) // now it is looked at next in half a minute
			c := comeWith(s, headPatience)
			time.Sleep(headPatience + headPatience/10 + tick)
			if _, reminded := c.was(); len(reminded) != 1 || reminded[0] < headPatience {
				t.Errorf("reminded after %v", reminded)
			}
		})
	})
}

func TestReminders(t *testing.T) {
	t.Run("[C3] who beats is never pinged, however little more often than every 40 s", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			var all []*made
			for range 100 {
				all = append(all, come(s))
			}
			for range 50 {
				time.Sleep(40*time.Second - time.Millisecond)
				for _, c := range all {
					c.beat()
				}
			}
			for _, c := range all {
				if done, reminded := c.was(); done != "" || len(reminded) != 0 {
					t.Fatalf("pinged after %v, %q", reminded, done)
				}
			}
		})
	})
	t.Run("[C3] a thousand who came together and say nothing are pinged spread over four seconds, each between 40 and 45 s", func(t *testing.T) {
		timed(t, Options{}, func(t *testing.T, s *Server) {
			var all []*made
			for range 1000 {
				all = append(all, come(s))
			}
			time.Sleep(59 * time.Second)
			pinged := map[time.Duration]int{} // by tick
			for _, c := range all {
				_, reminded := c.was()
				if len(reminded) != 1 || reminded[0] < 40*time.Second || reminded[0] > 44*time.Second+tick {
					t.Fatalf("pinged after %v", reminded)
				}
				pinged[reminded[0].Round(tick)]++
			}
			for at, n := range pinged {
				if n > 2*1000/40 {
					t.Errorf("%d are pinged after %v", n, at)
				}
			}
			if len(pinged) < 40 {
				t.Errorf("pinged in %d ticks", len(pinged))
			}
		})
	})
	t.Run("[C3] who stays silent is pinged again after as long", func(t *testing.T) {
		timed(t, Options{IdleAfter: time.Hour}, func(t *testing.T, s *Server) {
			c := come(s)
			time.Sleep(205 * time.Second)
			_, reminded := c.was()
			if len(reminded) != 5 {
				t.Fatalf("pinged after %v", reminded)
			}
			for i, at := range reminded {
				if from := time.Duration(i+1) * 40 * time.Second; at < from || at > from+4*time.Second+tick {
					t.Errorf("pinged after %v", at)
				}
			}
		})
	})
	t.Run("[C3] who has spoken while it was being looked at is not pinged", func(t *testing.T) {
		now := time.Unix(1_764_000_000, 0)
		s := stillServer(func() time.Time { return now })
		writes := 0
		c := new(socket)
		c.init(answering{socket: c, writes: &writes}, s.terms)
		c.keepAlive(now.Add(39 * time.Second).UnixMilli())
		if writes != 0 {
			t.Error("it was")
		}
		c.keepAlive(now.Add(40 * time.Second).UnixMilli())
		if writes != 1 {
			t.Error("who is silent was not")
		}
	})
	t.Run("[H5] a stream that is silent has a comment every 15 s, and one that is not has none", func(t *testing.T) {
		now := time.Unix(1_764_000_000, 0)
		clock := func() time.Time { return now }
		s := stillServer(clock)
		silent, busy := newStream("x", nil, 1<<20, clock), newStream("y", nil, 1<<20, clock)
		s.add(silent, nobody{})
		s.add(busy, nobody{})
		comments := 0
		for range 500 {
			now = now.Add(tick)
			busy.wrote.Store(now.UnixMilli())
			s.lookAtDue()
			if silent.comment {
				comments++
				silent.comment = false
			}
		}
		if comments != 3 || busy.comment {
			t.Errorf("%d comments, %v", comments, busy.comment)
		}
	})
}
