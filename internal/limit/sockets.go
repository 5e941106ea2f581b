package limit

import (
	"net/netip"
	"sync"
	"time"
)

// sockets counts the open ones.
type sockets struct {
	mu         sync.Mutex // guards the following
	all        int
	byIdentity map[string]int
	byAddress  map[netip.Addr]int
}

func (s *sockets) init() {
	s.byIdentity, s.byAddress = make(map[string]int), make(map[netip.Addr]int)
}

// A Ticket is one socket that was counted in.
type Ticket struct {
	identity string
	address  netip.Addr
}

// socketsWait is when somebody who found everything taken may come again.
const socketsWait = 5 * time.Second

// Connect counts a socket in, or says which limit is reached. identity is the
// token's sub: a token without one, such as a key that all visitors share, is
// nobody in particular and counts by its address alone. address is what
// [Proxies.Client] found; the zero Addr is not counted.
//
// Disconnect must follow, once, when the socket has ended.
func (l *Limiter) Connect(identity string, address netip.Addr) (Ticket, Excess) {
	s, limits := &l.sockets, &l.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case limits.Sockets > 0 && s.all >= limits.Sockets:
		return Ticket{}, Excess{Limit: Sockets, Wait: socketsWait, count: limits.Sockets}
	case identity != "" && limits.IdentitySockets > 0 && s.byIdentity[identity] >= limits.IdentitySockets:
		return Ticket{}, Excess{Limit: IdentitySockets, Wait: socketsWait, count: limits.IdentitySockets}
	case address.IsValid() && limits.AddressSockets > 0 && s.byAddress[address] >= limits.AddressSockets:
		return Ticket{}, Excess{Limit: AddressSockets, Wait: socketsWait, count: limits.AddressSockets}
	}
	s.all++
	if identity != "" {
		s.byIdentity[identity]++
	}
	if address.IsValid() {
		s.byAddress[address]++
	}
	return Ticket{identity, address}, Excess{}
}

// Disconnect counts a socket out.
func (l *Limiter) Disconnect(t Ticket) {
	s := &l.sockets
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if t.identity != "" {
		countOut(s.byIdentity, t.identity)
	}
	if t.address.IsValid() {
		countOut(s.byAddress, t.address)
	}
}

// countOut forgets who has none left, so that the maps hold who is connected.
func countOut[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}
