package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// readBuffer is what a connection that is read for itself reads at once: a few
// frames. With thousands of connections the generator's memory must stay in the
// caches it shares with the server.
const readBuffer = 2 << 10

// frameMax is more than any server should send at once: ours sends less than half
// of it, peers join what has piled up.
const frameMax = 8 << 20

// dialTimeout bounds connecting, and waiting for an answer while joining.
const dialTimeout = 10 * time.Second

// A closedError is what read returns after a close frame.
type closedError struct {
	code   int
	reason string
}

func (e *closedError) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.code, e.reason)
}

// A socket is one WebSocket connection. One goroutine reads; writes may come from
// any, one after the other.
type socket struct {
	conn    net.Conn // closed, when out is detached from it
	out     outlet
	in      *bufio.Reader
	scratch [ws.MaxHeaderSize]byte
	large   []byte // a frame that does not fit into in
}

// An outlet is where a socket writes. Safe for concurrent use.
type outlet interface {
	// write writes a frame whole, behind those before it.
	write(frame []byte) error
	// close ends the connection behind last words, if there are any and the server
	// takes them. Whoever reads or writes is woken by it. Idempotent.
	close(words []byte)
}

// dialSocket connects and upgrades.
func dialSocket(ctx context.Context, url string) (*socket, error) {
	var refusal string
	d := ws.Dialer{
		// Not with Dial's context, for which a goroutine would watch.
		NetDial: func(_ context.Context, network, address string) (net.Conn, error) {
			return dialTCP(ctx, network, address)
		},
		Timeout:         dialTimeout,
		ReadBufferSize:  1 << 10,
		WriteBufferSize: 2 << 10,
		OnStatusError: func(_ int, _ []byte, response io.Reader) {
			refusal = bodyOf(response)
		},
	}
	conn, early, _, err := d.Dial(context.WithoutCancel(ctx), url)
	if err != nil {
		if refusal != "" {
			err = fmt.Errorf("%w: %s", err, refusal)
		}
		return nil, fmt.Errorf("connect: %w", err)
	}
	var r io.Reader = conn
	if early != nil { // frames that came together with the handshake
		rest, err := early.Peek(early.Buffered())
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("connect: %w", err)
		}
		r = io.MultiReader(bytes.NewReader(bytes.Clone(rest)), conn)
		ws.PutReader(early)
	}
	s := &socket{conn: conn, in: bufio.NewReaderSize(r, readBuffer)}
	if early != nil { // into in, where take finds them
		_, _ = s.in.Peek(1)
	}
	if s.out, err = newWriter(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

// bodyOf reads the beginning of an HTTP response's body, "" when there is none: it
// only explains what is an error anyway.
func bodyOf(response io.Reader) string {
	const enough = 400
	r, err := http.ReadResponse(bufio.NewReader(response), nil)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, enough))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(body))
}

// write sends a frame that was made by a clientFrame.
func (s *socket) write(frame []byte) error { return s.out.write(frame) }

// read returns the payload of the next text or binary frame, good until the next
// call. Pings are answered on the way. After a close frame the error is a
// *closedError.
func (s *socket) read() ([]byte, error) {
	for {
		op, payload, err := s.next()
		if err != nil {
			return nil, err
		}
		message, pong, err := heed(op, payload)
		if pong != nil {
			err = s.write(pong)
		}
		if err != nil || message != nil {
			return message, err
		}
	}
}

// next returns the next frame, whose payload is good until the next call.
func (s *socket) next() (ws.OpCode, []byte, error) {
	h, err := ws.ReadHeaderBuffer(s.in, s.scratch[:])
	if err != nil {
		return 0, nil, err
	}
	if h.Masked || !h.Fin || h.Length > frameMax {
		return 0, nil, fmt.Errorf("frame that no server should send: %+v", h)
	}
	payload, err := s.payload(int(h.Length))
	return h.OpCode, payload, err
}

// heed says what a frame is: a message, a ping, or the end, which is an error. pong
// is the frame that answers a ping.
func heed(op ws.OpCode, payload []byte) (message, pong []byte, err error) {
	switch op {
	case ws.OpText, ws.OpBinary:
		return payload, nil, nil
	case ws.OpPing:
		return nil, control(ws.OpPong, payload), nil
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		return nil, nil, &closedError{int(code), reason}
	}
	return nil, nil, nil
}

func (s *socket) payload(n int) ([]byte, error) {
	if n <= s.in.Size() {
		p, err := s.in.Peek(n)
		if err != nil {
			return nil, err
		}
		_, err = s.in.Discard(n) // the bytes stay where they are until the next read
		return p, err
	}
	if cap(s.large) < n {
		s.large = make([]byte, n)
	}
	_, err := io.ReadFull(s.in, s.large[:n])
	return s.large[:n], err
}

// send makes and sends a text frame; for what is sent once.
func (s *socket) send(payload []byte) error { return s.write(textFrame(payload)) }

// textFrame makes a client's text frame, in memory of its own.
func textFrame(payload []byte) []byte {
	var f clientFrame
	return f.finish(append(f.begin(), payload...))
}

// control makes a frame of a client that is no text.
func control(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, true, payload), [4]byte{}))
}

// close says goodbye and closes the connection; a reader is woken by it.
func (s *socket) close() {
	s.out.close(control(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
}

// hangUp closes the connection without a word; whoever reads or writes is woken.
func (s *socket) hangUp() { s.out.close(nil) }

// await reads until a frame of the given event, and for replies with the given
// ref, arrives. Refusals are errors. Its frame shares memory with the socket.
func (s *socket) await(event, ref string) (protocol.Frame, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return protocol.Frame{}, err
	}
	defer s.conn.SetReadDeadline(time.Time{}) // a closed socket fails at the next read
	for {
		data, err := s.read()
		if err != nil {
			return protocol.Frame{}, fmt.Errorf("wait for %s: %w", event, err)
		}
		f, err := protocol.DecodeText(protocol.V2, data)
		if err != nil {
			return protocol.Frame{}, fmt.Errorf("wait for %s: %w", event, err)
		}
		if f.Event == event && (event != protocol.EventReply || f.Ref == ref) {
			return f, nil
		}
		if f.Event == protocol.EventError || f.Event == protocol.EventClose {
			return protocol.Frame{}, fmt.Errorf("wait for %s: got %s %s", event, f.Event, f.Payload)
		}
	}
}
