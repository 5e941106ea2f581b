package protocol

import (
	"encoding/json"
	"unicode/utf8"
)

// The scanner walks JSON that valid has accepted. Knowing that, it can cut
// a frame into its parts without building anything: user payloads are passed on
// as the bytes they came in.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at b[i] == '"'.
func skipString(b []byte, i int) int {
	for i = skipPlain(b, i+1); i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// skipValue returns the index behind the value that begins at b[i].
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// elements calls yield with each element of the array b until it returns false.
// It reports whether b is an array.
func elements(b []byte, yield func(i int, value []byte) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return false
	}
	i = skipSpace(b, i+1)
	for n := 0; i < len(b) && b[i] != ']'; n++ {
		end := skipValue(b, i)
		if !yield(n, b[i:end]) {
			return true
		}
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return true
}

// member is one key and value of an object, with the place of both in it.
type member struct {
	key        string
	quoted     []byte // the key as it stands there
	value      []byte
	start, end int // from the key's quote to behind the value
}

// members calls yield with each member of the object b until it returns false.
// It reports whether b is an object.
func members(b []byte, yield func(m member) bool) bool {
	return quotedMembers(b, func(m member) bool {
		m.key = nameValue(m.quoted)
		return yield(m)
	})
}

// quotedMembers is members for who reads keys as they stand there: key is not set.
func quotedMembers(b []byte, yield func(m member) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] != '}' {
		keyEnd := skipString(b, i)
		m := member{quoted: b[i:keyEnd], start: i}
		i = skipSpace(b, keyEnd)
		i = skipSpace(b, i+1) // the colon
		m.end = skipValue(b, i)
		m.value = b[i:m.end]
		if !yield(m) {
			return true
		}
		i = skipSpace(b, m.end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return true
}

// stringValue reads a JSON string; anything else is "".
func stringValue(b []byte) string {
	if len(b) < 2 || b[0] != '"' {
		return ""
	}
	for _, c := range b[1 : len(b)-1] {
		if c == '\\' || c >= utf8.RuneSelf {
			var s string
			if json.Unmarshal(b, &s) != nil {
				return ""
			}
			return s
		}
	}
	return string(b[1 : len(b)-1])
}

// nameValue is stringValue for what is mostly one of the wire's own names: those
// that stand in frames all the time are not allocated anew.
func nameValue(b []byte) string {
	if len(b) < 2 || b[0] != '"' {
		return ""
	}
	switch string(b[1 : len(b)-1]) {
	case TopicPhoenix:
		return TopicPhoenix
	case EventHeartbeat:
		return EventHeartbeat
	case EventBroadcast:
		return EventBroadcast
	case EventMutate:
		return EventMutate
	case EventPresence:
		return EventPresence
	case "topic":
		return "topic"
	case "event":
		return "event"
	case "payload":
		return "payload"
	case "ref":
		return "ref"
	case "join_ref":
		return "join_ref"
	case "type":
		return "type"
	case "meta":
		return "meta"
	case "id":
		return "id"
	}
	return stringValue(b)
}

// refValue reads a ref: a string, or a number as some clients send it; null and
// anything else are "".
func refValue(b []byte) string {
	if len(b) > 0 && (b[0] >= '0' && b[0] <= '9') {
		return string(b)
	}
	return stringValue(b)
}

func isString(b []byte) bool { return len(b) > 0 && b[0] == '"' }

func isObject(b []byte) bool { return len(b) > 0 && b[0] == '{' }

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, "\ufffd"...)
			i++
			from = i
			continue
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
