package protocol

import (
	"bytes"
	"encoding/binary"
)

// Message is an encoded frame that any number of sockets may share: the
// WebSocket header stands right before the payload, so that a socket needs one
// write and no copy. The zero Message is empty. Its bytes must not be changed, and do
// not change unless they are lent ([LendReply]).
type Message struct {
	buf    []byte
	start  uint8 // of the WebSocket header in buf
	binary bool
	lent   bool // buf is somebody else's
}

// headroom is the longest header of an unmasked WebSocket frame.
const headroom = 10

// Wire is the WebSocket frame, header included, as a server sends it.
func (m Message) Wire() []byte { return m.buf[m.start:] }

// Framed is a message for what is a WebSocket frame already, or something else that
// goes to a socket as it is: it has a Wire, and nothing else.
func Framed(wire []byte) Message { return Message{buf: wire} }

// Payload is the frame without the WebSocket header.
func (m Message) Payload() []byte { return m.buf[headroom:] }

// Binary says whether the payload is a binary frame.
func (m Message) Binary() bool { return m.binary }

// Empty says that there is nothing to send.
func (m Message) Empty() bool { return len(m.buf) == 0 }

// Kept is the message for who keeps it beyond the call that it was handed over in:
// itself, or a copy when its bytes are lent ([LendReply]).
func (m Message) Kept() Message {
	if m.lent {
		m.buf, m.lent = bytes.Clone(m.buf), false
	}
	return m
}

// begin returns a buffer with room for the header, to append a payload to.
func begin(size int) []byte { return make([]byte, headroom, headroom+size) }

// finish puts the WebSocket header before a payload that was appended to what
// begin returned.
func finish(buf []byte, isBinary bool) Message {
	return Message{buf: buf, start: putHeader(buf, len(buf)-headroom, isBinary), binary: isBinary}
}

// putHeader puts the header (RFC 6455, 5.2) of a WebSocket frame with n bytes at
// the end of the headroom that dst begins with, and returns where it starts.
func putHeader(dst []byte, n int, isBinary bool) (start uint8) {
	const fin, text, bin = 0x80, 0x1, 0x2
	opcode := byte(fin | text)
	if isBinary {
		opcode = fin | bin
	}
	switch {
	case n < 126:
		start = headroom - 2
		dst[start+1] = byte(n)
	case n <= 0xffff:
		start = headroom - 4
		dst[start+1] = 126
		binary.BigEndian.PutUint16(dst[start+2:], uint16(n))
	default:
		start = 0
		dst[1] = 127
		binary.BigEndian.PutUint64(dst[2:], uint64(n))
	}
	dst[start] = opcode
	return start
}

// headerSize is how long the header is that putHeader puts before n bytes.
func headerSize(n int) int {
	switch {
	case n < 126:
		return 2
	case n <= 0xffff:
		return 4
	}
	return headroom
}

// appendHead appends everything of a text frame up to its payload; appendTail
// what follows it. Null refs are "".
func appendHead(dst []byte, v Version, joinRef, ref, topic, event string) []byte {
	if v == V1 {
		dst = append(dst, `{"topic":`...)
		dst = AppendString(dst, topic)
		dst = append(dst, `,"event":`...)
		dst = AppendString(dst, event)
		return append(dst, `,"payload":`...)
	}
	dst = append(dst, '[')
	dst = appendRef(dst, joinRef)
	dst = append(dst, ',')
	dst = appendRef(dst, ref)
	dst = append(dst, ',')
	dst = AppendString(dst, topic)
	dst = append(dst, ',')
	dst = AppendString(dst, event)
	return append(dst, ',')
}

func appendTail(dst []byte, v Version, ref string) []byte {
	if v == V1 {
		dst = append(dst, `,"ref":`...)
		dst = appendRef(dst, ref)
		return append(dst, '}')
	}
	return append(dst, ']')
}

func appendRef(dst []byte, ref string) []byte {
	if ref == "" {
		return append(dst, "null"...)
	}
	return AppendString(dst, ref)
}

// EncodeText encodes one text frame with a payload of JSON.
func EncodeText(v Version, joinRef, ref, topic, event string, payload []byte) Message {
	buf := begin(len(payload) + len(topic) + len(event) + 64)
	buf = appendHead(buf, v, joinRef, ref, topic, event)
	buf = append(buf, payload...)
	return finish(appendTail(buf, v, ref), false)
}

// replySize is what a reply has at most besides its refs, its topic and its
// response, when none of them needs escaping.
func replySize(v Version) int {
	if v == V1 {
		return len(`{"topic":"","event":"phx_reply","payload":{"status":"error","response":},"ref":null}`)
	}
	return len(`[null,null,"","phx_reply",{"status":"error","response":}]`)
}

// EncodeReply encodes a phx_reply; response must be a JSON value.
func EncodeReply(v Version, joinRef, ref, topic string, ok bool, response []byte) Message {
	buf := begin(len(response) + len(topic) + len(joinRef) + len(ref) + replySize(v))
	return finish(appendReply(buf, v, joinRef, ref, topic, ok, response), false)
}

// LendReply is EncodeReply into room, as far as that reaches. The message is good until
// room is used again; who keeps it longer keeps [Message.Kept].
func LendReply(room []byte, v Version, joinRef, ref, topic string, ok bool, response []byte) Message {
	var none [headroom]byte
	m := finish(appendReply(append(room[:0], none[:]...), v, joinRef, ref, topic, ok, response), false)
	m.lent = true
	return m
}

func appendReply(buf []byte, v Version, joinRef, ref, topic string, ok bool, response []byte) []byte {
	buf = appendHead(buf, v, joinRef, ref, topic, EventReply)
	if ok {
		buf = append(buf, `{"status":"ok","response":`...)
	} else {
		buf = append(buf, `{"status":"error","response":`...)
	}
	buf = append(buf, response...)
	buf = append(buf, '}')
	return appendTail(buf, v, ref)
}

// AppendError appends the response of an error reply (section 9).
func AppendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"reason":`...)
	dst = AppendString(dst, e.WireReason())
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, e.Code)
	dst = append(dst, `,"retryable":`...)
	dst = appendBool(dst, e.Retryable)
	if e.RetryAfterMs > 0 {
		dst = append(dst, `,"retryAfterMs":`...)
		dst = appendUint(dst, uint64(e.RetryAfterMs))
	}
	if e.Expect > 0 {
		dst = append(dst, `,"expect":`...)
		dst = appendUint(dst, e.Expect)
	}
	return append(dst, '}')
}

// AppendPersistError appends the response of an error reply to a push that was
// to be kept: AppendError's, and the code once more as error, which is where
// clients of upstream look for it.
func AppendPersistError(dst []byte, e *Error) []byte {
	dst = AppendError(dst, e)
	dst = append(dst[:len(dst)-1], `,"error":`...)
	return append(AppendString(dst, e.Code), '}')
}
