package protocol

import (
	"errors"
	"strconv"
)

// MaxLanes is how many lanes a shared socket may have at a time: the tabs that a
// person keeps open, and few enough that a socket costs no more than 32 do.
const MaxLanes = 32

// maxLaneDigits bounds the number of a lane: a socket on which a lane is opened
// each second lasts for thirty years.
const maxLaneDigits = 9

// LaneHeadroom is by how many bytes a frame in a lane may be longer than without.
const LaneHeadroom = maxLaneDigits

// What stands behind the number of a lane, if it is no frame. No frame begins so.
const (
	laneOpens  = '+'
	laneCloses = '-'
)

// LaneVerb is what a client does with a lane.
type LaneVerb uint8

// The verbs of clients.
const (
	LaneCarry LaneVerb = iota // a frame
	LaneOpen                  // with a token
	LaneClose
)

// LaneFrame is a frame of a shared socket (W2).
type LaneFrame struct {
	Lane uint32
	Verb LaneVerb
	Body []byte // the frame, or the token; a part of what was decoded
}

// ErrNoLane says that a frame of a shared socket does not begin as W2 demands.
var ErrNoLane = errors.New("a frame of a shared socket begins with the number of its lane, from 1 to 999999999")

// DecodeLane decodes a client's frame of a shared socket. Its error is ErrNoLane.
func DecodeLane(data []byte, isBinary bool) (LaneFrame, error) {
	f := LaneFrame{}
	digits := 0
	for digits < len(data) && data[digits] >= '0' && data[digits] <= '9' {
		if digits == maxLaneDigits {
			return f, ErrNoLane
		}
		f.Lane = f.Lane*10 + uint32(data[digits]-'0')
		digits++
	}
	if digits == 0 || data[0] == '0' {
		return LaneFrame{}, ErrNoLane
	}
	f.Body = data[digits:]
	if isBinary || len(f.Body) == 0 {
		return f, nil
	}
	switch f.Body[0] {
	case laneOpens:
		f.Verb, f.Body = LaneOpen, f.Body[1:]
	case laneCloses:
		f.Verb, f.Body = LaneClose, nil
	}
	return f, nil
}

// EncodeLaneClose is what a close frame would say, for one lane.
func EncodeLaneClose(lane uint32, code int, reason string) Message {
	buf := strconv.AppendUint(begin(16+len(reason)), uint64(lane), 10)
	buf = append(buf, laneCloses)
	buf = strconv.AppendInt(buf, int64(code), 10)
	buf = append(buf, ' ')
	return finish(append(buf, reason...), false)
}

// SizeInLane is how many bytes AppendInLane appends.
func (m Message) SizeInLane(lane uint32) int {
	size := len(m.Payload())
	for ; lane > 0; lane /= 10 {
		size++
	}
	return headerSize(size) + size
}

// AppendInLane appends the WebSocket frame that carries the message in a lane,
// header included. It is a copy, which is what bytes that others share cost when
// they are to begin differently.
func (m Message) AppendInLane(dst []byte, lane uint32) []byte {
	var number [maxLaneDigits]byte
	prefix := strconv.AppendUint(number[:0], uint64(lane), 10)
	payload := m.Payload()
	var header [headroom]byte
	start := putHeader(header[:], len(prefix)+len(payload), m.binary)
	dst = append(dst, header[start:]...)
	dst = append(dst, prefix...)
	return append(dst, payload...)
}
