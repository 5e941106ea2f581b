package limit

import (
	"net/netip"
	"strings"
)

// Proxies are the addresses of reverse proxies, whose word about where a request
// came from is taken. This machine's own address is always one of them.
type Proxies []netip.Prefix

// trusted says whether an address is a proxy's.
func (p Proxies) trusted(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Client is the address that a request came from: the peer's, or when that is a
// proxy, the last one in X-Forwarded-For that is none. IPv6 addresses stand for
// their network of 64 bits, which is what one household is given. It is the zero
// Addr when it cannot be known: a proxy that does not say is not a client, and
// its address must not stand for everybody behind it.
//
// peer is a request's RemoteAddr, forwarded the values of X-Forwarded-For.
func (p Proxies) Client(peer string, forwarded []string) netip.Addr {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.Addr{}
	}
	address := at.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; p.trusted(address); i-- {
		if i < 0 {
			return netip.Addr{}
		}
		if address, err = parseHop(strings.TrimSpace(hops[i])); err != nil {
			return netip.Addr{}
		}
	}
	if address.Is4() {
		return address
	}
	network, err := address.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return network.Addr()
}

// parseHop reads an address with or without a port: proxies write both.
func parseHop(hop string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(hop); err == nil {
		return at.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return a.Unmap().WithZone(""), err
}
