package backup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrDamaged: these are not the bytes that a Writer wrote, or not all of them.
var ErrDamaged = errors.New("the backup is damaged")

// Reader reads a backup.
type Reader struct {
	from *bufio.Reader
	head Head
	body bytes.Buffer // of the current block
	rest []byte       // pairs of it that were not handed out
	last []byte       // key of the newest pair
	sum  Summary
	err  error // stays
}

// NewReader reads the head. It reads ahead.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, blockSize)}
	line := make([]byte, len(magic))
	if n, err := io.ReadFull(r.from, line); err != nil || string(line) != magic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read backup: %w", err)
		}
		return nil, fmt.Errorf("this is no backup of this version of Chorale: it begins with %q: %w", line[:n], ErrDamaged)
	}
	r.sum.Bytes = uint64(len(magic))
	kind, err := r.block()
	if err != nil {
		return nil, err
	}
	if kind != kindHead || json.Unmarshal(r.rest, &r.head) != nil {
		return nil, r.damaged("there is no head")
	}
	r.rest = nil
	return r, nil
}

// Head says what the backup is of.
func (r *Reader) Head() Head { return r.head }

// Summary is how much was read; of the whole once Next has said io.EOF.
func (r *Reader) Summary() Summary { return r.sum }

// Next returns the next pair, or io.EOF when there is none and the backup is
// whole. The slices are good until the next call.
func (r *Reader) Next() (key, value []byte, err error) {
	if r.err != nil {
		return nil, nil, r.err
	}
	key, value, r.err = r.next()
	return key, value, r.err
}

func (r *Reader) next() (key, value []byte, err error) {
	for len(r.rest) == 0 {
		kind, err := r.block()
		switch {
		case err != nil:
			return nil, nil, err
		case kind == kindEnd:
			return nil, nil, r.end()
		case kind != kindPairs || len(r.rest) == 0:
			return nil, nil, r.damaged("a block is of no known kind")
		}
	}
	key, ok := r.cut()
	if ok {
		value, ok = r.cut()
	}
	if !ok {
		return nil, nil, r.damaged("a pair is cut off")
	}
	if r.sum.Pairs > 0 && bytes.Compare(key, r.last) <= 0 {
		return nil, nil, r.damaged("keys are out of order")
	}
	r.last = append(r.last[:0], key...)
	r.sum.Pairs++
	return key, value, nil
}

// end checks the last block, and that nothing follows.
func (r *Reader) end() error {
	pairs, n := binary.Uvarint(r.rest)
	if n <= 0 || n != len(r.rest) || pairs != r.sum.Pairs {
		return r.damaged(fmt.Sprintf("it has %d pairs, and its end says %d", r.sum.Pairs, pairs))
	}
	switch _, err := r.from.ReadByte(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("read backup: %w", err)
	}
	return r.damaged("something follows its end")
}

// block reads a block into rest, without its kind.
func (r *Reader) block() (kind byte, err error) {
	var header [blockHeader]byte
	if _, err := io.ReadFull(r.from, header[:]); err != nil {
		return 0, r.cutOff(err)
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > maxBody {
		return 0, r.damaged("a block has an impossible length")
	}
	r.body.Reset() // and it grows with what is read, not with what a length claims
	if _, err := io.CopyN(&r.body, r.from, int64(size)); err != nil {
		return 0, r.cutOff(err)
	}
	body := r.body.Bytes()
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return 0, r.damaged("a checksum is wrong")
	}
	r.sum.Bytes += blockHeader + uint64(size)
	r.rest = body[1:]
	return body[0], nil
}

func (r *Reader) cut() ([]byte, bool) {
	size, n := binary.Uvarint(r.rest)
	if n <= 0 || size > uint64(len(r.rest)-n) {
		return nil, false
	}
	b := r.rest[n : n+int(size)]
	r.rest = r.rest[n+int(size):]
	return b, true
}

func (r *Reader) cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.damaged("its end is missing")
	}
	return fmt.Errorf("read backup: %w", err)
}

func (r *Reader) damaged(why string) error {
	return fmt.Errorf("%w: %s, behind byte %d", ErrDamaged, why, r.sum.Bytes)
}
