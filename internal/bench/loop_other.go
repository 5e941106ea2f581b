//go:build !linux

package bench

import (
	"time"

	"github.com/gobwas/ws"
)

// A loop reads for nobody here: each socket has a goroutine.
type loop struct{ pacer pacer }

// openLoop opens a loop; see Linux.
func openLoop(time.Time) (*loop, error) { return &loop{}, nil }

// take is false: the loop does not read for the socket.
func (lp *loop) take(*socket, func(op ws.OpCode, payload []byte, at int64) error, func(error)) bool {
	return false
}

func (lp *loop) run() {}

func (lp *loop) stop() {}

func (lp *loop) release() {}
