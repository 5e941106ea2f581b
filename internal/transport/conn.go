package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// connLink is the link of a socket that a goroutine reads: where sockets cannot
// be polled, and for conns that have no descriptor of their own, as TLS has none.
type connLink struct {
	conn    net.Conn
	raw     syscall.RawConn // nil when the conn has no descriptor of its own
	flusher sync.WaitGroup  // the goroutine of drainLater

	// Arguments and results of writeOnce, which is made once because a closure
	// per write would be an allocation per delivery. Of the one who writes.
	writeOnce func(fd uintptr) bool
	out       []byte
	written   int
	writeErr  error
}

// newConnSocket returns a socket over a conn, and its link.
func newConnSocket(conn net.Conn, t *terms) (*socket, *connLink) {
	l := &connLink{conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	l.writeOnce = func(fd uintptr) bool {
		l.written, l.writeErr = syscall.Write(int(fd), l.out)
		return true // whatever came of it: do not wait
	}
	s := &socket{}
	s.init(l, t)
	return s, l
}

// write implements link. Without a descriptor it takes nothing.
func (l *connLink) write(b []byte) (n int, err error) {
	if l.raw == nil {
		return 0, nil
	}
	for n < len(b) {
		l.out, l.written, l.writeErr = b[n:], 0, nil
		err := l.raw.Write(l.writeOnce)
		l.out = nil
		switch {
		case err != nil:
			return n, err
		case errors.Is(l.writeErr, syscall.EINTR):
			continue
		case errors.Is(l.writeErr, syscall.EAGAIN):
			return n, nil
		case l.writeErr != nil:
			return n, l.writeErr
		}
		n += l.written
	}
	return n, nil
}

// drainLater implements link with a goroutine that lives until the queue is empty.
func (l *connLink) drainLater(s *socket) {
	l.flusher.Go(func() { l.flush(s) })
}

// flush empties the backlog, waiting for the socket as long as it takes; one that takes
// nothing has a deadline (Options.StalledAfter). It writes in pieces, so that progress
// shows on a slow link.
func (l *connLink) flush(s *socket) {
	room := buffers.Get().(*[]byte)
	defer giveBack(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := s.backlog; b != nil && s.backlog == b; { // it is stuck, so that nobody else writes it
		out := b.next(room)
		for len(out) > 0 && s.backlog == b {
			piece := out[:min(len(out), flushPiece)]
			s.mu.Unlock()
			n, err := l.conn.Write(piece)
			s.mu.Lock()
			if s.backlog != b {
				return
			}
			out = out[n:]
			b.took(n, s.terms.now)
			if err != nil {
				s.failLocked()
				return
			}
		}
		b.flying = 0
		if b.isEmpty() {
			s.emptyLocked()
		}
	}
}

// linger implements link.
func (l *connLink) linger() {
	_ = l.conn.SetDeadline(time.Now().Add(lingerFor)) // on failure the reader ends at once, which is as good
}

// dismiss ends a socket that nobody serves: its client is told why, and has lingerFor
// to see it.
func (l *connLink) dismiss(s *socket, code int, reason string) {
	s.Close(code, reason)
	rd := connReader{reader: reader{socket: s, to: nobody{}}, link: l}
	_ = rd.run() // whatever it says
	l.flusher.Wait()
	_ = l.conn.Close() // there is nobody to tell
}

// release implements link: cut has closed the conn.
func (l *connLink) release() {}

// rest implements link. Its system calls are known to the scheduler, which gives others
// their turn.
func (l *connLink) rest() {}

// cut implements link.
func (l *connLink) cut() {
	_ = l.conn.Close() // the error that matters was the write's
}

// connReader reads a socket in a goroutine of its own.
type connReader struct {
	reader
	link *connLink
}

// run reads until the socket ends, and returns why: nil after a close
// handshake, a *closeError when the client broke the protocol.
func (r *connReader) run() error {
	for {
		buf, n, err := r.fill()
		if n > 0 {
			if fault := r.handle((*buf)[:n]); fault != nil {
				err = fault
			}
		}
		if buf != nil {
			buffers.Put(buf)
		}
		switch {
		case errors.Is(err, errGoodbye):
			return nil
		case err != nil:
			return err
		}
		if pause := r.owed(); pause > 0 {
			time.Sleep(pause) // what the client sends meanwhile fills its buffers, not ours
		}
	}
}

// fill waits until there is something to read, and returns it in a borrowed
// buffer, which goes back to buffers; it is nil when the socket ended.
func (r *connReader) fill() (buf *[]byte, n int, err error) {
	if r.link.raw == nil {
		buf = buffers.Get().(*[]byte)
		n, err := r.link.conn.Read((*buf)[:readSize])
		return buf, n, err
	}
	waitErr := r.link.raw.Read(func(fd uintptr) bool {
		// Borrowed here, where the socket is readable or about to be given back to
		// the poller: an idle connection must not hold a buffer.
		buf = buffers.Get().(*[]byte)
		for {
			n, err = syscall.Read(int(fd), (*buf)[:readSize])
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				buffers.Put(buf)
				buf = nil
				return false
			}
			return true
		}
	})
	switch {
	case waitErr != nil:
		return buf, 0, waitErr
	case err != nil:
		return buf, 0, err
	case n <= 0:
		return buf, 0, io.EOF
	}
	return buf, n, nil
}

// drain reads without looking, until the client has closed or lingerFor is over.
func (l *connLink) drain() {
	buf := make([]byte, 4096)
	for {
		if _, err := l.conn.Read(buf); err != nil {
			return
		}
	}
}
