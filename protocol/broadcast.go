package protocol

import (
	"bytes"
	"strconv"
)

// Broadcast is what a client pushed to be broadcast. Body is the JSON object
// that members will receive, without meta; for raw bytes it is nil and Binary
// holds them.
type Broadcast struct {
	Event     string
	ID        string // "" when the client gave none
	Ephemeral bool
	Body      []byte
	Binary    []byte
	IsBinary  bool
}

// ParseBroadcast reads the broadcast out of a frame: a text push of any version
// or a binary push of kind 3. What it returns shares no memory with the frame.
func ParseBroadcast(f *Frame) (Broadcast, *Error) {
	if f.IsBinary {
		return Broadcast{Event: f.UserEvent, IsBinary: true, Binary: bytes.Clone(f.Binary)}, nil
	}
	if f.Kind3 {
		return NewBroadcast(f.UserEvent, f.Payload), nil
	}
	return parseTextBroadcast(f.Payload)
}

// NewBroadcast makes a broadcast of a user's JSON payload.
func NewBroadcast(event string, payload []byte) Broadcast {
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	body := make([]byte, 0, len(payload)+len(event)+48)
	body = append(body, `{"type":"broadcast","event":`...)
	body = AppendString(body, event)
	body = append(body, `,"payload":`...)
	body = append(body, payload...)
	return Broadcast{Event: event, Body: append(body, '}')}
}

func parseTextBroadcast(payload []byte) (Broadcast, *Error) {
	var b Broadcast
	var meta *member
	ok := members(payload, func(m member) bool {
		switch m.key {
		case "event":
			b.Event = stringValue(m.value)
		case "meta":
			meta = &m
		}
		return true
	})
	if !ok {
		return b, &Error{Code: CodeInvalidPayload, Message: "a broadcast's payload must be an object with event and payload"}
	}
	if meta == nil {
		b.Body = bytes.Clone(bytes.TrimSpace(payload))
		return b, nil
	}
	members(meta.value, func(m member) bool {
		switch m.key {
		case "id":
			b.ID = stringValue(m.value)
		case "ephemeral":
			b.Ephemeral = string(m.value) == "true"
		}
		return true
	})
	if len(b.ID) > MaxIDBytes {
		return b, &Error{Code: CodeInvalidPayload, Message: "meta.id is longer than " + strconv.Itoa(MaxIDBytes) + " bytes"}
	}
	b.Body = without(payload, meta)
	return b, nil
}

// without copies an object, leaving one member out.
func without(object []byte, m *member) []byte {
	object = object[:len(bytes.TrimRight(object, " \n\t\r"))]
	out := make([]byte, 0, len(object))
	before := bytes.TrimRight(object[:m.start], " \n\t\r")
	after := object[skipSpace(object, m.end):]
	if before[len(before)-1] == ',' {
		before = before[:len(before)-1]
	} else if after[0] == ',' {
		after = after[1:]
	}
	out = append(out, bytes.TrimLeft(before, " \n\t\r")...)
	return append(out, after...)
}

// BroadcastMeta is what the server says of a broadcast in its meta (B1).
type BroadcastMeta struct {
	ID       string
	Offset   uint64 // 0 for ephemeral messages
	Replayed bool
}

func (m BroadcastMeta) append(dst []byte) []byte {
	dst = append(dst, '{')
	if m.ID != "" {
		dst = append(dst, `"id":`...)
		dst = AppendString(dst, m.ID)
	}
	if m.Offset > 0 {
		dst = comma(dst)
		dst = append(dst, `"offset":`...)
		dst = appendUint(dst, m.Offset)
	}
	if m.Replayed {
		dst = comma(dst)
		dst = append(dst, `"replayed":true`...)
	}
	return append(dst, '}')
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return dst
}

// EncodeBroadcast encodes a broadcast of a JSON body for all members of one
// version.
func EncodeBroadcast(v Version, topic string, body []byte, meta BroadcastMeta) Message {
	buf := begin(len(body) + len(topic) + len(meta.ID) + 112)
	buf = appendHead(buf, v, "", "", topic, EventBroadcast)
	buf = append(buf, body[:len(body)-1]...)
	if last := bytes.TrimRight(body[:len(body)-1], " \n\t\r"); last[len(last)-1] != '{' {
		buf = append(buf, ',')
	}
	buf = append(buf, `"meta":`...)
	buf = meta.append(buf)
	buf = append(buf, '}')
	return finish(appendTail(buf, v, ""), false)
}

// EncodeBinaryBroadcast encodes a frame of kind 4 (F4). It is empty when topic
// or event do not fit their length bytes.
func EncodeBinaryBroadcast(topic, event string, payload []byte, meta BroadcastMeta) Message {
	metadata := meta.append(nil)
	if len(topic) > 255 || len(event) > 255 || len(metadata) > 255 {
		return Message{}
	}
	buf := begin(5 + len(topic) + len(event) + len(metadata) + len(payload))
	buf = append(buf, kindUserBroadcast, byte(len(topic)), byte(len(event)), byte(len(metadata)), 0)
	buf = append(buf, topic...)
	buf = append(buf, event...)
	buf = append(buf, metadata...)
	return finish(append(buf, payload...), true)
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

func appendBool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }
