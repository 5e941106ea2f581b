package bench

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

// An outbox holds what a follower pushed and what was not acknowledged. It goes
// out again on the next connection, the same bytes in the same order: the server
// knows repeats by their ids (B2, M1). Safe for concurrent use.
type outbox struct {
	wake chan struct{} // holds at most one: look again

	mu      sync.Mutex // guards the following
	sock    *socket    // nil while there is no connection to write to
	waiting []*pending // in the order of the first try
	refs    int
}

// A pending is a write without an acknowledgement.
type pending struct {
	ref      string
	write    string // its name in the ledger
	mutation bool
	frame    []byte
	due      time.Time
	retryAt  time.Time // when it was refused for the moment; else zero
}

// window is how many writes of one follower may wait. Beyond it the follower
// waits too: an outage should not end in a flood.
const window = 32

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// push adds a write and sends it if there is a connection. frame makes its bytes
// from its ref.
func (o *outbox) push(p *pending, frame func(ref string) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refs++
	p.ref = strconv.Itoa(o.refs)
	p.frame = frame(p.ref)
	o.waiting = append(o.waiting, p)
	o.sendLocked(p)
}

// sendLocked sends; when that fails the reader finds out by itself, and the next
// connection makes up for it.
func (o *outbox) sendLocked(p *pending) {
	p.retryAt = time.Time{}
	if o.sock != nil {
		_ = o.sock.send(p.frame)
	}
}

// connect sends everything that waits again, over a new connection.
func (o *outbox) connect(s *socket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sock = s
	for _, p := range o.waiting {
		o.sendLocked(p)
	}
	o.nudge()
}

// disconnect keeps what waits.
func (o *outbox) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sock = nil
}

// settle takes a write out; nil when it is not there.
func (o *outbox) settle(ref string) *pending {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.waiting, func(p *pending) bool { return p.ref == ref })
	if i < 0 {
		return nil
	}
	p := o.waiting[i]
	o.waiting = slices.Delete(o.waiting, i, i+1)
	o.nudge()
	return p
}

// refuse keeps a write for another try after a while.
func (o *outbox) refuse(ref string, after time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.waiting {
		if p.ref == ref {
			p.retryAt = time.Now().Add(after)
		}
	}
	o.nudge()
}

// retry sends again what has waited long enough, and says when the next has.
func (o *outbox) retry(now time.Time) (next time.Time, some bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.waiting {
		switch {
		case p.retryAt.IsZero():
		case !p.retryAt.After(now):
			o.sendLocked(p)
		case !some || p.retryAt.Before(next):
			next, some = p.retryAt, true
		}
	}
	return next, some
}

// room says whether another write may wait, and whether a mutation may: those of
// one author are numbered, so one at a time is asked for.
func (o *outbox) room() (any, mutation bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	any = len(o.waiting) < window
	return any, any && !slices.ContainsFunc(o.waiting, func(p *pending) bool { return p.mutation })
}

// len is how many writes wait.
func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default: // whoever is woken looks at everything
	}
}
