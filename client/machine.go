package client

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// The connection as a pure machine: the same state, event and input give the
// same state and effects. connection.go runs the effects and decides nothing. It
// is the machine of @chorale/client without what only browsers have.

// A phase is what a connection is doing.
type phase uint8

const (
	idle      phase = iota
	fetching        // asking for a token
	opening         // until the server's first frame
	open            //
	waiting         // for the next attempt
	needsAuth       // two tokens in a row were refused, or only a person can help
	failed          // refused for good
	closed          //
	phases
)

func (p phase) String() string {
	return [phases]string{"idle", "fetching", "opening", "open", "waiting", "needsAuth", "failed", "closed"}[p]
}

// A trail is what is remembered from attempt to attempt.
type trail struct {
	attempt  int  // since the connection was last stable
	wasOpen  bool //
	reauthed bool // a refused token was replaced once already
}

type state struct {
	phase  phase
	trail  trail
	until  time.Time // waiting: when the next attempt is due
	reason *Error    // waiting, needsAuth, failed: why
}

type eventKind uint8

const (
	evNeeded eventKind = iota
	evToken
	evTokenFailed
	evOpened
	evLost
	evStable
	evDue       // the wait is over
	evReconnect // somebody asked for it
	evClose
	eventKinds
)

func (k eventKind) String() string {
	return [eventKinds]string{"needed", "token", "tokenFailed", "opened", "lost", "stable", "due", "reconnect", "close"}[k]
}

type event struct {
	kind   eventKind
	code   int    // lost: the close code
	reason string // lost
	err    error  // tokenFailed
}

type effectKind uint8

const (
	doFetchToken effectKind = iota
	doOpenSocket
	doDropSocket
	doWait
	doStopWaiting
	doProbe
)

type effect struct {
	do    effectKind
	fresh bool          // fetchToken: the held one was refused
	wait  time.Duration // wait
}

// input is what a decision may depend on beside state and event.
type input struct {
	now  time.Time
	roll float64 // random, in [0, 1)
}

const (
	backoffLeast = 250 * time.Millisecond
	backoffBase  = 500 * time.Millisecond
	backoffMost  = 30 * time.Second
	// For servers that have no room: slower, and for longer.
	slowBase = 2 * time.Second
	slowMost = 5 * time.Minute
	// drainUsual is the window of a server that restarts and does not say.
	drainUsual = time.Second
)

// backoff has full jitter: anything between the least and the exponential bound,
// so that the clients of one outage spread out.
func backoff(attempt int, roll float64, base, most time.Duration) time.Duration {
	bound := float64(base) * math.Pow(2, float64(min(attempt, 20)))
	return backoffLeast + time.Duration(roll*min(float64(most), bound))
}

// A cell is what an event does in a phase.
type cell func(state, event, input) (state, []effect)

func stay(s state, _ event, _ input) (state, []effect) { return s, nil }

func fetch(s state, before ...effect) (state, []effect) {
	return state{phase: fetching, trail: s.trail}, append(before, effect{do: doFetchToken, fresh: s.trail.reauthed})
}

func rest(t trail, d time.Duration, reason *Error, in input) (state, []effect) {
	return state{phase: waiting, trail: t, until: in.now.Add(d), reason: reason}, []effect{{do: doWait, wait: d}}
}

// wait is rest after an attempt that has failed.
func wait(t trail, d time.Duration, reason *Error, in input) (state, []effect) {
	t.attempt++
	return rest(t, d, reason, in)
}

// end makes a cell that closes, after some effects.
func end(before ...effect) cell {
	return func(state, event, input) (state, []effect) { return state{phase: closed}, before }
}

func retry(s state, _ event, _ input) (state, []effect) { return fetch(s) }

func probe(s state, _ event, _ input) (state, []effect) { return s, []effect{{do: doProbe}} }

func tokenReason(err error) *Error {
	e := asError(err, CodeTokenUnavailable)
	return &Error{Code: CodeTokenUnavailable, Message: e.Message, Retryable: e.Retryable, Err: err}
}

// afterLoss is what a lost socket leads to: the close code says what the server
// wants (docs/protocol.md, section 9).
func afterLoss(s state, e event, in input) (state, []effect) {
	message := e.reason
	if message == "" {
		message = fmt.Sprintf("the connection was lost (%d)", e.code)
	}
	reason := &Error{Code: "close_" + strconv.Itoa(e.code), Message: message, Retryable: true}
	switch t := s.trail; {
	case e.code >= 4000 && e.code < 4100:
		reason.Retryable = false
		return state{phase: failed, trail: t, reason: reason}, nil
	case e.code >= 4100 && e.code < 4200:
		if t.reauthed {
			reason.Retryable = false
			return state{phase: needsAuth, trail: t, reason: reason}, nil
		}
		t.reauthed = true
		return wait(t, time.Duration(in.roll*float64(backoffLeast)), reason, in)
	case e.code == protocol.CloseRestart:
		// No failed attempt: whoever comes a little before the new server does has done
		// as it was told, and need not wait long.
		return rest(t, time.Duration(in.roll*float64(drainWindow(e.reason))), reason, in)
	case e.code == protocol.CloseTooMany, e.code == closeTryLater:
		return wait(t, backoff(t.attempt, in.roll, slowBase, slowMost), reason, in)
	default:
		return wait(t, backoff(t.attempt, in.roll, backoffBase, backoffMost), reason, in)
	}
}

// closeTryLater is RFC 6455's word of proxies that have no room.
const closeTryLater = 1013

// drainWindow reads drainMs=… out of the reason that a restart closes with.
func drainWindow(reason string) time.Duration {
	_, rest, found := strings.Cut(reason, "drainMs=")
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	ms, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case !found || digits == "":
		return drainUsual
	case err != nil || ms > slowMost.Milliseconds():
		return slowMost
	}
	return time.Duration(ms) * time.Millisecond
}

// table has a cell for every phase and event; a test looks that none is missing.
var table = [phases][eventKinds]cell{
	idle: {
		evNeeded:      retry,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened:      stay,
		evLost:        stay,
		evStable:      stay,
		evDue:         stay,
		evReconnect:   stay,
		evClose:       end(),
	},
	fetching: {
		evNeeded: stay,
		evToken: func(s state, _ event, _ input) (state, []effect) {
			return state{phase: opening, trail: s.trail}, []effect{{do: doOpenSocket}}
		},
		evTokenFailed: func(s state, e event, in input) (state, []effect) {
			if isFinal(e.err) {
				return state{phase: needsAuth, trail: s.trail, reason: tokenReason(e.err)}, nil
			}
			return wait(s.trail, backoff(s.trail.attempt, in.roll, backoffBase, backoffMost), tokenReason(e.err), in)
		},
		evOpened:    stay,
		evLost:      stay,
		evStable:    stay,
		evDue:       stay,
		evReconnect: stay,
		evClose:     end(),
	},
	opening: {
		evNeeded:      stay,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened: func(s state, _ event, _ input) (state, []effect) {
			s.phase, s.trail.wasOpen = open, true
			return s, nil
		},
		evLost:      afterLoss,
		evStable:    stay,
		evDue:       stay,
		evReconnect: stay,
		evClose:     end(effect{do: doDropSocket}),
	},
	open: {
		evNeeded: stay,
		evToken:  stay,
		// A connection whose channels cannot be joined any more is no connection.
		// The held token is spent: a new one has to be asked for.
		evTokenFailed: func(s state, e event, _ input) (state, []effect) {
			if !isFinal(e.err) {
				return s, nil
			}
			s.trail.reauthed = true
			return state{phase: needsAuth, trail: s.trail, reason: tokenReason(e.err)}, []effect{{do: doDropSocket}}
		},
		evOpened: stay,
		evLost:   afterLoss,
		// Only now: a server that accepts and then closes must not be asked ever
		// faster.
		evStable: func(state, event, input) (state, []effect) {
			return state{phase: open, trail: trail{wasOpen: true}}, nil
		},
		evDue:       stay,
		evReconnect: probe,
		evClose:     end(effect{do: doDropSocket}),
	},
	waiting: {
		evNeeded:      stay,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened:      stay,
		evLost:        stay,
		evStable:      stay,
		evDue:         retry,
		evReconnect: func(s state, _ event, _ input) (state, []effect) {
			return fetch(s, effect{do: doStopWaiting})
		},
		evClose: end(effect{do: doStopWaiting}),
	},
	needsAuth: {
		evNeeded:      stay,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened:      stay,
		evLost:        stay,
		evStable:      stay,
		evDue:         stay,
		evReconnect:   retry,
		evClose:       end(),
	},
	failed: {
		evNeeded:      stay,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened:      stay,
		evLost:        stay,
		evStable:      stay,
		evDue:         stay,
		evReconnect:   retry,
		evClose:       end(),
	},
	closed: {
		evNeeded:      stay,
		evToken:       stay,
		evTokenFailed: stay,
		evOpened:      stay,
		evLost:        stay,
		evStable:      stay,
		evDue:         stay,
		evReconnect:   stay,
		evClose:       stay,
	},
}

// next is the machine.
func next(s state, e event, in input) (state, []effect) { return table[s.phase][e.kind](s, e, in) }
