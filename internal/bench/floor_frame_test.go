package bench

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

func TestTurnFrame(t *testing.T) {
	t.Run("a client's frame becomes the server's frame of the same payload", rapid.MakeCheck(func(t *rapid.T) {
		payload := bytes.Repeat([]byte{'x'}, rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, floorFrameMax)).Draw(t, "size"))
		mask := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
		in, err := ws.CompileFrame(ws.MaskFrameWith(ws.NewTextFrame(payload), mask))
		if err != nil {
			t.Fatal(err)
		}
		want, err := ws.CompileFrame(ws.NewTextFrame(payload))
		if err != nil {
			t.Fatal(err)
		}
		following := append(bytes.Clone(in), 0x81)
		op, out, n, err := turnFrame(following)
		if err != nil || op != ws.OpText || n != len(in) || !bytes.Equal(out, want) {
			t.Fatalf("op %v, %d of %d bytes, error %v, equal %v", op, n, len(in), err, bytes.Equal(out, want))
		}
	}))

	t.Run("a frame that is not complete is left as it is", func(t *testing.T) {
		in, _ := ws.CompileFrame(ws.MaskFrameWith(ws.NewTextFrame(make([]byte, 300)), [4]byte{1, 2, 3, 4}))
		for cut := range len(in) {
			data := bytes.Clone(in[:cut])
			if _, _, n, err := turnFrame(data); n != 0 || err != nil || !bytes.Equal(data, in[:cut]) {
				t.Fatalf("%d of %d bytes: n %d, error %v", cut, len(in), n, err)
			}
		}
	})

	t.Run("frames that no generator sends are refused", func(t *testing.T) {
		unmasked, _ := ws.CompileFrame(ws.NewTextFrame([]byte("x")))
		fragment, _ := ws.CompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte("x"))))
		large, _ := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, 1<<16))))
		for name, data := range map[string][]byte{"unmasked": unmasked, "fragment": fragment, "large": large} {
			if _, _, _, err := turnFrame(data); !errors.Is(err, errFloorFrame) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestParseUpgrade(t *testing.T) {
	// The key and its answer are the example of RFC 6455, 1.3.
	request := "GET /room-1 HTTP/1.1\r\nHost: x\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	path, answer, n, err := parseUpgrade([]byte(request + "more"))
	if err != nil || path != "/room-1" || n != len(request) || !bytes.Contains(answer, []byte("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
		t.Errorf("path %q, %d bytes, error %v, answer %q", path, n, err, answer)
	}
	if _, _, n, err := parseUpgrade([]byte(request[:len(request)-1])); n != 0 || err != nil {
		t.Errorf("an incomplete request: %d bytes, error %v", n, err)
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n"} {
		if _, _, _, err := parseUpgrade([]byte(bad)); !errors.Is(err, errNotUpgrade) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzFloorInput(f *testing.F) {
	frame, _ := ws.CompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte("hello")), [4]byte{1, 2, 3, 4}))
	f.Add(frame)
	f.Add([]byte("GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, n, _ := parseUpgrade(data); n > len(data) {
			t.Errorf("a request of %d bytes in %d", n, len(data))
		}
		if _, out, n, err := turnFrame(bytes.Clone(data)); n > len(data) || len(out) > max(n, 0) || err != nil && n != 0 {
			t.Errorf("a frame of %d bytes in %d, made %d: %v", n, len(data), len(out), err)
		}
	})
}
