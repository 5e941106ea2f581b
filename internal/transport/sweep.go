package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

func (s *Server) sweepLoop() {
	tick := time.NewTicker(s.opts.SweepEvery)
	defer tick.Stop()
	lastPing := s.nowMs()
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
			for sock := range s.snapshot() {
				s.sweep(sock, now, ping)
			}
		}
	}
}

// sweep looks at one socket's deadlines.
func (s *Server) sweep(sock *socket, now int64, ping bool) {
	switch since := sock.stalled(); {
	case since != 0 && now-since > s.opts.StalledAfter.Milliseconds():
		sock.sever()
	case now-sock.lastRead.Load() > s.opts.IdleAfter.Milliseconds():
		sock.Close(protocol.CloseIdle, "idle: nothing arrived for a minute")
	case ping:
		sock.control(ws.OpPing, nil)
	}
}

func (s *Server) snapshot() map[*socket]*session.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[*socket]*session.Session, len(s.sockets))
	for k, v := range s.sockets {
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
	for sock, sess := range s.snapshot() {
		sess.Announce()
		sock.Close(protocol.CloseRestart, reason)
	}
	gone := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	for sock := range s.snapshot() {
		sock.sever()
	}
	<-gone
}
