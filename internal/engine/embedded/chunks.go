package embedded

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// chunkForm is how Pebble (its package record) writes logs and the manifest: in
// blocks of 32 KiB that chunks do not cross, each chunk with a checksum over its
// type and all that follows it.
//
//	CRC 4, size of the payload 2, type 1, in logs the number of the log 4, payload
type chunkForm struct {
	header             int // bytes before the payload
	padding            int // zeros at the end of a block, fewer than that, hold no chunk
	typeFirst, typeEnd byte
	number             []byte // of the log; nil in the manifest
	trailer            []byte // how a log that was closed ends, up to the number
}

const chunkBlock = 32 << 10

var manifestForm = &chunkForm{header: 7, padding: 7, typeFirst: 1, typeEnd: 4}

// logForm is that of a log. Its files are used again, so what is behind the end
// may be of a log with a lower number.
func logForm(number uint32) *chunkForm {
	const typeFirst = 5
	return &chunkForm{
		header: 11, padding: 19, typeFirst: typeFirst, typeEnd: 8,
		number:  binary.LittleEndian.AppendUint32(nil, number),
		trailer: binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 0, 0, typeFirst}, number+1),
	}
}

// damageIn looks for the first place where no chunk stands, and says whether it
// is damage and not the end; torn says that it can be the end after a power loss.
func (f *chunkForm) damageIn(b []byte) (at int, found, torn bool) {
	for at < len(b) {
		room := min(chunkBlock-at%chunkBlock, len(b)-at)
		if room < f.padding && len(bytes.Trim(b[at:at+room], "\x00")) == 0 {
			at += room
			continue
		}
		size, ok := f.chunkAt(b, at)
		if !ok {
			if f.chunkBehind(b, at+1) {
				return at, true, false
			}
			return at, f.number == nil && !cutShort(b[at:], f.header), true
		}
		at += size
	}
	return 0, false, false
}

// chunkAt says how long the chunk is that stands at a place.
func (f *chunkForm) chunkAt(b []byte, at int) (size int, ok bool) {
	if len(b)-at < f.header {
		return 0, false
	}
	h := b[at : at+f.header]
	size = f.header + int(binary.LittleEndian.Uint16(h[4:]))
	if h[6] < f.typeFirst || h[6] > f.typeEnd || !bytes.Equal(h[7:], f.number) ||
		at%chunkBlock+size > chunkBlock || at+size > len(b) {
		return 0, false
	}
	return size, mask(crc32.Checksum(b[at+6:at+size], castagnoli)) == binary.LittleEndian.Uint32(h)
}

// chunkBehind looks for a chunk at every place, and for the trailer.
func (f *chunkForm) chunkBehind(b []byte, from int) bool {
	if from < len(b) && f.trailer != nil && bytes.Contains(b[from:], f.trailer) {
		return true
	}
	for at := from; at+f.header <= len(b); at++ {
		next := bytes.Index(b[at+7:], f.number) // 0 without a number
		if next < 0 {
			return false
		}
		at += next
		if _, ok := f.chunkAt(b, at); ok {
			return true
		}
	}
	return false
}

// cutShort says of what stands at the end of the manifest whether it can be the
// beginning of a chunk. A crash, or a full disk, leaves that. It cannot be when
// all of the chunk is there: as long as its header says, or, if that is what was
// damaged, of any other length with which the checksum is right.
func cutShort(b []byte, header int) bool {
	if len(b) < header || len(bytes.Trim(b, "\x00")) == 0 {
		return true
	}
	if int(binary.LittleEndian.Uint16(b[4:]))+header <= len(b) || b[6] < manifestForm.typeFirst || b[6] > manifestForm.typeEnd {
		return false
	}
	want := binary.LittleEndian.Uint32(b)
	sum := crc32.Checksum(b[6:header], castagnoli)
	for i := header; i < len(b); i++ {
		sum = crc32.Update(sum, castagnoli, b[i:i+1])
		if mask(sum) == want {
			return false
		}
	}
	return true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask keeps a checksum over checksums from being weak.
func mask(c uint32) uint32 { return (c>>15 | c<<17) + 0xa282ead8 }
