package embedded

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

func sampleHeader() *header {
	return &header{
		Epoch: "abc.1", Generation: "G", Head: 300, First: 40, LostUnkeyed: 12, LostTombstone: 7, Appended: 1764000000123,
		Retention: engine.Retention{Messages: 256, Bytes: 8 << 20, Age: 10 * time.Minute},
	}
}

func TestCodec(t *testing.T) {
	t.Run("what is encoded is decoded", func(t *testing.T) {
		h := sampleHeader()
		gotHeader, err := decodeHeader(appendHeader(nil, h))
		if err != nil || gotHeader != *h {
			t.Errorf("header %+v, want %+v (%v)", gotHeader, h, err)
		}
	})

	t.Run("what is cut short or of another version is corrupt", func(t *testing.T) {
		h := appendHeader(nil, sampleHeader())
		for n := range h {
			if _, err := decodeHeader(h[:n]); !errors.Is(err, chanlog.ErrCorrupt) {
				t.Errorf("%d bytes: got %v", n, err)
			}
		}
		h[0]++
		if _, err := decodeHeader(h); !errors.Is(err, chanlog.ErrCorrupt) {
			t.Errorf("version: got %v", err)
		}
	})

	t.Run("a channel's keys lie between its bounds, and no other's do", func(t *testing.T) {
		lower, upper := under(prefixEntry, "ab")
		for name, inside := range map[string]bool{"ab": true, "a": false, "abc": false, "ab\x01": false} {
			for _, off := range []uint64{0, 1, 1<<64 - 1} {
				key := appendEntryKey(nil, name, off)
				if got := bytes.Compare(key, lower) >= 0 && bytes.Compare(key, upper) < 0; got != inside {
					t.Errorf("%q offset %d is inside: %v", name, off, got)
				}
			}
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(appendHeader(nil, sampleHeader()))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, err := decodeHeader(appendHeader(nil, &h))
		if err != nil || again != h {
			t.Errorf("%+v became %+v (%v)", h, again, err)
		}
	})
}
