package transport

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	// tick is how late a deadline may be noticed. It is little beside all of them, and a
	// server that has somebody to look at in each tick wakes up ten times a second.
	tick = 100 * time.Millisecond
	// ticks is how many make a turn of the wheel: 51 s, and by default nobody is left
	// alone for longer than StalledAfter.
	ticks = 512
	// atATime is how many are looked at before others have their turn: when each is
	// pinged, half a millisecond.
	atATime = 64
)

// keepDeadlines looks at connections when something may be due for them, until the server
// is shut down.
func (s *Server) keepDeadlines() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-timer.C:
		case <-s.roused:
		}
		if wait, ok := s.lookAtDue(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// visit is one look at a connection's deadlines. Times are Unix ms.
type visit struct {
	connection
	number uint32
	before int64 // when it was last looked at
	next   int64 // when it is to be looked at again at the latest
}

// lookAtDue looks at all connections for which something may be due, and says how long it
// is until the next; false when there is none. The server is not locked while it looks.
func (s *Server) lookAtDue() (wait time.Duration, ok bool) {
	var room [atATime]visit
	for {
		now := s.opts.Deps.Now()
		due := s.takeDue(room[:0], now)
		if len(due) == 0 {
			return s.untilNext(now)
		}
		for i := range due {
			s.look(&due[i], now.UnixMilli())
		}
		s.putBack(due, now)
		if clear(due); len(due) == atATime {
			s.poller.giveTurn()
		}
	}
}

// takeDue takes some of those that are due, as many as there is room for.
func (s *Server) takeDue(room []visit, now time.Time) []visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm = 0 // it is awake
	s.conns.wheel.turn(s.elapsed(now))
	for len(room) < cap(room) {
		n := s.conns.wheel.pop()
		if n == 0 {
			break
		}
		k := &s.conns.all[n]
		room = append(room, visit{connection: k.connection, number: n, before: k.looked})
		k.looked = now.UnixMilli()
	}
	return room
}

// putBack has those be due again that have not ended meanwhile. Deadlines are in Unix time
// and are waited for in time that nobody sets: a clock that is set back delays no look.
func (s *Server) putBack(visits []visit, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range visits {
		if v := &visits[i]; s.conns.all[v.number].conn == v.conn {
			s.conns.wheel.set(v.number, s.elapsed(now)+v.next-now.UnixMilli())
		}
	}
}

// untilNext says how long it is until something may be due, and notes that as the alarm.
func (s *Server) untilNext(now time.Time) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.conns.wheel.next()
	if !ok {
		s.alarm = math.MaxInt64
		return 0, false
	}
	s.alarm = at
	return time.Duration(at-s.elapsed(now)) * time.Millisecond, true
}

// firstLookLocked has a new connection be due before any of its deadlines is.
func (s *Server) firstLookLocked(number uint32, now int64) {
	o := &s.opts
	soonest := min(headPatience, commentAfter, o.PingEvery, o.StalledAfter, o.IdleAfter).Milliseconds()
	at := now + soonest - lateness(number, now, soonest)
	s.conns.wheel.set(number, at)
	if at < s.alarm {
		s.alarm = at
		s.rouse()
	}
}

// rouse has deadlines looked at now.
func (s *Server) rouse() {
	select {
	case s.roused <- struct{}{}:
	default:
	}
}

// elapsed is now in ms since the server began.
func (s *Server) elapsed(now time.Time) int64 { return now.Sub(s.begin).Milliseconds() }

// headPatience is how long a request may take to arrive.
const headPatience = 10 * time.Second

const idleReason = "idle: nothing arrived for a minute"

// look does what is due for one connection. Whatever it hears is only noted, and found
// when it is looked at next; whatever begins between two looks, as a stall does, is found
// in time, because they are not further apart than that may last.
func (s *Server) look(v *visit, now int64) {
	since, stalledAfter := v.conn.stalled(), s.opts.StalledAfter.Milliseconds()
	idleAt := v.conn.lastHeard() + s.opts.IdleAfter.Milliseconds()
	v.next = now + stalledAfter
	switch {
	case since != 0 && now-since >= stalledAfter:
		v.conn.sever()
	case now >= idleAt:
		v.conn.Close(protocol.CloseIdle, idleReason)
	default:
		silent, patience := v.conn.silence()
		isDue, again := reminder(silent, patience, lateness(v.number, silent, patience), v.before, now)
		if isDue {
			v.conn.keepAlive(now)
		}
		v.next = min(v.next, idleAt, again)
		if since != 0 {
			v.next = min(v.next, since+stalledAfter)
		}
	}
	if l, ok := v.user.(*lanes); ok {
		v.next = min(v.next, l.closeIdle(now))
	}
}

// reminder says whether who has been silent since then, and had been looked at before, has
// been so for another patience, and when that is so next. One that beats is heard of more
// often, and need not answer a ping besides: of people who only listen these are most of
// the cost.
func reminder(since, patience, late, before, now int64) (isDue bool, next int64) {
	times := max(now-since-late, 0) / patience
	return times > max(before-since-late, 0)/patience, since + late + (times+1)*patience
}

// lateness is by how much later a connection is reminded of a silence than it might be: up
// to a tenth, so that those who came together are not written to together, and those who
// once were do not stay together. It is chance, and always the same for the same silence.
func lateness(number uint32, since, patience int64) int64 {
	var chance rand.PCG
	chance.Seed(uint64(number), uint64(since))
	return int64(chance.Uint64() % uint64(patience/10+1))
}
