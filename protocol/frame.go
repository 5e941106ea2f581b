package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Version is the serializer a socket asked for with vsn.
type Version uint8

const (
	V1 Version = 1 // JSON objects, text only (F1)
	V2 Version = 2 // JSON arrays and binary frames (F2 to F4)
)

// ParseVersion reads the vsn of a request; "" is 1.0.0.
func ParseVersion(vsn string) (Version, bool) {
	switch vsn {
	case "", "1.0.0":
		return V1, true
	case "2.0.0":
		return V2, true
	}
	return 0, false
}

// Events of the wire.
const (
	EventJoin          = "phx_join"
	EventLeave         = "phx_leave"
	EventReply         = "phx_reply"
	EventClose         = "phx_close"
	EventError         = "phx_error"
	EventHeartbeat     = "heartbeat"
	EventAccessToken   = "access_token"
	EventBroadcast     = "broadcast"
	EventPresence      = "presence"
	EventPresenceState = "presence_state"
	EventPresenceDiff  = "presence_diff"
	EventSystem        = "system"
	EventMutate        = "mutate"
	EventChange        = "change"
	EventRecords       = "records"
	EventSynced        = "synced"
)

// TopicPhoenix is the topic of heartbeats, TopicPrefix that of channels.
const (
	TopicPhoenix = "phoenix"
	TopicPrefix  = "realtime:"
)

// Frame is one decoded frame from a client. Refs are "" when null. Payload, and
// Binary for a push of kind 3 with raw bytes, share memory with the input.
type Frame struct {
	JoinRef string
	Ref     string
	Topic   string
	Event   string
	Payload json.RawMessage

	// UserEvent, Metadata and Binary are set for binary pushes of kind 3, whose
	// Event is EventBroadcast. With IsBinary the payload is Binary; otherwise
	// Payload is the user's JSON.
	Kind3     bool
	IsBinary  bool
	UserEvent string
	Metadata  json.RawMessage
	Binary    []byte
}

// ErrMalformed is wrapped by everything that Decode refuses (F5).
var ErrMalformed = errors.New("malformed frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// DecodeText decodes a text frame of the given version.
func DecodeText(v Version, data []byte) (Frame, error) {
	if !valid(data) {
		return Frame{}, malformed("not JSON in UTF-8")
	}
	if v == V1 {
		return decodeObject(data)
	}
	return decodeArray(data)
}

func decodeArray(data []byte) (Frame, error) {
	var f Frame
	n := 0
	fault := ""
	ok := elements(data, func(i int, value []byte) bool {
		n++
		switch i {
		case 0:
			f.JoinRef = refValue(value)
		case 1:
			f.Ref = refValue(value)
		case 2:
			f.Topic = nameValue(value)
			if !isString(value) {
				fault = "topic is not a string"
			}
		case 3:
			f.Event = nameValue(value)
			if !isString(value) {
				fault = "event is not a string"
			}
		case 4:
			f.Payload = value
		}
		return i < 4
	})
	switch {
	case !ok:
		return Frame{}, malformed("not an array")
	case n < 5:
		return Frame{}, malformed("%d elements, want 5", n)
	case fault != "":
		return Frame{}, malformed("%s", fault)
	}
	return f, checkRefs(&f)
}

// checkRefs bounds what is kept of a frame, and repeated to its sender.
func checkRefs(f *Frame) error {
	if len(f.Ref) > MaxIDBytes || len(f.JoinRef) > MaxIDBytes {
		return malformed("a ref is longer than %d bytes", MaxIDBytes)
	}
	return nil
}

func decodeObject(data []byte) (Frame, error) {
	var f Frame
	var hasTopic, hasEvent, hasPayload, hasRef bool
	ok := members(data, func(m member) bool {
		switch m.key {
		case "topic":
			f.Topic, hasTopic = nameValue(m.value), isString(m.value)
		case "event":
			f.Event, hasEvent = nameValue(m.value), isString(m.value)
		case "payload":
			f.Payload, hasPayload = m.value, true
		case "ref":
			f.Ref, hasRef = refValue(m.value), true
		case "join_ref":
			f.JoinRef = refValue(m.value)
		}
		return true
	})
	switch {
	case !ok:
		return Frame{}, malformed("not an object")
	case !hasTopic || !hasEvent || !hasPayload || !hasRef:
		return Frame{}, malformed("topic, event, payload and ref are required")
	}
	return f, checkRefs(&f)
}

// Kinds of binary frames.
const (
	kindPush          = 0
	kindUserPush      = 3
	kindUserBroadcast = 4
)

// DecodeBinary decodes a binary frame: kinds 0 and 3 (F3). The topic of a kind 3
// must begin as a channel's does. Clients from before 2.85 sent kind 3 without
// the length of the metadata, which shifts everything by one byte: without this
// check parts of their topics would be taken for refs and payloads.
func DecodeBinary(data []byte) (Frame, error) {
	if len(data) == 0 {
		return Frame{}, malformed("empty")
	}
	switch data[0] {
	case kindPush:
		return decodePush(data)
	case kindUserPush:
		return decodeUserPush(data)
	}
	return Frame{}, malformed("binary kind %d", data[0])
}

func decodePush(data []byte) (Frame, error) {
	parts, rest, err := cut(data, 5, 1, 4)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{JoinRef: parts[0], Ref: parts[1], Topic: parts[2], Event: parts[3], IsBinary: true, Binary: rest}
	return f, nil
}

func decodeUserPush(data []byte) (Frame, error) {
	parts, rest, err := cut(data, 7, 1, 5)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{JoinRef: parts[0], Ref: parts[1], Topic: parts[2], Event: EventBroadcast, Kind3: true, UserEvent: parts[3]}
	if !strings.HasPrefix(f.Topic, TopicPrefix) {
		return Frame{}, malformed("topic of a kind 3 is no channel's")
	}
	if parts[4] != "" {
		if !valid([]byte(parts[4])) || !isObject([]byte(parts[4])) {
			return Frame{}, malformed("metadata is not a JSON object")
		}
		f.Metadata = json.RawMessage(parts[4])
	}
	if data[6] == 0 {
		f.IsBinary, f.Binary = true, rest
		return f, nil
	}
	if !valid(rest) {
		return Frame{}, malformed("payload is not JSON")
	}
	f.Payload = rest
	return f, nil
}

// cut reads n strings whose lengths are the bytes from lengthsAt on, behind a
// header of the given size, and returns them and what follows.
func cut(data []byte, header, lengthsAt, n int) (parts [5]string, rest []byte, err error) {
	if len(data) < header {
		return parts, nil, malformed("%d bytes, want a header of %d", len(data), header)
	}
	at := header
	for i := range n {
		end := at + int(data[lengthsAt+i])
		if end > len(data) {
			return parts, nil, malformed("lengths exceed the frame")
		}
		if !utf8.Valid(data[at:end]) {
			return parts, nil, malformed("not UTF-8")
		}
		parts[i] = string(data[at:end])
		at = end
	}
	return parts, data[at:], nil
}
