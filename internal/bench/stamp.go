package bench

import "bytes"

// A stamp travels in the text of every push, as
//
//	~at:<19 digits>.<5 digits>.<9 digits>
//
// The widths are fixed so that finding it again needs no JSON parser, and none of
// its characters is ever escaped in JSON.
type stamp struct {
	at     int64  // nanoseconds of the load's clock at which the push was due
	writer uint32 // who pushed, counted within the channel
	seq    uint32 // 1, 2, 3… per writer
}

const (
	stampMarker = "~at:"
	atDigits    = 19
	writerMax   = 99_999
	seqMax      = 999_999_999
	stampLen    = len(stampMarker) + atDigits + 1 + 5 + 1 + 9
)

// append appends the stamp to dst. Its numbers must not be negative or larger
// than their widths.
func (s stamp) append(dst []byte) []byte {
	dst = append(dst, stampMarker...)
	dst = appendDigits(dst, uint64(s.at), atDigits)
	dst = append(dst, '.')
	dst = appendDigits(dst, uint64(s.writer), 5)
	dst = append(dst, '.')
	return appendDigits(dst, uint64(s.seq), 9)
}

// stampOf reads the stamp at the front of text.
func stampOf(text []byte) (stamp, bool) {
	if len(text) < stampLen || string(text[:len(stampMarker)]) != stampMarker {
		return stamp{}, false
	}
	text = text[len(stampMarker):]
	due, ok1 := digits(text[:atDigits])
	writer, ok2 := digits(text[atDigits+1 : atDigits+6])
	seq, ok3 := digits(text[atDigits+7 : atDigits+16])
	if !ok1 || !ok2 || !ok3 || text[atDigits] != '.' || text[atDigits+6] != '.' || int64(due) < 0 {
		return stamp{}, false
	}
	return stamp{at: int64(due), writer: uint32(writer), seq: uint32(seq)}, true
}

// offsetKey is the member of a frame that has the entry's position.
const offsetKey = `"offset":`

// offsetOf reads the offset at the front of text.
func offsetOf(text []byte) (uint64, bool) {
	text, ok := bytes.CutPrefix(text, []byte(offsetKey))
	if !ok {
		return 0, false
	}
	n := 0
	for n < len(text) && n < atDigits && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return digits(text[:n])
}

func appendDigits(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := start + width - 1; i >= start && v > 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

// digits reads up to 19 decimal digits.
func digits(text []byte) (uint64, bool) {
	var v uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, len(text) > 0
}
