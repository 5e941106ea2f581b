package limit

import (
	"net/netip"
	"testing"
	"time"
)

func TestSockets(t *testing.T) {
	home, away := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	s := Unlimited()
	s.Sockets, s.IdentitySockets, s.AddressSockets = 4, 2, 3
	t.Run("[R7] one identity, one address and the server have a limit each, and leaving makes room", func(t *testing.T) {
		l := New(s, time.Now)
		must := func(sub string, a netip.Addr) Ticket {
			t.Helper()
			ticket, x := l.Connect(sub, a)
			if x.Over() {
				t.Fatal(x)
			}
			return ticket
		}
		refused := func(want Name, sub string, a netip.Addr) {
			t.Helper()
			if _, x := l.Connect(sub, a); x.Limit != want || x.RetryAfterMs() == 0 {
				t.Errorf("got %+v, want %s", x, want)
			}
		}
		first := must("ada", home)
		must("ada", home)
		refused(IdentitySockets, "ada", away)
		must("ben", home)
		refused(AddressSockets, "eve", home)
		last := must("eve", away)
		refused(Sockets, "kim", away)
		l.Disconnect(first)
		must("ada", home)
		l.Disconnect(last)
		must("ada2", away)
	})
	t.Run("who is nobody in particular counts by the address, and an unknown address by nothing", func(t *testing.T) {
		l := New(Settings{IdentitySockets: 1, AddressSockets: 1}, time.Now)
		for range 10 {
			if _, x := l.Connect("", netip.Addr{}); x.Over() {
				t.Fatal(x)
			}
		}
		l.Connect("", home)
		if _, x := l.Connect("", home); x.Limit != AddressSockets {
			t.Errorf("got %+v", x)
		}
	})
	t.Run("nothing is kept of those who left", func(t *testing.T) {
		l := New(s, time.Now)
		ticket, _ := l.Connect("ada", home)
		l.Disconnect(ticket)
		if n := len(l.sockets.byIdentity) + len(l.sockets.byAddress) + l.sockets.all; n != 0 {
			t.Errorf("%d are kept", n)
		}
	})
}

func TestProxies(t *testing.T) {
	trusted := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string // "" when it cannot be known
	}{
		{"a client itself", "192.0.2.7:1234", nil, "192.0.2.7"},
		{"what a client claims is not believed", "192.0.2.7:1234", []string{"203.0.113.1"}, "192.0.2.7"},
		{"a proxy on this machine", "127.0.0.1:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		{"a proxy on this machine, IPv6", "[::1]:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		{"this machine, or a proxy that does not say", "127.0.0.1:1234", nil, ""},
		{"two proxies", "127.0.0.1:1234", []string{"192.0.2.7, 10.1.2.3"}, "192.0.2.7"},
		{"a header of a client before the proxy's", "10.1.2.3:1234", []string{"203.0.113.1", "192.0.2.7"}, "192.0.2.7"},
		{"only proxies", "10.1.2.3:1234", []string{"10.9.9.9"}, ""},
		{"with a port", "10.1.2.3:1234", []string{"192.0.2.7:5678"}, "192.0.2.7"},
		{"IPv6 stands for its network", "[2001:db8:1:2:3:4:5:6]:1234", nil, "2001:db8:1:2::"},
		{"IPv6 behind a proxy", "127.0.0.1:1234", []string{"[2001:db8:1:2:9:9:9:9]:77"}, "2001:db8:1:2::"},
		{"IPv4 within IPv6", "[::ffff:192.0.2.7]:1234", nil, "192.0.2.7"},
		{"what is no address", "127.0.0.1:1234", []string{"unknown"}, ""},
		{"no network", "@", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := trusted.Client(tt.peer, tt.forwarded)
			if (tt.want == "") == got.IsValid() || (got.IsValid() && got.String() != tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
