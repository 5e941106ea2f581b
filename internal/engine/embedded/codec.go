package embedded

import (
	"encoding/binary"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
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
	dst = append(dst, chanlog.CodecVersion)
	dst = chanlog.AppendString(dst, h.Epoch)
	dst = chanlog.AppendString(dst, h.Generation)
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
	d := chanlog.NewDecoder(b)
	version := d.Byte()
	h := header{Epoch: d.Text(), Generation: d.Text()}
	h.Head, h.First = d.Uvarint(), d.Uvarint()
	h.LostUnkeyed, h.LostTombstone = d.Uvarint(), d.Uvarint()
	h.Appended = d.Varint()
	h.Retention = engine.Retention{
		Messages: int(d.Varint()),
		Bytes:    int(d.Varint()),
		Age:      time.Duration(d.Varint()),
	}
	return h, d.End(version, "header")
}
