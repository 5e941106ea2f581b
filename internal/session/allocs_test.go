//go:build !race

package session_test

import (
	"fmt"
	"strings"
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

func TestHeartbeatAllocations(t *testing.T) {
	for v, beat := range map[protocol.Version][]byte{
		protocol.V1: []byte(`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1234"}`),
		protocol.V2: []byte(`[null,"1234","phoenix","heartbeat",{}]`),
	} {
		w := newLimitedWorld(t, limit.Unlimited())
		s := session.New(w.deps, sink{}, v, token(t, "ada", time.Hour))
		t.Cleanup(s.Close)
		const budget = 1 // its ref
		if got := testing.AllocsPerRun(1000, func() { s.Receive(false, beat) }); got > budget {
			t.Errorf("version %d: %v allocations, of %d at most", v, got, budget)
		}
	}
}

func TestBroadcastAllocations(t *testing.T) {
	w := newLimitedWorld(t, limit.Unlimited())
	var out tally
	var first *session.Session
	for range 4 {
		s := session.New(w.deps, &out, protocol.V2, token(t, "ada", time.Hour))
		t.Cleanup(s.Close)
		s.Receive(false, []byte(`["1","1","realtime:x","phx_join",{"config":`+noAck+`}]`))
		if first == nil {
			first = s
		}
	}
	push := []byte(`["1","2","realtime:x","broadcast",` + hello + `]`)
	const runs = 500
	out = tally{}
	got := testing.AllocsPerRun(runs, func() { first.Receive(false, push) })
	if want := (runs + 1) * 3; out.frames != want {
		t.Fatalf("%d frames, want %d", out.frames, want)
	}
	// Its parts, what is kept of it, and its one encoding for all members.
	const budget = 8
	if got > budget {
		t.Errorf("%v allocations for a broadcast to three, of %d at most", got, budget)
	}
}

func TestNoteAllocations(t *testing.T) {
	var out tally
	writer := noteTakers(t, &out)[0]
	const runs = 500
	frames := make([][]byte, 0, runs+2)
	for n := 1; n <= cap(frames); n++ {
		op, fields := "patch", `"content":"`+strings.Repeat("a note of a person who says a lot. ", 6)+`"`
		if n == 1 {
			op, fields = "put", `"content":"a","timestampMs":0,"authorName":"Ada","kind":"note"`
		}
		frames = append(frames, fmt.Appendf(nil, `["1","%[1]d","realtime:interview:1","mutate",{"client":"c0","n":%[1]d,"id":"c0-%[1]d","at":"%016[2]x","base":1,"op":"%[3]s","collection":"notes","record":"r","fields":{%[4]s}}]`, n, n<<16, op, fields))
	}
	next := 0
	write := func() {
		writer.Receive(false, frames[next])
		next++
	}
	write()
	out = tally{}
	got := testing.AllocsPerRun(runs, write)
	if want := (runs + 1) * 5; out.frames != want { // one for each member, and the answer
		t.Fatalf("%d frames, want %d", out.frames, want)
	}
	// From the frame that was read to those that are to be written: 119 when all of
	// the record was decoded for its schema, and every condition had its maps.
	const budget = 47
	if got > budget {
		t.Errorf("%v allocations for a patch of a note, of %d at most", got, budget)
	}
}
