package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestStream(t *testing.T) {
	var wire []byte
	var want []string
	for _, f := range []ws.Frame{
		ws.NewTextFrame([]byte("a")), ws.NewTextFrame(nil), ws.NewPingFrame([]byte("p")), ws.NewTextFrame(bytes.Repeat([]byte("m"), 300)),
		ws.NewBinaryFrame(bytes.Repeat([]byte("l"), 70_000)), ws.NewTextFrame([]byte("z")),
	} {
		data, err := ws.CompileFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		wire = append(wire, data...)
		want = append(want, fmt.Sprint(f.Header.OpCode, len(f.Payload), string(f.Payload[:min(len(f.Payload), 1)])))
	}

	t.Run("frames are the same wherever reads end", func(t *testing.T) {
		for _, step := range []int{1, 2, 3, 7, 1000, 4096, len(wire)} {
			var s stream
			var got []string
			buf := make([]byte, 1<<10)
			for rest := wire; len(rest) > 0; {
				space := s.space(&buf)
				n := copy(space, rest[:min(step, len(rest))])
				rest = rest[n:]
				err := s.cut(buf[:len(buf)-len(space)+n], func(op ws.OpCode, payload []byte) error {
					got = append(got, fmt.Sprint(op, len(payload), string(payload[:min(len(payload), 1)])))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("reads of %d: %v, want %v", step, got, want)
			}
		}
	})

	t.Run("what no server should send is an error, and so is what the receiver says", func(t *testing.T) {
		for name, data := range map[string][]byte{
			"masked": {0x81, 0x81, 1, 2, 3, 4, 5}, "a fragment": {0x01, 0x00}, "too long": {0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0},
		} {
			var s stream
			if err := s.cut(data, func(ws.OpCode, []byte) error { return nil }); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		var s stream
		if err := s.cut([]byte{0x81, 0}, func(ws.OpCode, []byte) error { return errTest }); !errors.Is(err, errTest) {
			t.Errorf("error %v", err)
		}
	})
}
