package protocol

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// Broadcast is what a client pushed to be broadcast. Body is the JSON object
// that members will receive, without meta; for raw bytes it is nil and Binary
// holds them.
type Broadcast struct {
	Event    string
	Pushed   PushedMeta
	Body     []byte
	Binary   []byte
	IsBinary bool
}

// PushedMeta is what a client says about a broadcast besides its content: meta
// of a text push, the metadata of a push of kind 3.
type PushedMeta struct {
	ID        string // "" when the client gave none
	Ephemeral bool
	Persist   time.Duration // how long it is to be kept (B6); 0 when that was not asked
}

// Size is the number of bytes that members will receive, but for the frame.
func (b *Broadcast) Size() int { return len(b.Body) + len(b.Binary) }

// ParseBroadcast reads the broadcast out of a frame: a text push of any version
// or a binary push of kind 3. What it returns shares no memory with the frame.
// With an error it still says whether the message was to be kept.
func ParseBroadcast(f *Frame) (Broadcast, *Error) {
	if !f.IsBinary && !f.Kind3 {
		return parseTextBroadcast(f.Payload)
	}
	meta, fault := parseMeta(f.Metadata)
	b := Broadcast{Event: f.UserEvent, IsBinary: true}
	switch {
	case fault != nil:
		return Broadcast{Pushed: meta}, fault
	case f.IsBinary:
		b.Binary = bytes.Clone(f.Binary)
	default:
		b = NewBroadcast(f.UserEvent, f.Payload)
	}
	b.Pushed = meta
	return b, nil
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
	var fault *Error
	b.Pushed, fault = parseMeta(meta.value)
	b.Body = without(payload, meta)
	return b, fault
}

// parseMeta reads what is known in a meta; what is no object says nothing.
func parseMeta(raw []byte) (PushedMeta, *Error) {
	var meta PushedMeta
	var fault *Error
	members(raw, func(m member) bool {
		switch m.key {
		case "id":
			meta.ID = stringValue(m.value)
		case "ephemeral":
			meta.Ephemeral = string(m.value) == "true"
		case "persist":
			meta.Persist, fault = parsePersist(m.value)
		}
		return true
	})
	switch {
	case fault != nil:
	case !fitsAsJSON(meta.ID):
		fault = &Error{Code: CodeInvalidPayload, Message: "meta.id is longer than " + strconv.Itoa(MaxIDBytes) + " bytes"}
	case meta.Ephemeral && meta.Persist > 0:
		fault = &Error{Code: CodeInvalidPayload, Message: "a message is either ephemeral or persisted"}
	}
	return meta, fault
}

// fitsAsJSON bounds an id by its size between quotes, escapes included: it has to
// fit the one byte for the length of metadata in a frame of kind 4.
func fitsAsJSON(id string) bool {
	var room [MaxIDBytes + 2]byte // so that the usual id costs no allocation
	return len(id) <= MaxIDBytes && len(AppendString(room[:0], id)) <= len(room)
}

// parsePersist reads true or {"ttl": seconds}; false and null ask for nothing.
func parsePersist(raw []byte) (time.Duration, *Error) {
	switch string(raw) {
	case "true":
		return DefaultPersist, nil
	case "false", "null":
		return 0, nil
	}
	seconds := int64(0)
	members(raw, func(m member) bool {
		if m.key == "ttl" {
			seconds, _ = strconv.ParseInt(string(m.value), 10, 64) // 0 is refused below
		}
		return true
	})
	return PersistFor(seconds)
}

// PersistFor is how long a message with a ttl of so many seconds is to be kept.
// With an error it is not 0, so that who asks knows that something was asked.
func PersistFor(seconds int64) (time.Duration, *Error) {
	const most = int64(MaxPersist / time.Second)
	if seconds < 1 || seconds > most {
		return DefaultPersist, &Error{Code: CodeInvalidPayload, Message: "persist is true or an object with a ttl of 1 to " + strconv.FormatInt(most, 10) + " seconds"}
	}
	return time.Duration(seconds) * time.Second, nil
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

// EncodeBinaryPush encodes a push of raw bytes, a frame of kind 3 (F3), as a
// client sends it; metadata is a JSON object with the keys of meta. It is nil when
// one of the strings does not fit its length byte.
func EncodeBinaryPush(joinRef, ref, topic, event string, metadata, payload []byte) []byte {
	out := []byte{kindUserPush, byte(len(joinRef)), byte(len(ref)), byte(len(topic)), byte(len(event)), byte(len(metadata)), 0}
	for _, s := range []string{joinRef, ref, topic, event, string(metadata)} {
		if len(s) > 255 {
			return nil
		}
		out = append(out, s...)
	}
	return append(out, payload...)
}

// DecodeBinaryBroadcast decodes a frame of kind 4 (F4), as a client receives it,
// in the form that DecodeBinary gives a push: UserEvent, Metadata and Binary are
// set. The payload shares memory with the input.
func DecodeBinaryBroadcast(data []byte) (Frame, error) {
	if len(data) == 0 || data[0] != kindUserBroadcast {
		return Frame{}, malformed("no binary broadcast")
	}
	parts, rest, err := cut(data, 5, 1, 3)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Topic: parts[0], Event: EventBroadcast, UserEvent: parts[1], IsBinary: true, Binary: rest}
	if data[4] != 0 {
		return Frame{}, malformed("a binary broadcast that is not of raw bytes")
	}
	if parts[2] != "" {
		if !valid([]byte(parts[2])) || !isObject([]byte(parts[2])) {
			return Frame{}, malformed("metadata is not a JSON object")
		}
		f.Metadata = json.RawMessage(parts[2])
	}
	return f, nil
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

func appendBool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }
