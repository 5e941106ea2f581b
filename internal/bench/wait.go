package bench

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// How long clients wait before they come back: as @chorale/client does it, see
// web/client/src/connection-state.ts.
const (
	waitLeast = 250 * time.Millisecond
	waitBase  = 500 * time.Millisecond
	waitMost  = 30 * time.Second
)

// waitAfter is how long a client waits that lost its connection, or could not get
// one, after so many failures in a row, and whether this is one more: a restart is
// none. roll is a random number in [0, 1).
func waitAfter(err error, failures int, roll float64) (wait time.Duration, failure bool) {
	if closed, ok := errors.AsType[*closedError](err); ok && closed.code == protocol.CloseRestart {
		return time.Duration(roll * float64(drainOf(closed.reason))), false
	}
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.after > 0 {
		return refused.after, true
	}
	bound := min(float64(waitMost), float64(waitBase)*math.Pow(2, float64(min(failures, 20))))
	return waitLeast + time.Duration(roll*bound), true
}

// drainOf reads the window that a restarting server asks its clients to spread
// over.
func drainOf(reason string) time.Duration {
	if _, text, ok := strings.Cut(reason, "drainMs="); ok {
		text, _, _ = strings.Cut(text, " ")
		if ms, err := strconv.Atoi(text); err == nil && ms >= 0 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return time.Second
}
