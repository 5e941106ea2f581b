package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// heardBy opens a loop that nobody runs, and takes a socket: the test reads.
func heardBy(t *testing.T, each func(text string)) (lp *loop, c *inlet, server net.Conn, ended *[]error) {
	t.Helper()
	lp, err := openLoop(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lp.stop(); lp.release() })
	client, server := tcpPair(t)
	ended = new([]error)
	taken := lp.take(socketOn(t, client),
		func(_ ws.OpCode, payload []byte, _ int64) error { each(string(payload)); return nil },
		func(err error) { *ended = append(*ended, err) })
	if !taken {
		t.Fatal("not taken")
	}
	return lp, lp.inlets[lp.outlets[0].fd], server, ended
}

// readable waits until the socket has something to read.
func readable(t *testing.T, c *inlet) {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, int(enough.Milliseconds())); n != 1 {
		t.Fatalf("nothing to read: %v", err)
	}
}

func TestLoop(t *testing.T) {
	t.Run("frames are the same wherever a read ends, and one that is not complete is none", func(t *testing.T) {
		var got []string
		lp, c, server, ended := heardBy(t, func(text string) { got = append(got, text) })
		wire := wireOf("one", "", strings.Repeat("2", 200))
		for cut := 1; cut < len(wire); cut++ {
			got = got[:0]
			for _, part := range [][]byte{wire[:cut], wire[cut:]} {
				if _, err := server.Write(part); err != nil {
					t.Fatal(err)
				}
				readable(t, c)
				for lp.read(c) {
				}
			}
			if len(got) != 3 || got[0] != "one" || got[1] != "" || len(got[2]) != 200 || len(c.in.rest) != 0 || len(*ended) != 0 {
				t.Fatalf("cut at %d: %q, %d bytes left, ended %v", cut, got, len(c.in.rest), *ended)
			}
		}
	})

	t.Run("a frame may be larger than what is read at once", func(t *testing.T) {
		size := 0
		lp, c, server, _ := heardBy(t, func(text string) { size = len(text) })
		sent := make(chan error, 1)
		go func() {
			_, err := server.Write(wireOf(strings.Repeat("l", 5*loopBuffer)))
			sent <- err
		}()
		for size == 0 {
			readable(t, c)
			for lp.read(c) {
			}
		}
		if err := <-sent; err != nil || size != 5*loopBuffer {
			t.Errorf("%d bytes came, %v", size, err)
		}
	})

	t.Run("a socket that ends in the middle of a frame ends once, without it", func(t *testing.T) {
		lp, c, server, ended := heardBy(t, func(text string) { t.Errorf("heard %q", text) })
		if _, err := server.Write(wireOf("never whole")[:5]); err != nil {
			t.Fatal(err)
		}
		server.Close()
		for lp.inlets[c.fd] != nil {
			readable(t, c)
			for lp.read(c) {
			}
		}
		if len(*ended) != 1 || !errors.Is((*ended)[0], io.EOF) {
			t.Errorf("ended %v", *ended)
		}
	})
}

// wireOf is text frames as a server sends them.
func wireOf(texts ...string) []byte {
	var wire []byte
	for _, text := range texts {
		wire = append(wire, ws.MustCompileFrame(ws.NewTextFrame([]byte(text)))...)
	}
	return wire
}

func TestDetached(t *testing.T) {
	for name, end := range map[string]func(d *detached){
		"close says goodbye to nobody": func(d *detached) { d.close([]byte("goodbye")) },
		"hangUp":                       func(d *detached) { d.close(nil) },
	} {
		t.Run("a write that waits for the server keeps nobody else: "+name+" wakes it", func(t *testing.T) {
			client, server := tcpPair(t)
			d, ok := detach(client)
			if !ok {
				t.Fatal("not detached")
			}
			failed := make(chan error, 1)
			go func() {
				frame := bytes.Repeat([]byte("x"), 1<<20)
				for {
					if err := d.write(frame); err != nil {
						failed <- err
						return
					}
				}
			}()
			full := func() bool {
				n, err := unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}, 0)
				return n == 0 && err == nil
			}
			if err := until(t.Context(), enough, "the socket to be full", full); err != nil {
				t.Fatal(err)
			}
			end(d)
			if err := <-failed; err == nil {
				t.Error("written, to nobody")
			}
			d.release()
			if err := d.write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("written behind the end: %v", err)
			}
			end(d) // whose descriptor it would be now, nobody knows
			d.release()
			server.Close()
		})
	}

	t.Run("what is written is taken whole, however slowly", func(t *testing.T) {
		client, server := tcpPair(t)
		d, ok := detach(client)
		if !ok {
			t.Fatal("not detached")
		}
		written := make(chan error, 1)
		go func() {
			err := d.write(bytes.Repeat([]byte("x"), 16<<20))
			d.close(nil)
			written <- err
		}()
		n, err := io.Copy(io.Discard, server)
		if err := errors.Join(err, <-written); err != nil || n != 16<<20 {
			t.Errorf("%d bytes came: %v", n, err)
		}
		d.release()
	})
}

func TestPacerRings(t *testing.T) {
	asleep := func(t *testing.T, p *pacer) {
		t.Helper()
		if err := until(t.Context(), enough, "somebody to sleep", func() bool { return p.due.Load() != never }); err != nil {
			t.Fatal(err)
		}
	}
	lp, err := openLoop(time.Now()) // that nobody runs: the test rings
	if err != nil {
		t.Fatal(err)
	}
	defer lp.release()
	defer lp.stop()
	p := &lp.pacer
	woken := make(chan error, 1)

	t.Run("when it is time, not before, and once", func(t *testing.T) {
		if p.ring(never - 1) {
			t.Error("rang for nobody")
		}
		go func() { woken <- p.sleep(t.Context(), time.Hour) }()
		asleep(t, p)
		due := p.due.Load()
		if p.ring(due - 1) {
			t.Error("rang early")
		}
		if !p.ring(due) || p.ring(due) {
			t.Error("did not ring once")
		}
		if err := <-woken; err != nil {
			t.Error(err)
		}
	})

	t.Run("what rang for a sleep that its context ended does not end the next", func(t *testing.T) {
		for range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { woken <- p.sleep(ctx, time.Hour) }()
			asleep(t, p)
			go cancel()
			p.ring(never - 1)
			<-woken // either of them was first
			cancel()
			if len(p.rung) != 0 || p.due.Load() != never {
				t.Fatalf("%d rings are left, due %d", len(p.rung), p.due.Load())
			}
		}
	})
}
