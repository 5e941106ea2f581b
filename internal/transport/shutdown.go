package transport

import (
	"context"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

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
