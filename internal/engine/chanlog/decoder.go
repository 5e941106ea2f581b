package chanlog

import (
	"encoding/binary"
	"fmt"
)

// AppendString encodes a string with its length.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Decoder takes fields off the front of b. After a field that is not there it
// gives zeros, and End says so.
type Decoder struct {
	b      []byte
	failed bool
}

// NewDecoder returns a decoder of b, which it does not change.
func NewDecoder(b []byte) Decoder { return Decoder{b: b} }

// Failed says whether a field was not there.
func (d *Decoder) Failed() bool { return d.failed }

// Rest is what was not taken yet, with b's memory.
func (d *Decoder) Rest() []byte { return d.b }

// Byte takes one byte.
func (d *Decoder) Byte() byte {
	if len(d.b) == 0 {
		d.failed = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// Uvarint takes a number.
func (d *Decoder) Uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	return n * uint64(d.took(size))
}

// Varint takes a number that may be negative.
func (d *Decoder) Varint() int64 {
	n, size := binary.Varint(d.b)
	return n * int64(d.took(size))
}

// took drops size bytes and returns 1, or returns 0 for a number that is not there.
func (d *Decoder) took(size int) int {
	if size <= 0 {
		d.failed, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return 1
}

// Text takes what AppendString wrote.
func (d *Decoder) Text() string { return string(d.Bytes()) }

// Bytes takes what has its length before it, with b's memory.
func (d *Decoder) Bytes() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.b)) {
		d.failed, d.b = true, nil
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

// End is ErrCorrupt after a field that was not there, and when the version is
// not the one this program knows. what names what was decoded.
func (d *Decoder) End(version byte, what string) error {
	switch {
	case d.failed:
		return fmt.Errorf("%s: %w", what, ErrCorrupt)
	case version != CodecVersion:
		return fmt.Errorf("%s: encoding version %d, this program knows %d: %w", what, version, CodecVersion, ErrCorrupt)
	}
	return nil
}
