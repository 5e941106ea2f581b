package transport

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

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

// A burster is a receiver that wants to know which messages were read at once.
type burster interface {
	// BeginBurst comes before the first of several messages, EndBurst after the last.
	// They are called by the goroutine that calls Receive.
	BeginBurst()
	EndBurst()
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

	rest  []byte // a frame that has not arrived whole
	own   bool   // the bytes being consumed are rest's, not a borrowed buffer's
	parts *parts // nil between messages

	controls limit.Bucket  // pings and pongs of the client
	pause    time.Duration // owed for those beyond what a client needs
}

// parts are the fragments of a message so far.
type parts struct {
	op      ws.OpCode
	message []byte
}

// pausePerControl is for how long a socket is not read for each of those.
const pausePerControl = 200 * time.Microsecond

// handle handles what was read, behind what was left of an unfinished frame.
// Its errors are errGoodbye and *closeError.
func (r *reader) handle(read []byte) error {
	r.socket.lastRead.Store(r.socket.terms.now().UnixMilli())
	return r.consume(r.behindRest(read))
}

// owed is for how long the socket is not to be read now.
func (r *reader) owed() time.Duration {
	pause := min(r.pause, time.Second)
	r.pause = 0
	if pacer, ok := r.to.(pacer); ok {
		pause = max(pause, pacer.Pause())
	}
	return pause
}

// errGoodbye says that the client's close frame was read.
var errGoodbye = errors.New("closed by the client")

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
	burst, _ := r.to.(burster)
	begun := false
	defer func() {
		if begun {
			burst.EndBurst()
		}
	}()
	for len(data) > 0 {
		h, head, err := readHeader(data)
		if err != nil {
			return &closeError{closeProtocol, err.Error()}
		}
		if head == 0 {
			break
		}
		if err := r.check(h); err != nil {
			return err
		}
		if int64(len(data)-head) < h.Length {
			break
		}
		end := head + int(h.Length)
		payload := data[head:end]
		ws.Cipher(payload, h.Mask, 0)
		if burst != nil && !begun && end < len(data) {
			begun = true
			burst.BeginBurst()
		}
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
	before := 0
	if r.parts != nil {
		state = state.Set(ws.StateFragmented)
		before = len(r.parts.message)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &closeError{closeProtocol, err.Error()}
	}
	if bound := int64(r.socket.terms.maxFrame); h.Length > bound || int64(before)+h.Length > bound {
		return &closeError{protocol.CloseTooLarge, fmt.Sprintf("a frame is larger than %d bytes", bound)}
	}
	return nil
}

func (r *reader) frame(h ws.Header, payload []byte) error {
	if h.OpCode.IsControl() && r.controls.Take(r.socket.terms.now().UnixNano(), limit.Unrefused(), 1) > 0 {
		r.pause += pausePerControl
	}
	switch h.OpCode {
	case ws.OpPing:
		r.socket.control(ws.OpPong, payload)
		return nil
	case ws.OpPong:
		return nil
	case ws.OpClose:
		return r.goodbye(payload)
	case ws.OpContinuation:
		r.parts.message = append(r.parts.message, payload...)
		if !h.Fin {
			return nil
		}
		whole := r.parts
		r.parts = nil
		return r.deliver(whole.op, whole.message)
	}
	if !h.Fin {
		r.parts = &parts{h.OpCode, append([]byte(nil), payload...)}
		return nil
	}
	return r.deliver(h.OpCode, payload)
}

// deliver hands a whole message on. Text that is not UTF-8 ends the connection
// (RFC 6455, 8.1).
func (r *reader) deliver(op ws.OpCode, message []byte) error {
	if op == ws.OpText && !utf8.Valid(message) {
		return &closeError{closeNotUTF8, "a text is not UTF-8"}
	}
	r.to.Receive(op == ws.OpBinary, message)
	return nil
}

// Close codes of RFC 6455 for clients that do not keep to it.
const (
	closeProtocol = 1002
	closeNotUTF8  = 1007
)

// maySend says whether a code may stand in a close frame: those that are defined,
// the registered 1012 to 1014, and those of libraries and applications.
func maySend(code ws.StatusCode) bool {
	return code.IsProtocolDefined() && !code.IsProtocolReserved() || code >= 1012 && code <= 1014 ||
		code.IsApplicationSpec() || code.IsPrivateSpec()
}

// goodbye answers a close frame with its own code, when that is one that may be
// sent (RFC 6455, 7.4).
func (r *reader) goodbye(payload []byte) error {
	if len(payload) == 0 {
		r.socket.Close(protocol.CloseNormal, "")
		return errGoodbye
	}
	code, reason := ws.ParseCloseFrameDataUnsafe(payload)
	switch {
	case !maySend(code):
		return &closeError{closeProtocol, "a close code that may not be sent"}
	case !utf8.ValidString(reason):
		return &closeError{closeNotUTF8, "the reason of a close is not UTF-8"}
	}
	r.socket.Close(int(code), "")
	return errGoodbye
}
