package bench

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// errNotUpgrade is what the floor says of a request that is no WebSocket upgrade.
var errNotUpgrade = errors.New("not a WebSocket upgrade")

// errFloorFrame is what the floor says of a frame that the generator does not
// send: unmasked, in fragments, or larger than a push.
var errFloorFrame = errors.New("frame that the floor does not take")

// floorFrameMax bounds a frame that the floor copies. It is made for pushes of a
// few hundred bytes.
const floorFrameMax = 60 << 10

// parseUpgrade reads an upgrade request from the front of data: its path, the
// answer to it, and how long the request is. n is 0 while it is not complete.
func parseUpgrade(data []byte) (path string, answer []byte, n int, err error) {
	head, _, complete := bytes.Cut(data, []byte("\r\n\r\n"))
	if !complete {
		return "", nil, 0, nil
	}
	lines := bytes.Split(head, []byte("\r\n"))
	request := bytes.Fields(lines[0])
	var key []byte
	for _, line := range lines[1:] {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Sec-WebSocket-Key")) {
			key = bytes.TrimSpace(value)
		}
	}
	if len(request) != 3 || len(key) == 0 {
		return "", nil, 0, errNotUpgrade
	}
	// RFC 6455, 4.2.2: the key and this text, hashed.
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	answer = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
	return string(request[1]), answer, len(head) + 4, nil
}

// turnFrame makes, in place, a server's frame of a client's frame at the front of
// data: unmasked, behind a shorter header. n is how long the client's frame is, 0
// while it is not complete.
func turnFrame(data []byte) (op ws.OpCode, out []byte, n int, err error) {
	if len(data) < 2 {
		return 0, nil, 0, nil
	}
	if data[0]&0x80 == 0 || data[1]&0x80 == 0 || data[1]&0x7f == 127 {
		return 0, nil, 0, errFloorFrame
	}
	op = ws.OpCode(data[0] & 0xf)
	size, header := int(data[1]&0x7f), 6
	if size == 126 {
		if len(data) < 4 {
			return 0, nil, 0, nil
		}
		size, header = int(binary.BigEndian.Uint16(data[2:])), 8
	}
	if size > floorFrameMax {
		return 0, nil, 0, errFloorFrame
	}
	n = header + size
	if len(data) < n {
		return 0, nil, 0, nil
	}
	mask := [4]byte(data[header-4 : header])
	if mask != [4]byte{} {
		ws.Cipher(data[header:n], mask, 0)
	}
	// A server's header is the client's without the mask, four bytes shorter.
	out = data[4:n]
	copy(out, data[:header-4])
	out[1] &^= 0x80
	return op, out, n, nil
}
