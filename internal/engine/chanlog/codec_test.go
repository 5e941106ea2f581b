package chanlog

import (
	"errors"
	"reflect"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func sampleRecord() *Record {
	r := &Record{Keyed: true}
	r.Entry = engine.Entry{
		Offset: 131, Prev: 130, Time: 1764000000123, Kind: engine.KindChange,
		ID: "0192f0c1-2b3c-7000", Origin: "member-7", Data: []byte(`{"a":1}`),
	}
	return r
}

func TestCodec(t *testing.T) {
	t.Run("what is encoded is decoded", func(t *testing.T) {
		r := sampleRecord()
		got, err := DecodeEntry(r.Offset, AppendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("entry %+v, want %+v (%v)", got, r, err)
		}
		r.Until = r.Time + 60_000
		got, err = DecodeEntry(r.Offset, AppendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("entry that stays %+v, want %+v (%v)", got, r, err)
		}
		if appended, until, err := EntryTimes(AppendEntry(nil, r)); appended != r.Time || until != r.Until || err != nil {
			t.Errorf("times %d and %d, want %d and %d (%v)", appended, until, r.Time, r.Until, err)
		}
		v := &Value{Time: -5}
		v.Value = engine.Value{Key: "k", Version: 9, Tombstone: true, Data: []byte("d")}
		gotValue, err := DecodeValue("k", AppendValue(nil, v))
		if err != nil || !reflect.DeepEqual(gotValue, v) {
			t.Errorf("value %+v, want %+v (%v)", gotValue, v, err)
		}
	})

	t.Run("what is cut short or of another version is corrupt", func(t *testing.T) {
		whole := AppendEntry(nil, sampleRecord())
		for n := range len(whole) - len(sampleRecord().Data) {
			if _, err := DecodeEntry(131, whole[:n]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes: got %v", n, err)
			}
		}
		whole[0]++
		if _, err := DecodeEntry(131, whole); !errors.Is(err, ErrCorrupt) {
			t.Errorf("version: got %v", err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(uint64(131), AppendEntry(nil, sampleRecord()))
	f.Add(uint64(2), AppendEntry(nil, &Record{Until: 1764000000123}))
	f.Add(uint64(1), []byte{CodecVersion, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, offset uint64, b []byte) {
		r, err := DecodeEntry(offset, b)
		if err != nil {
			return
		}
		again, err := DecodeEntry(offset, AppendEntry(nil, r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v (%v)", r, again, err)
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(AppendValue(nil, &Value{Value: engine.Value{Version: 7, Tombstone: true, Data: []byte("x")}, Time: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeValue("k", b)
		if err != nil {
			return
		}
		again, err := DecodeValue("k", AppendValue(nil, v))
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%+v became %+v (%v)", v, again, err)
		}
	})
}
