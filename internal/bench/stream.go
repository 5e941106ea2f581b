package bench

import (
	"encoding/binary"
	"fmt"

	"github.com/gobwas/ws"
)

// A stream cuts what a socket receives into frames, wherever reads end. For one
// goroutine.
type stream struct {
	rest []byte // a frame whose end did not come yet
}

// space puts the unfinished frame to the front of a buffer, which many streams may
// share, and returns where the next read goes: half of the buffer at least, which
// grows for that.
func (s *stream) space(buf *[]byte) []byte {
	if len(s.rest) > len(*buf)/2 {
		*buf = make([]byte, 4*len(s.rest))
	}
	return (*buf)[copy(*buf, s.rest):]
}

// cut calls each for every frame that is complete in data: the buffer of space, as
// far as it was filled. Payloads are good until it returns.
func (s *stream) cut(data []byte, each func(op ws.OpCode, payload []byte) error) error {
	for {
		op, payload, size, err := serverFrame(data)
		if err != nil {
			return err
		}
		if size == 0 {
			s.rest = append(s.rest[:0], data...)
			return nil
		}
		data = data[size:]
		if err := each(op, payload); err != nil {
			return err
		}
	}
}

// serverFrame reads the frame at the front of data; size is 0 while it is not
// complete.
func serverFrame(data []byte) (op ws.OpCode, payload []byte, size int, err error) {
	if len(data) < 2 {
		return 0, nil, 0, nil
	}
	header, length := 2, uint64(data[1]&0x7f)
	switch {
	case length == 126 && len(data) >= 4:
		header, length = 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case length == 127 && len(data) >= 10:
		header, length = 10, binary.BigEndian.Uint64(data[2:])
	case length >= 126:
		return 0, nil, 0, nil
	}
	if data[0]&0x80 == 0 || data[1]&0x80 != 0 || length > frameMax {
		return 0, nil, 0, fmt.Errorf("frame that no server should send: % x", data[:header])
	}
	size = header + int(length)
	if len(data) < size {
		return 0, nil, 0, nil
	}
	return ws.OpCode(data[0] & 0xf), data[header:size], size, nil
}
