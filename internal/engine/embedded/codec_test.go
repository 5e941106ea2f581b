package embedded

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

func sampleRecord() *record {
	r := &record{keyed: true}
	r.Entry = engine.Entry{
		Offset: 131, Prev: 130, Time: 1764000000123, Kind: engine.KindChange,
		ID: "0192f0c1-2b3c-7000", Origin: "member-7", Data: []byte(`{"a":1}`),
	}
	return r
}

func sampleHeader() *header {
	return &header{
		Epoch: "abc.1", Generation: "G", Head: 300, First: 40, LostUnkeyed: 12, LostTombstone: 7, Appended: 1764000000123,
		Retention: engine.Retention{Messages: 256, Bytes: 8 << 20, Age: 10 * time.Minute},
	}
}

func TestCodec(t *testing.T) {
	t.Run("what is encoded is decoded", func(t *testing.T) {
		r := sampleRecord()
		got, err := decodeEntry(r.Offset, appendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("entry %+v, want %+v (%v)", got, r, err)
		}
		r.until = r.Time + 60_000
		got, err = decodeEntry(r.Offset, appendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("entry that stays %+v, want %+v (%v)", got, r, err)
		}
		if appended, until, err := entryTimes(appendEntry(nil, r)); appended != r.Time || until != r.until || err != nil {
			t.Errorf("times %d and %d, want %d and %d (%v)", appended, until, r.Time, r.until, err)
		}
		v := &value{time: -5}
		v.Value = engine.Value{Key: "k", Version: 9, Tombstone: true, Data: []byte("d")}
		gotValue, err := decodeValue("k", appendValue(nil, v))
		if err != nil || !reflect.DeepEqual(gotValue, v) {
			t.Errorf("value %+v, want %+v (%v)", gotValue, v, err)
		}
		h := sampleHeader()
		gotHeader, err := decodeHeader(appendHeader(nil, h))
		if err != nil || gotHeader != *h {
			t.Errorf("header %+v, want %+v (%v)", gotHeader, h, err)
		}
	})

	t.Run("what is cut short or of another version is corrupt", func(t *testing.T) {
		h := appendHeader(nil, sampleHeader())
		for n := range h {
			if _, err := decodeHeader(h[:n]); !errors.Is(err, errCorrupt) {
				t.Errorf("%d bytes: got %v", n, err)
			}
		}
		h[0]++
		if _, err := decodeHeader(h); !errors.Is(err, errCorrupt) {
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

func FuzzDecodeEntry(f *testing.F) {
	f.Add(uint64(131), appendEntry(nil, sampleRecord()))
	f.Add(uint64(2), appendEntry(nil, &record{until: 1764000000123}))
	f.Add(uint64(1), []byte{codecVersion, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, offset uint64, b []byte) {
		r, err := decodeEntry(offset, b)
		if err != nil {
			return
		}
		again, err := decodeEntry(offset, appendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v (%v)", r, again, err)
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(appendValue(nil, &value{Value: engine.Value{Version: 7, Tombstone: true, Data: []byte("x")}, time: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeValue("k", b)
		if err != nil {
			return
		}
		again, err := decodeValue("k", appendValue(nil, v))
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%+v became %+v (%v)", v, again, err)
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
