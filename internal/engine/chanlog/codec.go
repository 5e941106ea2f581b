package chanlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/chorale-rt/chorale/internal/engine"
)

// CodecVersion is the first byte of everything that is encoded here.
const CodecVersion = 1

// ErrCorrupt is what decoders answer to bytes that no encoder made.
var ErrCorrupt = errors.New("corrupt")

const (
	flagKeyed = 1 // an entry that set keys
	flagUntil = 2 // an entry that stays beyond retention; its until follows the time

	flagTombstone = 1
)

// AppendEntry encodes a record. Its offset is in the key, and Prev is one less.
func AppendEntry(dst []byte, r *Record) []byte {
	var flags byte
	if r.Keyed {
		flags |= flagKeyed
	}
	if r.Until != 0 {
		flags |= flagUntil
	}
	dst = append(dst, CodecVersion, flags, byte(r.Kind))
	dst = binary.AppendVarint(dst, r.Time)
	if r.Until != 0 {
		dst = binary.AppendVarint(dst, r.Until)
	}
	dst = AppendString(dst, r.ID)
	dst = AppendString(dst, r.Origin)
	return append(dst, r.Data...)
}

// maxEncoded is what AppendEntry appends at most, in bytes.
func maxEncoded(r *Record) int {
	return 3 + 4*binary.MaxVarintLen64 + len(r.ID) + len(r.Origin) + len(r.Data)
}

// An encoded is what AppendEntry wrote, taken apart, with its memory.
type encoded struct {
	keyed            bool
	kind             engine.Kind
	time, until      int64
	id, origin, data []byte
}

func takeApart(b []byte) (e encoded, err error) {
	d := NewDecoder(b)
	version, flags, kind := d.Byte(), d.Byte(), d.Byte()
	e.keyed, e.kind = flags&flagKeyed != 0, engine.Kind(kind)
	e.time = d.Varint()
	if flags&flagUntil != 0 {
		e.until = d.Varint()
	}
	e.id, e.origin, e.data = d.Bytes(), d.Bytes(), d.b
	return e, d.End(version, "entry")
}

// entry is the entry at an offset; its data has the memory of what was taken apart.
func (e *encoded) entry(offset uint64) engine.Entry {
	return engine.Entry{
		Offset: offset, Prev: offset - 1, Time: e.time, Kind: e.kind,
		ID: string(e.id), Origin: string(e.origin), Data: e.data[:len(e.data):len(e.data)],
	}
}

func (e *encoded) record(offset uint64) *Record {
	return &Record{Entry: e.entry(offset), Keyed: e.keyed, Until: e.until}
}

func (e *encoded) size() int { return Overhead + len(e.data) + len(e.id) + len(e.origin) }

// DecodeEntry reads what AppendEntry wrote; the record owns its bytes.
func DecodeEntry(offset uint64, b []byte) (*Record, error) {
	e, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	if offset == 0 {
		return nil, fmt.Errorf("entry: offset 0: %w", ErrCorrupt)
	}
	e.data = append([]byte(nil), e.data...)
	return e.record(offset), nil
}

// EntryTimes reads of an encoded entry only what says whether it is to be
// dropped: when it was appended, and until when it stays, 0 for no promise.
func EntryTimes(b []byte) (appended, until int64, err error) {
	d := NewDecoder(b)
	version, flags, _ := d.Byte(), d.Byte(), d.Byte()
	appended = d.Varint()
	if flags&flagUntil != 0 {
		until = d.Varint()
	}
	return appended, until, d.End(version, "entry")
}

// AppendValue encodes a value. Its key is kept beside it.
func AppendValue(dst []byte, v *Value) []byte {
	var flags byte
	if v.Tombstone {
		flags |= flagTombstone
	}
	dst = append(dst, CodecVersion, flags)
	dst = binary.AppendUvarint(dst, v.Version)
	dst = binary.AppendVarint(dst, v.Time)
	return append(dst, v.Data...)
}

// DecodeValue reads what AppendValue wrote; the value owns its bytes.
func DecodeValue(key string, b []byte) (*Value, error) {
	d := NewDecoder(b)
	version, flags := d.Byte(), d.Byte()
	v := &Value{}
	v.Key, v.Tombstone = key, flags&flagTombstone != 0
	v.Version = d.Uvarint()
	v.Time = d.Varint()
	if err := d.End(version, "value"); err != nil {
		return nil, err
	}
	v.Data = append([]byte(nil), d.b...)
	return v, nil
}
