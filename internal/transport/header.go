package transport

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

var errHeader = errors.New("a frame's header is broken")

// readHeader reads a frame's header (RFC 6455, 5.2) at the front of data, and says how
// many bytes it has; 0 while they are not all there. ws.ReadHeader does the same from
// an io.Reader, at the price of two allocations for every frame.
func readHeader(data []byte) (h ws.Header, size int, err error) {
	if len(data) < 2 {
		return h, 0, nil
	}
	h = ws.Header{Fin: data[0]&0x80 != 0, Rsv: data[0] & 0x70 >> 4, OpCode: ws.OpCode(data[0] & 0x0f), Masked: data[1]&0x80 != 0}
	size = 2
	length := data[1] & 0x7f
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	mask := size
	if h.Masked {
		size += len(h.Mask)
	}
	if len(data) < size {
		return h, 0, nil
	}
	switch length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		if h.Length = int64(binary.BigEndian.Uint64(data[2:])); h.Length < 0 {
			return h, 0, errHeader
		}
	default:
		h.Length = int64(length)
	}
	if h.Masked {
		copy(h.Mask[:], data[mask:])
	}
	return h, size, nil
}
