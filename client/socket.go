package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

const (
	// maxInBytes bounds one message of the server's: a page of the largest records.
	maxInBytes = protocol.RecordsPerPage*protocol.MaxRecordBytes + 1<<20
	// writeTimeout is how long the kernel may take none of what is written.
	writeTimeout = 20 * time.Second
	// closeTimeout is how long a goodbye may take.
	closeTimeout = time.Second
)

// A socketHandler hears of a socket: opened, then frames in their order, then
// lost, once. It is called without locks, by the goroutines of socket.run.
type socketHandler struct {
	opened func()
	frame  func(isBinary bool, data []byte)
	heard  func() // the server sent something that is no frame of ours
	lost   func(code int, reason string)
}

// A socket is one attempt at a WebSocket. Frames may be sent before it is open;
// sending never blocks.
type socket struct {
	mu     sync.Mutex // guards the following
	queue  []ws.Frame
	bytes  int           // payload in queue
	bye    *ws.Frame     // the close frame that is to end it
	wake   chan struct{} // capacity 1: there is something to write
	cancel context.CancelFunc
}

func newSocket(ctx context.Context) (*socket, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	return &socket{wake: make(chan struct{}, 1), cancel: cancel}, ctx
}

// send queues a frame. The payload must not be changed after that.
func (s *socket) send(op ws.OpCode, payload []byte) {
	s.mu.Lock()
	s.queue = append(s.queue, ws.NewFrame(op, true, payload))
	s.bytes += len(payload)
	s.mu.Unlock()
	s.ring()
}

// queued is how many bytes wait to be written.
func (s *socket) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// close writes what is queued and a close frame, and ends the socket, whether or
// not there is anybody at the other end.
func (s *socket) close(code ws.StatusCode, reason string) {
	s.mu.Lock()
	if s.bye == nil {
		bye := ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason))
		s.bye = &bye
	}
	s.mu.Unlock()
	s.cancel() // a handshake that is under way
	s.ring()
}

func (s *socket) ring() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

// run dials, and reads and writes until the socket ends. It returns when all it
// started has ended.
func (s *socket) run(ctx context.Context, dialer *ws.Dialer, address string, h socketHandler) {
	defer s.cancel()
	conn, buffered, _, err := dialer.Dial(ctx, address)
	if err != nil {
		h.lost(refusedUpgrade(err))
		return
	}
	h.opened()
	var reader sync.WaitGroup
	code, reason := 0, ""
	ended := make(chan struct{})
	reader.Go(func() {
		defer close(ended)
		code, reason = s.read(conn, buffered, h)
	})
	why := s.write(conn, ended)
	_ = conn.Close() // it is given up either way
	reader.Wait()
	if code == 0 { // the reader ended because the writer did
		code, reason = int(ws.StatusAbnormalClosure), why.Error()
	}
	h.lost(code, reason)
}

// refusedUpgrade is what a handshake that failed means, as a close code.
func refusedUpgrade(err error) (code int, reason string) {
	var status ws.StatusError
	switch errors.As(err, &status); int(status) {
	case http.StatusUnauthorized:
		return protocol.CloseTokenRefused, "the token was refused (HTTP 401)"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return protocol.CloseTooMany, fmt.Sprintf("no room for a connection (HTTP %d)", int(status))
	}
	return int(ws.StatusAbnormalClosure), err.Error()
}

var errSaidGoodbye = errors.New("closed here")

// write writes what is queued until the socket is closed or the reader has ended.
func (s *socket) write(conn net.Conn, ended <-chan struct{}) error {
	var out bytes.Buffer
	for {
		select {
		case <-s.wake:
		case <-ended:
			// The answer to a close frame of the server's may wait.
		}
		s.mu.Lock()
		frames, bye := s.queue, s.bye
		s.queue, s.bytes = nil, 0
		s.mu.Unlock()
		timeout := writeTimeout
		if bye != nil {
			frames, timeout = append(frames, *bye), closeTimeout
		}
		out.Reset()
		for _, f := range frames {
			masked := ws.MaskFrame(f) // copies: the queue's payload may be sent again
			if err := ws.WriteFrame(&out, masked); err != nil {
				return err
			}
		}
		// A conn that cannot have a deadline is no reason not to write.
		_ = conn.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := conn.Write(out.Bytes()); err != nil {
			return err
		}
		select {
		case <-ended:
			return io.EOF
		default:
		}
		if bye != nil {
			return errSaidGoodbye
		}
	}
}

// read reads until the connection ends, and says with which close code. 0 is for
// a connection that ended without one.
func (s *socket) read(conn net.Conn, buffered *bufio.Reader, h socketHandler) (code int, reason string) {
	in := buffered // what came right behind the handshake
	if in == nil {
		in = bufio.NewReader(conn)
	}
	var message bytes.Buffer
	isBinary := false
	for {
		header, err := ws.ReadHeader(in)
		if err != nil {
			return 0, ""
		}
		if err := s.check(header, &message); err != nil {
			s.close(ws.StatusProtocolError, err.Error())
			return int(ws.StatusProtocolError), err.Error()
		}
		if header.OpCode.IsControl() {
			if code, reason, closed := s.control(in, header, h); closed {
				return code, reason
			}
			continue
		}
		if header.OpCode != ws.OpContinuation {
			isBinary = header.OpCode == ws.OpBinary
		}
		// Room is made as the bytes arrive: a length is only a claim.
		if _, err := io.CopyN(&message, in, header.Length); err != nil {
			return 0, ""
		}
		if header.Fin {
			h.frame(isBinary, bytes.Clone(message.Bytes()))
			message.Reset()
			if message.Cap() > 1<<20 { // one large page is not kept room for
				message = bytes.Buffer{}
			}
		}
	}
}

// check refuses what no server sends.
func (s *socket) check(header ws.Header, message *bytes.Buffer) error {
	switch {
	case header.Masked || header.Rsv != 0:
		return errors.New("masked, or of an extension that was not asked for")
	case header.OpCode.IsControl() && (!header.Fin || header.Length > ws.MaxControlFramePayloadSize):
		return errors.New("a control frame that is too long")
	case int64(message.Len())+header.Length > maxInBytes:
		return fmt.Errorf("a message of more than %d bytes", maxInBytes)
	}
	return nil
}

// control handles a ping, a pong or a close.
func (s *socket) control(in io.Reader, header ws.Header, h socketHandler) (code int, reason string, closed bool) {
	payload := make([]byte, header.Length)
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, "", true
	}
	switch header.OpCode {
	case ws.OpClose:
		status, why := ws.ParseCloseFrameData(payload)
		s.close(ws.StatusNormalClosure, "")
		return int(status), why, true
	case ws.OpPing:
		s.send(ws.OpPong, payload)
	}
	h.heard()
	return 0, "", false
}
