package session

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/protocol"
)

// A Registry knows the open sessions of a server, whatever transport they came
// by, for those who administer it. Make it with NewRegistry; a nil *Registry
// knows none. Its methods may be called from any goroutine. They wait for the
// frame that a session is handling; of several sessions for all at once.
type Registry struct {
	mu       sync.Mutex // guards the following
	sessions map[string]*Session
}

// NewRegistry returns a registry without sessions.
func NewRegistry() *Registry { return &Registry{sessions: make(map[string]*Session)} }

func (r *Registry) add(s *Session) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.id] = s
}

func (r *Registry) remove(s *Session) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s.id)
}

func (r *Registry) get(id string) *Session {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

func (r *Registry) all() []*Session {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		out = append(out, s)
	}
	return out
}

// each calls do with every session, locked. One that handles a frame may wait for the
// engine: it is waited for beside the others, which do not wait for it.
func (r *Registry) each(do func(*Session)) {
	var busy sync.WaitGroup
	defer busy.Wait()
	for _, s := range r.all() {
		if s.mu.TryLock() {
			s.unlockBehind(do)
			continue
		}
		busy.Go(func() {
			s.mu.Lock()
			s.unlockBehind(do)
		})
	}
}

func (s *Session) unlockBehind(do func(*Session)) {
	defer s.mu.Unlock()
	do(s)
}

// Recheck asks every session to judge its tokens anew. judge returns a
// *auth.TokenError for an identity whose token is no longer good; it must not
// block, and may be called from several goroutines. The channels of such tokens end with
// a system event, and a connection that was opened with one is closed with
// protocol.CloseTokenRefused.
func (r *Registry) Recheck(judge func(*auth.Identity) error) {
	r.each(func(s *Session) { s.recheckLocked(judge) })
}

// DisconnectSubject closes the connections of a sub, with
// protocol.CloseTokenRefused: its clients fetch a new token and come back. It
// returns how many there were.
func (r *Registry) DisconnectSubject(sub string) int {
	var n atomic.Int64
	r.each(func(s *Session) {
		if s.speaksForLocked(sub) {
			s.disconnect()
			n.Add(1)
		}
	})
	return int(n.Load())
}

// DisconnectSession closes one connection, like DisconnectSubject. It is false
// when there is no such session.
func (r *Registry) DisconnectSession(id string) bool {
	s := r.get(id)
	if s == nil {
		return false
	}
	s.disconnect()
	return true
}

// Member says whose membership an origin names, as hub.Options.Origin has it.
func (r *Registry) Member(origin string) (sessionID, sub string, ok bool) {
	sessionID, _, _ = strings.Cut(origin, "/")
	s := r.get(sessionID)
	if s == nil {
		return "", "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.subs.all {
		if m.origin == origin {
			return sessionID, m.identity.Subject, true
		}
	}
	return "", "", false
}

func (s *Session) recheckLocked(judge func(*auth.Identity) error) {
	if s.closed {
		return
	}
	for _, sub := range slices.Clone(s.subs.all) {
		if err := judge(sub.identity); err != nil {
			s.reject(sub, err)
		}
	}
	s.armExpiry()
	if s.identity == nil {
		return
	}
	if fault, ok := errors.AsType[*auth.TokenError](judge(s.identity)); ok {
		s.conn.Close(protocol.CloseTokenRefused, fault.HTTPText())
	}
}

// speaksForLocked says whether the connection, or one of its channels, has a token of sub.
func (s *Session) speaksForLocked(sub string) bool {
	if s.identity != nil && s.identity.Subject == sub {
		return true
	}
	for _, m := range s.subs.all {
		if m.identity.Subject == sub {
			return true
		}
	}
	return false
}

func (s *Session) disconnect() {
	s.conn.Close(protocol.CloseTokenRefused, "disconnected by an administrator")
}
