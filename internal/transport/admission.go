//go:build linux || darwin || freebsd || netbsd

package transport

import "sync"

// An admission lets in who comes: a few, then everybody else has a turn, then the next
// few. After a restart all clients come back at once, and each is some hundred
// microseconds of work until it has joined. If all were let in when they come, who is in
// already would wait for all of them; and they would do each step at the same time, so
// that the first is answered its join when the last has asked for his, and may have given
// up by then. Who waits to be let in has no answer yet to give up on.
//
// How many are on their way follows from how much there is to do, and not from a number of
// connections or a time: nobody waits while there is nothing.
type admission struct {
	mu       sync.Mutex // guards the following
	arrivals line       // who is to be listened to, once for each time something is there to be read
	sockets  line       // who has asked for a socket
	isKept   bool       // somebody ends the turns
}

// A line is of those who wait for the same.
type line struct {
	passed  int       // in this turn
	waiting []*polled // in the order in which they came
}

// How many are let in before others have a turn: some half a millisecond's work.
const (
	arrivalsPerTurn = 64
	socketsPerTurn  = 8
	goneToo         = 8 // times as many when most have gone
)

// listen has somebody hear what an arrival has to say, now or when it has its turn.
func (p *poller) listen(c *polled) {
	a := &p.admission
	a.mu.Lock()
	now := p.passLocked(&a.arrivals, arrivalsPerTurn)
	if !now {
		c.inLine.Store(true)
		a.arrivals.waiting = append(a.arrivals.waiting, c)
	}
	a.mu.Unlock()
	if now {
		p.employ(c)
	}
}

// pass says whether who asks for a socket may have it now. Who may not has to wait.
func (p *poller) pass() bool {
	a := &p.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	return p.passLocked(&a.sockets, socketsPerTurn)
}

// wait has somebody work for c when it may have its socket.
func (p *poller) wait(c *polled) {
	a := &p.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sockets.waiting = append(a.sockets.waiting, c)
	p.admitLocked()
}

func (p *poller) passLocked(l *line, perTurn int) bool {
	p.admitLocked()
	if l.passed == perTurn || len(l.waiting) > 0 {
		return false
	}
	l.passed++
	return true
}

func (p *poller) admitLocked() {
	if !p.admission.isKept {
		p.admission.isKept = true
		p.running.Go(p.admitInTurns)
	}
}

// admitInTurns lets others have their turns until nobody waits.
func (p *poller) admitInTurns() {
	for {
		p.giveTurn()
		arrivals, sockets := p.admission.turn()
		if len(arrivals)+len(sockets) == 0 {
			return
		}
		for _, line := range [][]*polled{sockets, arrivals} {
			for i, c := range line {
				line[i] = nil // the array may be kept for long
				p.employ(c)
			}
		}
	}
}

// turn begins the next one, and returns who is let in; nobody when nobody waits.
func (a *admission) turn() (arrivals, sockets []*polled) {
	a.mu.Lock()
	defer a.mu.Unlock()
	arrivals, sockets = a.arrivals.next(arrivalsPerTurn), a.sockets.next(socketsPerTurn)
	a.isKept = len(arrivals)+len(sockets) > 0
	return arrivals, sockets
}

// next returns whose turn it is: so many, and those between them who seem to have gone,
// which costs little to find out.
func (l *line) next(perTurn int) []*polled {
	n := 0
	for l.passed = 0; n < len(l.waiting) && n < goneToo*perTurn && l.passed < perTurn; n++ {
		if !l.waiting[n].hangup.Load() {
			l.passed++
		}
	}
	next := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return next
}
