package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
)

// The store's keys. A channel's name has no NUL, so the first NUL ends it:
//
//	h<name>                     header
//	e<name> NUL <offset, 8 BE>  entry
//	k<name> NUL <key>           newest value of a key
//	m<word>                     about the store itself
const (
	prefixEntry  = 'e'
	prefixHeader = 'h'
	prefixValue  = 'k'
	prefixMeta   = 'm'
)

// codecVersion is the first byte of every stored header, entry and value.
const codecVersion = 1

// errCorrupt is what decoders answer to bytes that no encoder made.
var errCorrupt = errors.New("corrupt")

func appendHeaderKey(dst []byte, name string) []byte {
	return append(append(dst, prefixHeader), name...)
}

func appendEntryKey(dst []byte, name string, offset uint64) []byte {
	dst = append(append(append(dst, prefixEntry), name...), 0)
	return binary.BigEndian.AppendUint64(dst, offset)
}

func appendValueKey(dst []byte, name, key string) []byte {
	dst = append(append(append(dst, prefixValue), name...), 0)
	return append(dst, key...)
}

// under returns the bounds of a channel's entries or values.
func under(prefix byte, name string) (lower, upper []byte) {
	lower = append(append(append(make([]byte, 0, len(name)+2), prefix), name...), 0)
	upper = append(append(append(make([]byte, 0, len(name)+2), prefix), name...), 1)
	return lower, upper
}

const (
	flagKeyed = 1 // an entry that set keys
	flagUntil = 2 // an entry that stays beyond retention; its until follows the time

	flagTombstone = 1
)

// appendEntry encodes a record. Its offset is in the key, and Prev is one less.
func appendEntry(dst []byte, r *record) []byte {
	var flags byte
	if r.keyed {
		flags |= flagKeyed
	}
	if r.until != 0 {
		flags |= flagUntil
	}
	dst = append(dst, codecVersion, flags, byte(r.Kind))
	dst = binary.AppendVarint(dst, r.Time)
	if r.until != 0 {
		dst = binary.AppendVarint(dst, r.until)
	}
	dst = appendString(dst, r.ID)
	dst = appendString(dst, r.Origin)
	return append(dst, r.Data...)
}

// decodeEntry reads what appendEntry wrote; the record owns its bytes.
func decodeEntry(offset uint64, b []byte) (*record, error) {
	d := decoder{b: b}
	version, flags, kind := d.byte(), d.byte(), d.byte()
	r := &record{keyed: flags&flagKeyed != 0}
	r.Offset, r.Prev, r.Kind = offset, offset-1, engine.Kind(kind)
	r.Time = d.varint()
	if flags&flagUntil != 0 {
		r.until = d.varint()
	}
	r.ID, r.Origin = d.string(), d.string()
	if err := d.end(version, "entry"); err != nil {
		return nil, err
	}
	if offset == 0 {
		return nil, fmt.Errorf("entry: offset 0: %w", errCorrupt)
	}
	r.Data = append([]byte(nil), d.b...)
	return r, nil
}

// entryTimes reads of an encoded entry only what says whether it is to be
// dropped: when it was appended, and until when it stays, 0 for no promise.
func entryTimes(b []byte) (appended, until int64, err error) {
	d := decoder{b: b}
	version, flags, _ := d.byte(), d.byte(), d.byte()
	appended = d.varint()
	if flags&flagUntil != 0 {
		until = d.varint()
	}
	return appended, until, d.end(version, "entry")
}

func appendValue(dst []byte, v *value) []byte {
	var flags byte
	if v.Tombstone {
		flags |= flagTombstone
	}
	dst = append(dst, codecVersion, flags)
	dst = binary.AppendUvarint(dst, v.Version)
	dst = binary.AppendVarint(dst, v.time)
	return append(dst, v.Data...)
}

// decodeValue reads what appendValue wrote; the value owns its bytes.
func decodeValue(key string, b []byte) (*value, error) {
	d := decoder{b: b}
	version, flags := d.byte(), d.byte()
	v := &value{}
	v.Key, v.Tombstone = key, flags&flagTombstone != 0
	v.Version = d.uvarint()
	v.time = d.varint()
	if err := d.end(version, "value"); err != nil {
		return nil, err
	}
	v.Data = append([]byte(nil), d.b...)
	return v, nil
}

// header is what is stored of a channel besides its entries and values. It is
// written when a channel comes to disk, when its retention changes, and with
// every deletion of old entries; between these the entries themselves tell more.
type header struct {
	Epoch         string // of the log
	Generation    string // the store's, when the header was written
	Head          uint64 // newest offset, at least
	First         uint64 // no lower offset is kept, even if it is stored
	LostUnkeyed   uint64 // highest offset of a dropped entry that set no key
	LostTombstone uint64 // highest version of a dropped tombstone
	Appended      int64  // Unix ms of the newest append, at least
	Retention     engine.Retention
}

func appendHeader(dst []byte, h *header) []byte {
	dst = append(dst, codecVersion)
	dst = appendString(dst, h.Epoch)
	dst = appendString(dst, h.Generation)
	dst = binary.AppendUvarint(dst, h.Head)
	dst = binary.AppendUvarint(dst, h.First)
	dst = binary.AppendUvarint(dst, h.LostUnkeyed)
	dst = binary.AppendUvarint(dst, h.LostTombstone)
	dst = binary.AppendVarint(dst, h.Appended)
	dst = binary.AppendVarint(dst, int64(h.Retention.Messages))
	dst = binary.AppendVarint(dst, int64(h.Retention.Bytes))
	return binary.AppendVarint(dst, int64(h.Retention.Age))
}

func decodeHeader(b []byte) (header, error) {
	d := decoder{b: b}
	version := d.byte()
	h := header{Epoch: d.string(), Generation: d.string()}
	h.Head, h.First = d.uvarint(), d.uvarint()
	h.LostUnkeyed, h.LostTombstone = d.uvarint(), d.uvarint()
	h.Appended = d.varint()
	h.Retention = engine.Retention{
		Messages: int(d.varint()),
		Bytes:    int(d.varint()),
		Age:      time.Duration(d.varint()),
	}
	return h, d.end(version, "header")
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// decoder takes fields off the front of b. After a field that is not there it
// gives zeros, and end says so.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.failed = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	return n * uint64(d.took(size))
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	return n * int64(d.took(size))
}

// took drops size bytes and returns 1, or returns 0 for a number that is not there.
func (d *decoder) took(size int) int {
	if size <= 0 {
		d.failed, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return 1
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.failed, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) end(version byte, what string) error {
	switch {
	case d.failed:
		return fmt.Errorf("%s: %w", what, errCorrupt)
	case version != codecVersion:
		return fmt.Errorf("%s: encoding version %d, this program knows %d: %w", what, version, codecVersion, errCorrupt)
	}
	return nil
}
