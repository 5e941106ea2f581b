package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// Receiver is what a socket's frames are handed to; a session is one.
type Receiver interface {
	// Receive handles one message. data is the caller's again when it returns.
	Receive(isBinary bool, data []byte)
}

// A pacer is a receiver that wants to be handed a client's frames more slowly.
type pacer interface {
	// Pause is how long not to read any further; 0 nearly always. It is called by
	// the goroutine that calls Receive.
	Pause() time.Duration
}

// closeError ends reading: the socket is closed with this code and sentence.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string { return e.reason }

// reader cuts the bytes of one socket into messages.
type reader struct {
	socket   *socket
	to       Receiver
	now      func() time.Time
	maxFrame int // bytes of a message

	rest     []byte // a frame that has not arrived whole
	own      bool   // the bytes being consumed are rest's, not a borrowed buffer's
	message  []byte // fragments of a message so far
	fragment ws.OpCode

	controls limit.Bucket  // pings and pongs of the client
	pause    time.Duration // owed for those beyond what a client needs
}

// pausePerControl is for how long a socket is not read for each of those.
const pausePerControl = 200 * time.Microsecond

// run reads until the socket ends, and returns why: nil after a close
// handshake, a *closeError when the client broke the protocol.
func (r *reader) run() error {
	pacer, _ := r.to.(pacer)
	for {
		buf, data, err := r.fill()
		if len(data) > 0 {
			r.socket.lastRead.Store(r.now().UnixMilli())
			if fault := r.consume(data); fault != nil {
				err = fault
			}
		}
		if buf != nil {
			buffers.Put(buf)
		}
		switch {
		case errors.Is(err, errGoodbye):
			return nil
		case err != nil:
			return err
		}
		pause := min(r.pause, time.Second)
		r.pause = 0
		if pacer != nil {
			pause = max(pause, pacer.Pause())
		}
		if pause > 0 {
			time.Sleep(pause) // what the client sends meanwhile fills its buffers, not ours
		}
	}
}

// errGoodbye says that the client's close frame was read.
var errGoodbye = errors.New("closed by the client")

// fill waits until there is something to read and returns it behind what was
// left of an unfinished frame. The borrowed buffer, which data may be part of,
// goes back to buffers; it is nil when the socket ended.
func (r *reader) fill() (buf *[]byte, data []byte, err error) {
	if r.socket.raw == nil {
		buf = buffers.Get().(*[]byte)
		n, err := r.socket.conn.Read((*buf)[:readSize])
		return buf, r.behindRest((*buf)[:n]), err
	}
	var n int
	waitErr := r.socket.raw.Read(func(fd uintptr) bool {
		// Borrowed here, where the socket is readable or about to be given back to
		// the poller: an idle connection must not hold a buffer.
		buf = buffers.Get().(*[]byte)
		for {
			n, err = syscall.Read(int(fd), (*buf)[:readSize])
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				buffers.Put(buf)
				buf = nil
				return false
			}
			return true
		}
	})
	switch {
	case waitErr != nil:
		return buf, nil, waitErr
	case err != nil:
		return buf, nil, err
	case n <= 0:
		return buf, nil, io.EOF
	}
	return buf, r.behindRest((*buf)[:n]), nil
}

// behindRest returns what was left of an unfinished frame with the newly read
// bytes behind it. rest grows with what arrived, doubling as append does.
func (r *reader) behindRest(read []byte) []byte {
	r.own = len(r.rest) > 0
	if !r.own {
		return read
	}
	data := append(r.rest, read...)
	r.rest = nil
	return data
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
	r.keep(data)
	return nil
}

// keep holds on to a frame that has not arrived whole. Borrowed bytes are
// copied; a frame of megabytes must not be copied anew for each piece of it.
func (r *reader) keep(data []byte) {
	switch {
	case len(data) == 0:
		r.rest = nil
	case r.own:
		r.rest = data
	default:
		r.rest = append(make([]byte, 0, 2*len(data)), data...)
	}
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
	if bound := int64(r.maxFrame); h.Length > bound || int64(len(r.message))+h.Length > bound {
		return &closeError{protocol.CloseTooLarge, fmt.Sprintf("a frame is larger than %d bytes", bound)}
	}
	return nil
}

func (r *reader) frame(h ws.Header, payload []byte) error {
	if h.OpCode.IsControl() && r.controls.Take(r.now().UnixNano(), limit.Unrefused(), 1) > 0 {
		r.pause += pausePerControl
	}
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
