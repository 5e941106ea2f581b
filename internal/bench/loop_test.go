package bench

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// startLoop runs a loop until the test ends.
func startLoop(t *testing.T) *loop {
	t.Helper()
	lp, err := openLoop(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(lp.run)
	t.Cleanup(func() {
		lp.stop()
		running.Wait()
		lp.release()
	})
	return lp
}

// tcpPair is both ends of a connection over the loopback interface.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// socketOn is a socket whose handshake is over.
func socketOn(t *testing.T, conn net.Conn) *socket {
	t.Helper()
	out, err := newWriter(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &socket{conn: conn, in: bufio.NewReaderSize(conn, readBuffer), out: out}
}

// TestListen: what has a descriptor is read by the loop, where there is one; what has
// none, as TLS, by a goroutine.
func TestListen(t *testing.T) {
	for name, ends := range map[string]func() (client, server net.Conn){
		"a TCP connection":                  func() (net.Conn, net.Conn) { return tcpPair(t) },
		"a connection without a descriptor": func() (net.Conn, net.Conn) { return net.Pipe() },
	} {
		t.Run(name+" is read, answered, and ended", func(t *testing.T) {
			client, server := ends()
			defer server.Close()
			base := time.Now()
			lp, err := openLoop(base)
			if err != nil {
				t.Fatal(err)
			}
			m := &member{sock: socketOn(t, client), push: &pushWriter{}, last: make([]uint32, 2), count: make([]uint32, 2)}
			l := &load{loop: lp, base: base, subject: &floorSubject{}, crowd: crowd{mode: Broadcast}, members: []*member{m}, arrived: make(chan struct{}, 1)}
			l.readers.Go(lp.run)
			defer l.close()
			l.listen(l.members)
			for seq := uint32(1); seq <= 3; seq++ {
				if err := wsutil.WriteServerText(server, stamp{writer: 1, seq: seq}.append(nil)); err != nil {
					t.Fatal(err)
				}
			}
			if err := ws.WriteFrame(server, ws.NewPingFrame([]byte("are you there"))); err != nil {
				t.Fatal(err)
			}
			if f, err := ws.ReadFrame(server); err != nil || f.Header.OpCode != ws.OpPong || string(ws.UnmaskFrameInPlace(f).Payload) != "are you there" {
				t.Fatalf("answered %+v, %v", f, err)
			}
			if l.received.Load() != 3 || l.disordered.Load() != 0 {
				t.Errorf("%d received, %d out of order", l.received.Load(), l.disordered.Load())
			}
			server.Close()
			if err := until(t.Context(), enough, "the end", func() bool { n, _ := l.faults.get(); return n > 0 }); err != nil {
				t.Fatal(err)
			}
			l.close()
			if n, first := l.faults.get(); n != 1 || first != "connection lost: EOF" {
				t.Errorf("%d faults: %s", n, first)
			}
		})
	}

	t.Run("a frame that comes with the handshake is read, although nobody read before", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var serving sync.WaitGroup
		defer serving.Wait()
		serving.Go(func() { greet(t, l, "hello") })
		sock, err := dialSocket(t.Context(), "ws://"+l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer sock.hangUp()
		got := make(chan string, 1)
		each := func(_ ws.OpCode, payload []byte, _ int64) error { got <- string(payload); return nil }
		if !startLoop(t).take(sock, each, func(error) {}) {
			t.Skip("the loop reads for nobody here")
		}
		if text := <-got; text != "hello" {
			t.Errorf("read %q", text)
		}
	})
}

// greet answers one handshake, and a frame with it, in one write.
func greet(t *testing.T, l net.Listener, text string) {
	conn, err := l.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	request := make([]byte, 4096)
	for n := 0; ; {
		more, err := conn.Read(request[n:])
		if err != nil {
			t.Error(err)
			return
		}
		n += more
		_, answer, used, err := parseUpgrade(request[:n])
		if err != nil {
			t.Error(err)
			return
		}
		if used > 0 {
			if _, err := conn.Write(append(answer, ws.MustCompileFrame(ws.NewTextFrame([]byte(text)))...)); err != nil {
				t.Error(err)
			}
			_, _ = conn.Read(request) // until it hangs up
			return
		}
	}
}
