package natsengine

import (
	"encoding/hex"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
)

// The subjects, below the prefix. <p> is a partition, <channel> an escaped name:
//
//	log.<p>.<channel>       the channel's log, stored
//	part.<p>.<channel>      pieces of what is too large for one message, stored
//	live.<p>.log.<channel>  what was stored in log, published by the stream
//	live.<p>.ev.<channel>   what nodes tell each other about the channel
//	node.all                what nodes tell each other
//	node.to.<node>          what one node is told
type subjects struct{ prefix string }

func (s subjects) log(p int, channel string) string  { return s.of("log", p, channel) }
func (s subjects) part(p int, channel string) string { return s.of("part", p, channel) }
func (s subjects) of(kind string, p int, rest string) string {
	return s.prefix + "." + kind + "." + strconv.Itoa(p) + "." + rest
}

func (s subjects) live(p int, kind, channel string) string {
	return s.of("live", p, kind+"."+channel)
}
func (s subjects) nodes() string         { return s.prefix + ".node.all" }
func (s subjects) node(id string) string { return s.prefix + ".node.to." + id }
func (s subjects) isOfNodes(subject string) bool {
	return strings.HasPrefix(subject, s.prefix+".node.")
}
func (s subjects) stream(p int) string     { return s.prefix + "-" + strconv.Itoa(p) }
func partition(channel string, of int) int { return int(hash(channel) % uint32(of)) }

// hash is stable: it says where a channel is stored.
func hash(channel string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(channel)) // cannot fail
	return h.Sum32()
}

// channelOf returns the last token of a subject, and the one before it.
func channelOf(subject string) (kind, escaped string) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 {
		return "", subject
	}
	rest := subject[:i]
	return rest[strings.LastIndexByte(rest, '.')+1:], subject[i+1:]
}

// plain says which bytes stand for themselves in a token.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == ':' || c == '/' || c == '@'
}

// escape makes a subject's token of a channel's name: what is not plain becomes
// = and two hex digits.
func escape(name string) string {
	clean := true
	for i := range len(name) {
		clean = clean && plain(name[i])
	}
	if clean {
		return name
	}
	const digits = "0123456789abcdef"
	out := make([]byte, 0, len(name)+16)
	for i := range len(name) {
		if c := name[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '=', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

var errEscape = errors.New("not a channel's token")

// unescape reads what escape wrote.
func unescape(token string) (string, error) {
	if strings.IndexByte(token, '=') < 0 {
		return token, nil
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			out = append(out, token[i])
			continue
		}
		if i+3 > len(token) {
			return "", errEscape
		}
		b, err := hex.DecodeString(token[i+1 : i+3])
		if err != nil {
			return "", errEscape
		}
		out = append(out, b[0])
		i += 2
	}
	return string(out), nil
}
