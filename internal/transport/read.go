package transport

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// Receiver is what a socket's frames are handed to; a session is one.
type Receiver interface {
	// Receive handles one message. data is the caller's again when it returns.
	Receive(isBinary bool, data []byte)
}

// closeError ends reading: the socket is closed with this code and sentence.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string { return e.reason }

// reader cuts the bytes of one socket into messages.
type reader struct {
	socket *socket
	to     Receiver
	now    func() time.Time

	rest     []byte // a frame that has not arrived whole
	message  []byte // fragments of a message so far
	fragment ws.OpCode
}

// run reads until the socket ends, and returns why: nil after a close
// handshake, a *closeError when the client broke the protocol.
func (r *reader) run() error {
	for {
		buf := buffers.Get().(*[]byte)
		data, err := r.fill((*buf)[:0])
		if len(data) > 0 {
			r.socket.lastRead.Store(r.now().UnixMilli())
			if fault := r.consume(data); fault != nil {
				err = fault
			}
		}
		if cap(data) <= maxPooled {
			*buf = data[:0]
		}
		buffers.Put(buf)
		switch {
		case errors.Is(err, errGoodbye):
			return nil
		case err != nil:
			return err
		}
	}
}

// errGoodbye says that the client's close frame was read.
var errGoodbye = errors.New("closed by the client")

// fill waits until there is something to read and appends it to what is left of
// an unfinished frame. The buffer is only filled once the socket is readable.
func (r *reader) fill(buf []byte) ([]byte, error) {
	buf = append(buf, r.rest...)
	r.rest = r.rest[:0]
	if cap(r.rest) > readSize {
		r.rest = nil
	}
	if cap(buf)-len(buf) < readSize/2 {
		grown := make([]byte, len(buf), 2*cap(buf)+readSize)
		copy(grown, buf)
		buf = grown
	}
	space := buf[len(buf):cap(buf)]
	var n int
	var err error
	if r.socket.raw == nil {
		n, err = r.socket.conn.Read(space)
	} else {
		n, err = r.readRaw(space)
	}
	return buf[:len(buf)+n], err
}

func (r *reader) readRaw(space []byte) (n int, err error) {
	waitErr := r.socket.raw.Read(func(fd uintptr) bool {
		for {
			n, err = syscall.Read(int(fd), space)
			if !errors.Is(err, syscall.EINTR) {
				return !errors.Is(err, syscall.EAGAIN)
			}
		}
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		return 0, err
	case n <= 0:
		return 0, io.EOF
	}
	return n, nil
}

// consume handles every whole frame in data and keeps what is left.
func (r *reader) consume(data []byte) error {
	for len(data) > 0 {
		src := bytes.NewReader(data)
		h, err := ws.ReadHeader(src)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return &closeError{1002, "a frame's header is broken"}
		}
		if err := r.check(h); err != nil {
			return err
		}
		head := len(data) - src.Len()
		if int64(len(data)-head) < h.Length {
			break
		}
		end := head + int(h.Length)
		payload := data[head:end]
		ws.Cipher(payload, h.Mask, 0)
		if err := r.frame(h, payload); err != nil {
			return err
		}
		data = data[end:]
	}
	r.rest = append(r.rest[:0], data...)
	return nil
}

// check refuses what RFC 6455 forbids, and frames that are too large before
// their bytes arrive.
func (r *reader) check(h ws.Header) error {
	state := ws.StateServerSide
	if r.fragment != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &closeError{1002, err.Error()}
	}
	if h.Length > protocol.MaxFrameBytes || int64(len(r.message))+h.Length > protocol.MaxFrameBytes {
		return &closeError{protocol.CloseTooLarge, "a frame is larger than 5,000,000 bytes"}
	}
	return nil
}

func (r *reader) frame(h ws.Header, payload []byte) error {
	switch h.OpCode {
	case ws.OpPing:
		r.socket.control(ws.OpPong, payload)
		return nil
	case ws.OpPong:
		return nil
	case ws.OpClose:
		r.goodbye(payload)
		return errGoodbye
	case ws.OpContinuation:
		r.message = append(r.message, payload...)
		if !h.Fin {
			return nil
		}
		op := r.fragment
		message := r.message
		r.fragment, r.message = 0, nil
		r.to.Receive(op == ws.OpBinary, message)
		return nil
	}
	if !h.Fin {
		r.fragment = h.OpCode
		r.message = append([]byte(nil), payload...)
		return nil
	}
	r.to.Receive(h.OpCode == ws.OpBinary, payload)
	return nil
}

// goodbye answers a close frame with its own code.
func (r *reader) goodbye(payload []byte) {
	code := protocol.CloseNormal
	if len(payload) >= 2 {
		code = int(payload[0])<<8 | int(payload[1])
	}
	r.socket.Close(code, "")
}
