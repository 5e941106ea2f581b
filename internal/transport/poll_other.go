//go:build !linux && !darwin && !freebsd && !netbsd

package transport

import (
	"net"
	"runtime"

	"github.com/chorale-rt/chorale/internal/limit"
)

// poller is not there on this system: each socket has a goroutine.
type poller struct{}

func (s *Server) openPoller() *poller { return nil }

func (p *poller) close() {}

func (p *poller) giveTurn() { runtime.Gosched() }

// Front is l: net/http takes all connections in.
func (s *Server) Front(l net.Listener) net.Listener { return l }

func detach(net.Conn) (fd int, ok bool) { return 0, false }

func (s *Server) servePolled(int, *handshake, limit.Ticket) {}
