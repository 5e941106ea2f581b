package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a receiver that keeps what it was handed.
type record struct {
	mu   sync.Mutex
	got  []string
	wake chan struct{}
}

func newRecord() *record { return &record{wake: make(chan struct{}, 1024)} }

func (r *record) Receive(isBinary bool, data []byte) {
	kind := "text:"
	if isBinary {
		kind = "binary:"
	}
	r.mu.Lock()
	r.got = append(r.got, kind+string(data))
	r.mu.Unlock()
	r.wake <- struct{}{}
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func (r *record) wait(t *testing.T, n int) []string {
	t.Helper()
	for range n {
		select {
		case <-r.wake:
		case <-time.After(patience):
			t.Fatalf("waited for %d messages, have %d", n, len(r.got))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// pair is a server socket being read, and the client's end of it.
type pair struct {
	client net.Conn
	socket *socket
	record *record
	// ended waits for the end of reading, and returns why it ended; always nil
	// for a polled socket.
	ended  func() error
	polled bool
}

// bothPairs runs a test with a socket that a goroutine reads, and with one that
// is polled.
func bothPairs(t *testing.T, name string, maxQueue int, test func(t *testing.T, p *pair)) {
	t.Run(name, func(t *testing.T) { test(t, newPair(t, maxQueue)) })
	t.Run(name+", polled", func(t *testing.T) { test(t, newPolledPair(t, maxQueue)) })
}

func newPolledPair(t *testing.T, maxQueue int) *pair {
	t.Helper()
	server := newEndpoint(t, Options{QueueBytes: maxQueue}).server
	if server.poller == nil {
		t.Skip("sockets cannot be polled here")
	}
	client, conn := connected(t)
	p := &pair{client: client, record: newRecord(), polled: true}
	p.socket = server.pollForTest(t, conn, p.record)
	p.ended = func() error {
		eventually(t, "the socket to end", func() bool { return server.Conns() == 0 })
		return nil
	}
	t.Cleanup(func() { _ = client.Close() })
	return p
}

// connected returns the two ends of a TCP connection.
func connected(t testing.TB) (client, conn net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, conn
}

// deafReader reads for a socket to which nothing can be sent.
func deafReader(to Receiver, maxFrame int) *reader {
	return &reader{socket: &socket{closing: true, terms: &terms{maxFrame: maxFrame, now: time.Now}}, to: to}
}

func newPair(t *testing.T, maxQueue int) *pair {
	t.Helper()
	client, conn := connected(t)
	ended := make(chan error, 1)
	p := &pair{client: client, record: newRecord(), ended: func() error { return <-ended }}
	var link *connLink
	p.socket, link = newConnSocket(conn, &terms{maxQueue: maxQueue, maxFrame: protocol.MaxFrameBytes, now: time.Now})
	rd := &connReader{reader: reader{socket: p.socket, to: p.record}, link: link}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := rd.run()
		if fault, ok := errors.AsType[*closeError](err); ok {
			p.socket.Close(fault.code, fault.reason)
			link.drain() // as the server, so that the client can say all it has begun to
		} else {
			p.socket.sever()
		}
		ended <- err
	}()
	t.Cleanup(func() {
		_ = client.Close()
		<-done
		p.socket.sever()
		link.flusher.Wait()
	})
	return p
}

func clientFrame(fin bool, op ws.OpCode, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	var buf bytes.Buffer
	if err := ws.WriteFrame(&buf, ws.MaskFrameInPlace(f)); err != nil {
		panic(err) // a buffer takes everything
	}
	return buf.Bytes()
}

func (p *pair) write(t *testing.T, parts ...[]byte) {
	t.Helper()
	if _, err := p.client.Write(bytes.Join(parts, nil)); err != nil {
		t.Fatal(err)
	}
}

// closeCode reads the client's side up to the close frame.
func (p *pair) closeCode(t *testing.T) (int, string) {
	t.Helper()
	for {
		f, err := ws.ReadFrame(p.client)
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
		if f.Header.OpCode == ws.OpClose {
			return int(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
		}
	}
}

func TestReading(t *testing.T) {
	bothPairs(t, "messages arrive in order, however the bytes are cut", 1<<20, func(t *testing.T, p *pair) {
		stream := bytes.Join([][]byte{
			clientFrame(true, ws.OpText, "one"), clientFrame(true, ws.OpBinary, "two"), clientFrame(true, ws.OpText, strings.Repeat("3", 70_000)),
		}, nil)
		for len(stream) > 0 {
			n := min(len(stream), 1+len(stream)%977)
			p.write(t, stream[:n])
			stream = stream[n:]
		}
		got := p.record.wait(t, 3)
		if got[0] != "text:one" || got[1] != "binary:two" || len(got[2]) != 70_005 {
			t.Errorf("got %.40q", got)
		}
	})
	bothPairs(t, "fragments are put together, control frames in between are answered", 1<<20, func(t *testing.T, p *pair) {
		p.write(t, clientFrame(false, ws.OpText, "he"), clientFrame(true, ws.OpPing, "hi"), clientFrame(false, ws.OpContinuation, "ll"), clientFrame(true, ws.OpContinuation, "o"))
		if got := p.record.wait(t, 1); got[0] != "text:hello" {
			t.Errorf("got %q", got)
		}
		if f, err := ws.ReadFrame(p.client); err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "hi" {
			t.Errorf("got %+v, %v; want a pong", f, err)
		}
	})
	bothPairs(t, "the close handshake repeats the client's code", 1<<20, func(t *testing.T, p *pair) {
		p.write(t, clientFrame(true, ws.OpClose, "\x0f\xa0bye"))
		if code, _ := p.closeCode(t); code != 4000 {
			t.Errorf("code %d, want 4000", code)
		}
		if err := p.ended(); err != nil {
			t.Errorf("reading ended with %v", err)
		}
	})
	refusals := []struct {
		name string
		in   []byte
		code int
	}{
		{"[F5] a frame that announces six million bytes", append([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x5b, 0x8d, 0x80}, 1, 2, 3, 4), 1009},
		{"an unmasked frame", []byte{0x81, 0x02, 'h', 'i'}, 1002},
		{"a reserved bit", append([]byte{0xc1, 0x80}, 1, 2, 3, 4), 1002},
		{"a continuation of nothing", clientFrame(true, ws.OpContinuation, "x"), 1002},
		{"a new message inside a fragmented one", append(clientFrame(false, ws.OpText, "x"), clientFrame(true, ws.OpText, "y")...), 1002},
		{"an unknown opcode", append([]byte{0x83, 0x80}, 1, 2, 3, 4), 1002},
		{"a fragmented control frame", clientFrame(false, ws.OpPing, "x"), 1002},
	}
	for _, tt := range refusals {
		bothPairs(t, tt.name+" is refused", 1<<20, func(t *testing.T, p *pair) {
			p.write(t, tt.in)
			if code, _ := p.closeCode(t); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
		})
	}
	bothPairs(t, "[F5] fragments that add up to more than a frame may have", 1<<20, func(t *testing.T, p *pair) {
		part := strings.Repeat("x", 1_000_000)
		p.write(t, clientFrame(false, ws.OpText, part))
		for range 5 {
			p.write(t, clientFrame(false, ws.OpContinuation, part))
		}
		if code, _ := p.closeCode(t); code != protocol.CloseTooLarge {
			t.Errorf("code %d", code)
		}
	})
}

// bursts notes between which messages a burst begins and ends.
type bursts struct{ *record }

func (r bursts) BeginBurst() { r.Receive(false, []byte("(")) }
func (r bursts) EndBurst()   { r.Receive(false, []byte(")")) }

func TestBursts(t *testing.T) {
	t.Run("what is read at once is one burst, unless it is a single message", func(t *testing.T) {
		rec := bursts{newRecord()}
		rd := deafReader(rec, 1000)
		one, two, three := clientFrame(true, ws.OpText, "1"), clientFrame(true, ws.OpText, "2"), clientFrame(true, ws.OpText, "3")
		for _, read := range [][]byte{one, bytes.Join([][]byte{two, three}, nil), clientFrame(true, ws.OpText, "4")} {
			if err := rd.consume(read); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(rec.got, " "); got != "text:1 text:( text:2 text:3 text:) text:4" {
			t.Error(got)
		}
	})
	t.Run("a burst that breaks the protocol ends as one", func(t *testing.T) {
		rec := bursts{newRecord()}
		rd := deafReader(rec, 1000)
		if err := rd.consume(append(clientFrame(true, ws.OpText, "1"), 0xc1, 0x80, 1, 2, 3, 4)); err == nil {
			t.Error("no error")
		}
		if got := strings.Join(rec.got, " "); got != "text:( text:1 text:)" {
			t.Error(got)
		}
	})
}

func textMessage(payload string) protocol.Message {
	return protocol.EncodeText(protocol.V2, "", "", "t", "e", []byte(`"`+payload+`"`))
}

func TestWriting(t *testing.T) {
	bothPairs(t, "frames arrive whole and in order from many writers", 64<<20, func(t *testing.T, p *pair) {
		const writers, each = 8, 500
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					p.socket.Send(textMessage(strings.Repeat("a", 100)), textMessage(strings.Repeat("b", 100)))
				}
			})
		}
		for i := range writers * each * 2 {
			f, err := ws.ReadFrame(p.client)
			if err != nil {
				t.Fatal(err)
			}
			want := byte('a')
			if i%2 == 1 { // the two of one Send stay together
				want = 'b'
			}
			if !bytes.Contains(f.Payload, bytes.Repeat([]byte{want}, 100)) {
				t.Fatalf("frame %d is %.80s", i, f.Payload)
			}
		}
		wg.Wait()
	})
	bothPairs(t, "a client that does not read is closed with 4200 and stalls nobody", 1<<20, func(t *testing.T, p *pair) {
		big := textMessage(strings.Repeat("x", 100_000))
		for range 400 { // 40 MB: more than any socket buffer and the queue
			p.socket.Send(big)
		}
		p.socket.mu.Lock()
		closing, cause := p.socket.closing, p.socket.cause
		p.socket.mu.Unlock()
		if !closing || cause != protocol.CloseSlowConsumer {
			t.Errorf("closing %v with %d", closing, cause)
		}
	})
	bothPairs(t, "what is lent is written as it was, however long it waits", 1<<20, func(t *testing.T, p *pair) {
		room := make([]byte, 0, 128)
		lend := func(ref string) protocol.Message {
			return protocol.LendReply(room, protocol.V2, "", ref, "phoenix", true, []byte("{}"))
		}
		const large = 20_000_000 // more than the kernel takes
		p.socket.Send(lend("1"))
		p.socket.Send(textMessage(strings.Repeat("x", large)), lend("2"))
		p.socket.Send(lend("3"))
		lend("9")
		for _, want := range []string{answer(1), "", answer(2), answer(3)} {
			f, err := ws.ReadFrame(p.client)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(f.Payload); want != "" && got != want || want == "" && len(got) < large {
				t.Errorf("got %.80s, want %.80s", got, want)
			}
		}
	})
	bothPairs(t, "one burst may be larger than the queue, when nothing waits", 1<<10, func(t *testing.T, p *pair) {
		var burst []protocol.Message
		for range 100 {
			burst = append(burst, textMessage(strings.Repeat("x", 100_000)))
		}
		p.socket.Send(burst...)
		for range burst {
			if _, err := ws.ReadFrame(p.client); err != nil {
				t.Fatal(err)
			}
		}
	})
	bothPairs(t, "[R3] what follows a large burst does not close a client that reads steadily", 64<<10, func(t *testing.T, p *pair) {
		p.socket.Send(textMessage(strings.Repeat("x", 20_000_000)))
		p.socket.Send(textMessage("heartbeat"))
		for _, want := range []int{20_000_000, len("heartbeat")} {
			if f, err := ws.ReadFrame(p.client); err != nil || f.Header.OpCode != ws.OpText || len(f.Payload) < want {
				t.Fatalf("%+v, %v", f.Header, err)
			}
		}
	})
	bothPairs(t, "[R7] pings of a client that does not read are not answered for ever", 64<<10, func(t *testing.T, p *pair) {
		p.socket.Send(textMessage(strings.Repeat("x", 20_000_000))) // more than the kernel takes
		for range 10_000 {
			p.socket.control(ws.OpPong, bytes.Repeat([]byte("x"), 125))
		}
		p.socket.mu.Lock()
		defer p.socket.mu.Unlock()
		if b := p.socket.backlog; !p.socket.closing || b == nil || b.queued-b.grace > 70<<10 {
			t.Errorf("closing %v, with more waiting than the queue has room for", p.socket.closing)
		}
	})
	bothPairs(t, "Close sends its code behind what was queued, and nothing follows", 1<<20, func(t *testing.T, p *pair) {
		p.socket.Send(textMessage("last"))
		p.socket.Close(protocol.CloseRestart, "restart drainMs=1000")
		p.socket.Send(textMessage("never"))
		f, err := ws.ReadFrame(p.client)
		if err != nil || !bytes.Contains(f.Payload, []byte("last")) {
			t.Fatalf("%s, %v", f.Payload, err)
		}
		if code, reason := p.closeCode(t); code != protocol.CloseRestart || reason != "restart drainMs=1000" {
			t.Errorf("%d %q", code, reason)
		}
		_ = p.client.Close()
		if err := p.ended(); err == nil && !p.polled {
			t.Errorf("reading ended with %v", err)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(append(clientFrame(false, ws.OpText, "he"), clientFrame(true, ws.OpContinuation, "llo")...), 3)
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x5b, 0x8d, 0x80, 1, 2, 3, 4}, 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = min(max(cut, 1), 64)
		read := func(step int) ([]string, bool) {
			rec := newRecord()
			rd := deafReader(rec, protocol.MaxFrameBytes)
			for i := 0; i < len(stream); i += step {
				// A fresh copy each time: a socket's buffer is borrowed, and unmasked in place.
				piece := append([]byte(nil), stream[i:min(i+step, len(stream))]...)
				if err := rd.consume(rd.behindRest(piece)); err != nil {
					return rec.got, true
				}
			}
			return rec.got, false
		}
		whole, wholeErr := read(max(len(stream), 1))
		parts, partsErr := read(cut)
		if wholeErr != partsErr || len(whole) != len(parts) {
			t.Fatalf("at once %q %v, in parts %q %v", whole, wholeErr, parts, partsErr)
		}
		for i := range whole {
			if whole[i] != parts[i] {
				t.Fatalf("message %d: %q and %q", i, whole[i], parts[i])
			}
		}
	})
}
