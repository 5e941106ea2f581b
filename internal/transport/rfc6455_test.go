package transport

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The cases of the Autobahn test suite that apply to a server without extensions,
// by its numbers. Echoes (1, 9 and 10) are the tests of reading and writing.
func TestRFC6455(t *testing.T) {
	closing := func(code int, reason string) []byte {
		return clientFrame(true, ws.OpClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
	}
	for _, tt := range []struct {
		name string
		in   [][]byte
		code int // of the close frame that answers
	}{
		{"2.5 a ping of 126 bytes", [][]byte{clientFrame(true, ws.OpPing, strings.Repeat("x", 126))}, 1002},
		{"3.1 a reserved bit", [][]byte{append([]byte{0xc1, 0x80}, 1, 2, 3, 4)}, 1002},
		{"4.1.1 a reserved opcode", [][]byte{append([]byte{0x83, 0x80}, 1, 2, 3, 4)}, 1002},
		{"4.2.1 a reserved opcode of control", [][]byte{append([]byte{0x8b, 0x80}, 1, 2, 3, 4)}, 1002},
		{"5.1 a fragmented ping", [][]byte{clientFrame(false, ws.OpPing, "x")}, 1002},
		{"5.9 a continuation of nothing", [][]byte{clientFrame(true, ws.OpContinuation, "x")}, 1002},
		{"5.18 a text inside a text", [][]byte{clientFrame(false, ws.OpText, "x"), clientFrame(true, ws.OpText, "y")}, 1002},
		{"6.3.1 text that is not UTF-8", [][]byte{clientFrame(true, ws.OpText, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited")}, 1007},
		{"6.4.1 fragments that are not UTF-8 together", [][]byte{clientFrame(false, ws.OpText, "\xf4\x90"), clientFrame(true, ws.OpContinuation, "\x80\x80")}, 1007},
		{"7.3.1 a close without a code", [][]byte{clientFrame(true, ws.OpClose, "")}, 1000},
		{"7.3.2 a close with half a code", [][]byte{clientFrame(true, ws.OpClose, "x")}, 1002},
		{"7.3.5 the longest reason", [][]byte{closing(1000, strings.Repeat("x", 123))}, 1000},
		{"7.3.6 a reason that is too long", [][]byte{closing(1000, strings.Repeat("x", 124))}, 1002},
		{"7.5.1 a reason that is not UTF-8", [][]byte{closing(1000, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80")}, 1007},
	} {
		bothPairs(t, tt.name, 1<<20, func(t *testing.T, p *pair) {
			p.write(t, tt.in...)
			if code, _ := p.closeCode(t); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
		})
	}
	codes := map[int]int{}
	for _, good := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		codes[good] = good
	}
	for _, bad := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		codes[bad] = 1002
	}
	for sent, want := range codes {
		bothPairs(t, fmt.Sprintf("7.7 and 7.9 a close with %d", sent), 1<<20, func(t *testing.T, p *pair) {
			p.write(t, closing(sent, ""))
			if code, _ := p.closeCode(t); code != want {
				t.Errorf("code %d, want %d", code, want)
			}
		})
	}
	bothPairs(t, "6.2.3 text whose characters are cut by fragments", 1<<20, func(t *testing.T, p *pair) {
		text := "Hello-µ@ßöäüàá-UTF-8!!"
		for i := range len(text) {
			op := ws.OpContinuation
			if i == 0 {
				op = ws.OpText
			}
			p.write(t, clientFrame(i == len(text)-1, op, text[i:i+1]))
		}
		if got := p.record.wait(t, 1); got[0] != "text:"+text {
			t.Errorf("got %q", got)
		}
	})
	bothPairs(t, "7.1.3 a ping behind a close is not answered", 1<<20, func(t *testing.T, p *pair) {
		p.write(t, closing(1000, ""), clientFrame(true, ws.OpPing, "x"))
		f, err := ws.ReadFrame(p.client)
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Fatalf("%+v, %v", f.Header, err)
		}
		if f, err := ws.ReadFrame(p.client); err == nil && f.Header.OpCode == ws.OpPong {
			t.Error("a pong")
		}
	})
}
