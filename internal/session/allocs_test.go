//go:build !race

package session_test

import (
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// The race detector allocates by itself, so budgets are held without it.
func TestLimitAllocations(t *testing.T) {
	w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 1, Burst: 1}})
	s := session.New(w.deps, sink{}, protocol.V2, token(t, "ada", time.Hour))
	t.Cleanup(s.Close)
	s.Receive(false, []byte(`["1","1","realtime:x","phx_join",{"config":`+noAck+`}]`))
	push := []byte(`["1","2","realtime:x","broadcast",` + hello + `]`)
	s.Receive(false, push)
	s.Receive(false, push) // is told
	dropped := testing.AllocsPerRun(1000, func() { s.Receive(false, push) })
	decoded := testing.AllocsPerRun(1000, func() {
		if _, err := protocol.DecodeText(protocol.V2, push); err != nil {
			t.Error(err)
		}
	})
	if dropped > decoded {
		t.Errorf("%v allocations for a push that is dropped, %v of which are its decoding", dropped, decoded)
	}
}
