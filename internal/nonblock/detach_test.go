//go:build unix

package nonblock_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

func TestDetach(t *testing.T) {
	t.Run("the connection goes on, and reading it does not block", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fd, ok := nonblock.Detach(conn)
		if !ok {
			t.Fatal("it has a descriptor")
		}
		defer unix.Close(fd)
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the conn is still there: %v", err)
		}
		if _, err := nonblock.Read(fd, make([]byte, 1)); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("read: %v", err)
		}
		if n, err := nonblock.Write(fd, []byte("hello")); n != 5 || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
		got := make([]byte, 5)
		if _, err := client.Read(got); err != nil || string(got) != "hello" {
			t.Errorf("got %q: %v", got, err)
		}
	})
	t.Run("one without a descriptor of its own stays as it is", func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		if _, ok := nonblock.Detach(a); ok {
			t.Fatal("detached")
		}
		go func() { _, _ = a.Write([]byte("x")) }() // the reader says whether it came
		if n, err := b.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d: %v", n, err)
		}
	})
}

func TestDetachListener(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run("who connects to "+at+" is accepted under another descriptor", func(t *testing.T) {
			l, err := net.Listen("tcp", at)
			if err != nil {
				t.Skip(err) // there may be no IPv6
			}
			listening, err := nonblock.DetachListener(l.(*net.TCPListener))
			if err != nil {
				t.Fatal(err)
			}
			defer listening.Close()
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is still there: %v", err)
			}
			raw, err := listening.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var none error
			if err := raw.Control(func(fd uintptr) { _, _, none = nonblock.Accept(int(fd)) }); err != nil || !errors.Is(none, unix.EAGAIN) {
				t.Errorf("accepted %v, %v before anybody came", none, err)
			}
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var fd int
			var from netip.AddrPort
			err = raw.Read(func(listener uintptr) bool {
				fd, from, none = nonblock.Accept(int(listener))
				return !errors.Is(none, unix.EAGAIN)
			})
			if err := errors.Join(err, none); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if want := client.LocalAddr().(*net.TCPAddr).AddrPort(); from != want {
				t.Errorf("from %v, want %v", from, want)
			}
			if _, err := nonblock.Read(fd, make([]byte, 1)); !errors.Is(err, unix.EAGAIN) {
				t.Errorf("read: %v", err)
			}
			if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
				t.Errorf("TCP_NODELAY is %d, %v", on, err)
			}
		})
	}
}
