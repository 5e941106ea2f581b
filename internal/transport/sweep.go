package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// sweepLoop looks at all connections again and again. Pings are due from lastPing
// (Unix ms) on.
func (s *Server) sweepLoop(lastPing int64) {
	tick := time.NewTicker(s.opts.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			now := s.nowMs()
			ping := now-lastPing >= s.opts.PingEvery.Milliseconds()
			if ping {
				lastPing = now
			}
			for c, u := range s.snapshot() {
				s.sweep(c, now, ping)
				if l, ok := u.(*lanes); ok {
					l.sweep(now)
				}
			}
		}
	}
}

// conn is what the server does with a connection, whatever carries its frames.
type conn interface {
	session.Conn
	// lastHeard is when (Unix ms) something came from the client.
	lastHeard() int64
	// stalled says since when (Unix ms) nothing was taken that waits; 0 when
	// nothing waits.
	stalled() int64
	// keepAlive is called by the sweep, with ping when pings are due.
	keepAlive(now int64, ping bool)
	// sever ends the connection without a word.
	sever()
}

const idleReason = "idle: nothing arrived for a minute"

// sweep looks at one connection's deadlines.
func (s *Server) sweep(c conn, now int64, ping bool) {
	switch since := c.stalled(); {
	case since != 0 && now-since > s.opts.StalledAfter.Milliseconds():
		c.sever()
	case now-c.lastHeard() > s.opts.IdleAfter.Milliseconds():
		c.Close(protocol.CloseIdle, idleReason)
	default:
		c.keepAlive(now, ping)
	}
}

func (s *Server) snapshot() map[conn]user {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[conn]user, len(s.conns))
	for k, v := range s.conns {
		out[k] = v
	}
	return out
}

// Shutdown refuses new sockets, tells every client to come back within drain,
// and waits until all have gone or ctx ends; then it cuts the rest. Each client
// is told a time of its own choosing inside drain, so that they do not come back
// all at once.
func (s *Server) Shutdown(ctx context.Context, drain time.Duration) {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if !already {
		close(s.done)
	}
	reason := fmt.Sprintf("the server restarts drainMs=%d", drain.Milliseconds())
	var farewells sync.WaitGroup
	for c, u := range s.snapshot() {
		// Each on its own: a session that waits for the engine keeps nobody else.
		farewells.Go(func() {
			u.Announce()
			c.Close(protocol.CloseRestart, reason)
		})
	}
	gone := make(chan struct{})
	go func() {
		farewells.Wait()
		s.wg.Wait()
		s.poller.close()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	for c, u := range s.snapshot() {
		u.Cancel()
		c.sever()
	}
	<-gone
}
