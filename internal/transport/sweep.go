package transport

import (
	"context"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// sweepLoop looks at all connections again and again. before is when (Unix ms) it
// is taken to have done so last.
func (s *Server) sweepLoop(before int64) {
	tick := time.NewTicker(s.opts.SweepEvery)
	defer tick.Stop()
	var all []connection
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			now := s.nowMs()
			all = s.snapshot(all[:0])
			for _, c := range all {
				s.sweep(c.conn, before, now)
				if l, ok := c.user.(*lanes); ok {
					l.sweep(now)
				}
			}
			clear(all)
			before = now
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
	// keepAlive is called by the sweep, with ping when the client is to be asked for
	// a sign of life.
	keepAlive(now int64, ping bool)
	// sever ends the connection without a word.
	sever()
}

const idleReason = "idle: nothing arrived for a minute"

// sweep looks at one connection's deadlines, behind the sweep before.
func (s *Server) sweep(c conn, before, now int64) {
	switch since := c.stalled(); {
	case since != 0 && now-since > s.opts.StalledAfter.Milliseconds():
		c.sever()
	case now-c.lastHeard() > s.opts.IdleAfter.Milliseconds():
		c.Close(protocol.CloseIdle, idleReason)
	default:
		c.keepAlive(now, s.pingDue(c.lastHeard(), before, now))
	}
}

// pingDue says whether a client has been silent for another PingEvery since the
// sweep before. One that beats is heard of more often than that, and need not
// answer a ping besides: of people who only listen these are most of the cost.
func (s *Server) pingDue(heard, before, now int64) bool {
	every := s.opts.PingEvery.Milliseconds()
	return (now-heard)/every > max(before-heard, 0)/every
}

// connection is a conn and who it is for.
type connection struct {
	conn conn
	user user
}

// snapshot appends all connections of this moment.
func (s *Server) snapshot(to []connection) []connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, u := range s.conns {
		to = append(to, connection{c, u})
	}
	return to
}

// Shutdown refuses new sockets, tells every client to come back within drain,
// and waits until all have gone or ctx ends; then it cuts the rest. Each client
// is told a time of its own choosing inside drain, so that they do not come back
// all at once.
func (s *Server) Shutdown(ctx context.Context, drain time.Duration) {
	s.mu.Lock()
	already := s.closed
	s.closed, s.drain = true, drain
	s.mu.Unlock()
	if !already {
		close(s.done)
	}
	reason := s.farewell()
	var farewells sync.WaitGroup
	for _, c := range s.snapshot(nil) {
		// Each on its own: a session that waits for the engine keeps nobody else.
		farewells.Go(func() {
			c.user.Announce()
			c.conn.Close(protocol.CloseRestart, reason)
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
	for _, c := range s.snapshot(nil) {
		c.user.Cancel()
		c.conn.sever()
	}
	<-gone
}
