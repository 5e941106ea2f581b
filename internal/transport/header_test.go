package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/gobwas/ws"
)

func FuzzReadHeader(f *testing.F) {
	for _, h := range []ws.Header{
		{Fin: true, OpCode: ws.OpText, Length: 5},
		{Fin: true, OpCode: ws.OpPing, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: 125},
		{Rsv: 7, OpCode: ws.OpContinuation, Masked: true, Mask: [4]byte{0xff}, Length: 126},
		{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: 1 << 40},
	} {
		var b bytes.Buffer
		if err := ws.WriteHeader(&b, h); err != nil {
			f.Fatal(err)
		}
		for n := range b.Len() {
			f.Add(b.Bytes()[:n])
		}
		f.Add(b.Bytes())
	}
	f.Add(bytes.Repeat([]byte{0xff}, 14)) // a length beyond what there is
	f.Fuzz(func(t *testing.T, data []byte) {
		src := bytes.NewReader(data)
		want, wantErr := ws.ReadHeader(src)
		got, size, err := readHeader(data)
		switch {
		case errors.Is(wantErr, io.EOF), errors.Is(wantErr, io.ErrUnexpectedEOF):
			if size != 0 {
				t.Errorf("%x: %+v of %d bytes, want none", data, got, size)
			}
		case wantErr != nil:
			if err == nil {
				t.Errorf("%x: %+v, want %v", data, got, wantErr)
			}
		case err != nil || got != want || size != len(data)-src.Len():
			t.Errorf("%x: %+v of %d bytes (%v), want %+v of %d", data, got, size, err, want, len(data)-src.Len())
		}
	})
}
