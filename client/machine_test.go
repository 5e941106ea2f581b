package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.UnixMilli(1_764_000_000_000)

var calm = input{now: epoch, roll: 0.5}

// play runs events through the machine from idle.
func play(in input, events ...event) state {
	s := state{}
	for _, e := range events {
		s, _ = next(s, e, in)
	}
	return s
}

func of(kinds ...eventKind) []event {
	out := make([]event, len(kinds))
	for i, k := range kinds {
		out[i] = event{kind: k}
	}
	return out
}

func lost(code int, reason string) event { return event{kind: evLost, code: code, reason: reason} }

func opened() []event { return of(evNeeded, evToken, evOpened) }

func TestMachineIsTotal(t *testing.T) {
	for p := range phases {
		for k := range eventKinds {
			if table[p][k] == nil {
				t.Errorf("the table has no cell for %s in %s", k, p)
			}
		}
	}
}

func aScript(t *rapid.T) (events []event, inputs []input) {
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		e := event{kind: eventKind(rapid.IntRange(0, int(eventKinds)-1).Draw(t, "event"))}
		switch e.kind {
		case evLost:
			e.code = rapid.SampledFrom([]int{1000, 1006, 1009, 1012, 1013, 4001, 4101, 4200, 4201, 4290}).Draw(t, "code")
			e.reason = rapid.SampledFrom([]string{"", "drainMs=500"}).Draw(t, "reason")
		case evTokenFailed:
			e.err = rapid.SampledFrom([]error{errors.New("no"), &Error{Code: "signed_out"}}).Draw(t, "err")
		}
		events = append(events, e)
		inputs = append(inputs, input{now: epoch, roll: rapid.Float64Range(0, 0.999).Draw(t, "roll")})
	}
	return events, inputs
}

func TestMachine(t *testing.T) {
	t.Run("what a state begins, its end stops", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s, hasSocket, isWaiting := state{}, false, false
			events, inputs := aScript(t)
			for i, e := range events {
				hasSocket = hasSocket && e.kind != evLost
				isWaiting = isWaiting && e.kind != evDue
				after, effects := next(s, e, inputs[i])
				// No socket of this moment can cause it.
				if e.kind == evLost && s.phase != opening && s.phase != open && after != s {
					t.Fatalf("a loss without a socket: %s became %s", s.phase, after.phase)
				}
				for _, f := range effects {
					switch f.do {
					case doOpenSocket:
						if hasSocket {
							t.Fatal("a second socket")
						}
						hasSocket = true
					case doDropSocket:
						hasSocket = false
					case doWait:
						isWaiting = true
					case doStopWaiting:
						isWaiting = false
					}
				}
				s = after
				hasSocket = hasSocket && (s.phase == opening || s.phase == open)
				if isWaiting != (s.phase == waiting) {
					t.Fatalf("in %s, waiting: %v", s.phase, isWaiting)
				}
			}
		})
	})
	t.Run("attempts are forgotten by stable alone, and closed is for ever", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := state{}
			events, inputs := aScript(t)
			for i, e := range events {
				after, _ := next(s, e, inputs[i])
				switch {
				case s.phase == closed && after != s:
					t.Fatalf("closed became %s", after.phase)
				case after.phase != closed && after.trail.attempt < s.trail.attempt && (e.kind != evStable || s.phase != open):
					t.Fatalf("%s in %s forgot %d attempts", e.kind, s.phase, s.trail.attempt)
				}
				s = after
			}
		})
	})
	t.Run("whoever fetches, opens or waits has asked for it", func(t *testing.T) {
		asks := map[phase]effectKind{fetching: doFetchToken, opening: doOpenSocket, waiting: doWait}
		rapid.Check(t, func(t *rapid.T) {
			s := state{}
			events, inputs := aScript(t)
			for i, e := range events {
				after, effects := next(s, e, inputs[i])
				ask, must := asks[after.phase]
				if must && after.phase != s.phase && !slices.ContainsFunc(effects, func(f effect) bool { return f.do == ask }) {
					t.Fatalf("%s in %s led to %s with %v", e.kind, s.phase, after.phase, effects)
				}
				s = after
			}
		})
	})
	t.Run("the close code says what a client does", func(t *testing.T) {
		for code, want := range map[int]phase{
			4000: failed, 4099: failed, 1000: waiting, 1006: waiting, 1009: waiting, 1012: waiting, 1013: waiting,
			4101: waiting, 4200: waiting, 4201: waiting, 4290: waiting,
		} {
			if got := play(calm, append(opened(), lost(code, ""))...).phase; got != want {
				t.Errorf("%d leads to %s, want %s", code, got, want)
			}
		}
	})
	t.Run("[C1] a refused token is replaced once, then a person is asked", func(t *testing.T) {
		first := play(calm, evs(evNeeded, evToken, lost(4101, ""))...)
		if _, effects := next(first, event{kind: evDue}, calm); len(effects) != 1 || !effects[0].fresh {
			t.Errorf("after a refusal: %+v", effects)
		}
		second := play(calm, evs(evNeeded, evToken, lost(4101, ""), evDue, evToken, lost(4101, ""))...)
		if second.phase != needsAuth || second.reason.Retryable {
			t.Errorf("after the second refusal: %s, %v", second.phase, second.reason)
		}
	})
	t.Run("a token that only a person can bring ends the tries, also of a connection that is open", func(t *testing.T) {
		final, passing := event{kind: evTokenFailed, err: &Error{Code: "signed_out", Message: "sign in"}}, event{kind: evTokenFailed, err: errors.New("no")}
		if s := play(calm, event{kind: evNeeded}, final); s.phase != needsAuth || s.reason.Message != "sign in" {
			t.Errorf("%s, %v", s.phase, s.reason)
		}
		if s := play(calm, event{kind: evNeeded}, passing); s.phase != waiting {
			t.Errorf("a failure that passes: %s", s.phase)
		}
		if s := play(calm, append(opened(), passing)...); s.phase != open {
			t.Errorf("a failure that passes, while open: %s", s.phase)
		}
		s, effects := next(play(calm, opened()...), final, calm)
		if s.phase != needsAuth || effects[0].do != doDropSocket {
			t.Errorf("%s, %v", s.phase, effects)
		}
		if _, effects := next(s, event{kind: evReconnect}, calm); !effects[0].fresh {
			t.Error("the spent token is tried again")
		}
	})
	t.Run("a restart spreads its clients over the window that the server names", func(t *testing.T) {
		for _, c := range []struct {
			roll   float64
			reason string
			want   time.Duration
		}{
			{0, "drainMs=8000", 0}, {0.5, "drainMs=8000", 4 * time.Second}, {0.5, "", 500 * time.Millisecond},
			{0.5, "drainMs=99999999999999999999", 150 * time.Second}, {0.5, "drainMs=x", 500 * time.Millisecond},
		} {
			s := play(input{now: epoch, roll: c.roll}, append(opened(), lost(1012, c.reason))...)
			if got := s.until.Sub(epoch); got != c.want {
				t.Errorf("roll %v of %q: %v, want %v", c.roll, c.reason, got, c.want)
			}
		}
	})
	t.Run("who comes back from a restart before the server does waits as after a first failure", func(t *testing.T) {
		early := play(input{now: epoch, roll: 1}, append(opened(), evs(lost(1012, "drainMs=1000"), evDue, evToken, lost(1006, ""))...)...)
		if got, want := early.until.Sub(epoch), backoff(0, 1, backoffBase, backoffMost); early.phase != waiting || got != want || early.trail.attempt != 1 {
			t.Errorf("%s for %v, want %v; attempt %d", early.phase, got, want, early.trail.attempt)
		}
	})
	t.Run("reconnecting cuts a wait short, and asks an open connection whether it is alive", func(t *testing.T) {
		s := play(calm, append(opened(), lost(1006, ""), event{kind: evReconnect})...)
		if s.phase != fetching || s.trail.attempt != 1 {
			t.Errorf("%s, attempt %d", s.phase, s.trail.attempt)
		}
		if _, effects := next(play(calm, opened()...), event{kind: evReconnect}, calm); effects[0].do != doProbe {
			t.Errorf("%v", effects)
		}
	})
}

// evs are events by kind, or whole.
func evs(list ...any) []event {
	var out []event
	for _, e := range list {
		switch e := e.(type) {
		case eventKind:
			out = append(out, event{kind: e})
		case event:
			out = append(out, e)
		default:
			panic(fmt.Sprint(e))
		}
	}
	return out
}

func TestBackoff(t *testing.T) {
	t.Run("a wait is between the least and the bound, which doubles up to its most", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			attempt, roll := rapid.IntRange(0, 1000).Draw(t, "attempt"), rapid.Float64Range(0, 0.999).Draw(t, "roll")
			bound := backoffMost
			if attempt < 6 {
				bound = min(bound, backoffBase<<attempt)
			}
			if d := backoff(attempt, roll, backoffBase, backoffMost); d < backoffLeast || d > backoffLeast+bound {
				t.Fatalf("attempt %d waits %v", attempt, d)
			}
		})
	})
	t.Run("10,000 clients of one outage do not come back together", func(t *testing.T) {
		chance := rand.New(rand.NewPCG(1, 2))
		const clients, slot = 10_000, 100 * time.Millisecond
		perSlot := map[time.Duration]int{}
		for range clients {
			at := time.Duration(0)
			for attempt := range 6 { // each fails, until the last
				at += backoff(attempt, chance.Float64(), backoffBase, backoffMost)
			}
			perSlot[at/slot]++
		}
		most, last := 0, time.Duration(0)
		for s, n := range perSlot {
			most, last = max(most, n), max(last, s)
		}
		if mean := clients / int(last); most > 3*mean {
			t.Errorf("%d in the fullest 100 ms, %d in the mean", most, mean)
		}
	})
}
