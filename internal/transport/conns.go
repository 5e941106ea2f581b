package transport

import "github.com/chorale-rt/chorale/internal/session"

// conn is what the server does with a connection, whatever carries its frames.
type conn interface {
	session.Conn
	// lastHeard is when (Unix ms) something came from the client.
	lastHeard() int64
	// stalled says since when (Unix ms) nothing was taken that waits; 0 when
	// nothing waits.
	stalled() int64
	// silence says since when (Unix ms) the connection is silent, and for how many ms it
	// may be: keepAlive is called when they are over, and again each time that they are.
	silence() (since, patience int64)
	// keepAlive does at now (Unix ms) what keeps a silent connection, or ends one that is
	// not kept.
	keepAlive(now int64)
	// sever ends the connection without a word.
	sever()
	// seated is where the server notes what it knows the conn by.
	seated() *seat
}

// seat is a conn's number among those of its server; 0 is none. The server's lock
// guards it.
type seat struct{ number uint32 }

func (s *seat) seated() *seat { return s }

// connection is a conn and who it is for.
type connection struct {
	conn conn
	user user
}

// conns are the connections of a server, and when each is to be looked at (ms since the
// server began).
type conns struct {
	all   []known // by number
	wheel wheel
}

// known is a connection that the server knows; the zero value is none.
type known struct {
	connection
	looked int64 // Unix ms of when it was last looked at
}

func newConns() conns {
	return conns{all: make([]known, 1), wheel: newWheel(tick.Milliseconds(), ticks)}
}

// add returns the connection's number.
func (c *conns) add(k known) (number uint32) {
	number = c.wheel.add()
	if int(number) == len(c.all) {
		c.all = append(c.all, known{})
	}
	c.all[number] = k
	return number
}

func (c *conns) remove(number uint32) {
	c.wheel.remove(number)
	c.all[number] = known{}
}

// snapshot appends all connections.
func (c *conns) snapshot(to []connection) []connection {
	for i := range c.all {
		if k := &c.all[i]; k.conn != nil {
			to = append(to, k.connection)
		}
	}
	return to
}

// add makes a connection known to the deadlines and to Shutdown; false when that has
// begun. Whoever it is true for has to call wg.Done behind leave.
func (s *Server) add(c conn, u user) bool {
	seat, now := c.seated(), s.opts.Deps.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	seat.number = s.conns.add(known{connection{c, u}, now.UnixMilli()})
	s.firstLookLocked(seat.number, s.elapsed(now))
	s.wg.Add(1)
	return true
}

// assign is add for a connection that was added before it was known for whom.
func (s *Server) assign(c conn, u user) bool {
	seat := c.seated()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns.all[seat.number].user = u
	return true
}

// forget takes a connection back that was added, if it was.
func (s *Server) forget(c conn) {
	seat := c.seated()
	s.mu.Lock()
	defer s.mu.Unlock()
	if seat.number != 0 {
		s.conns.remove(seat.number)
		seat.number = 0
	}
}

// snapshot appends all connections of this moment.
func (s *Server) snapshot(to []connection) []connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns.snapshot(to)
}
