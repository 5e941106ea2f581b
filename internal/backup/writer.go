package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

const (
	magic = "chorale backup 1\n"

	kindHead  = 'h'
	kindPairs = 'p'
	kindEnd   = 'e'

	// blockSize is what a block of pairs grows to: small enough to notice soon
	// that a reader is gone, large enough that its header costs nothing.
	blockSize = 64 << 10
	// maxBody is the largest body that is read. A pair is in one block, and the
	// largest entry that any limit lets in is far smaller.
	maxBody = 1 << 30

	blockHeader = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Head says what a backup is of.
type Head struct {
	// Format is the version of the layout of keys and values.
	Format uint64 `json:"format"`
	// Made is the instant of which the backup is.
	Made time.Time `json:"made"`
}

// Summary says how much a backup holds.
type Summary struct {
	Pairs uint64 // keys with their values
	Bytes uint64 // of the stream
}

// Writer writes a backup. After an error it must not be used any more.
type Writer struct {
	to    io.Writer
	block []byte // header and body of the block that grows
	last  []byte // key of the newest pair
	sum   Summary
}

// NewWriter begins a backup. Nothing is buffered but the block that grows.
func NewWriter(to io.Writer, h Head) (*Writer, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("backup head: %w", err)
	}
	w := &Writer{to: to}
	if err := w.write([]byte(magic)); err != nil {
		return nil, err
	}
	w.begin(kindHead)
	w.block = append(w.block, body...)
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.begin(kindPairs)
	return w, nil
}

// Add adds a pair. Keys must come in ascending order.
func (w *Writer) Add(key, value []byte) error {
	if w.sum.Pairs > 0 && bytes.Compare(key, w.last) <= 0 {
		return fmt.Errorf("backup: key %q does not follow %q", key, w.last)
	}
	if len(w.block)+len(key)+len(value) > blockSize && len(w.block) > blockHeader+1 {
		if err := w.flush(); err != nil {
			return err
		}
		w.begin(kindPairs)
	}
	w.block = append(binary.AppendUvarint(w.block, uint64(len(key))), key...)
	w.block = append(binary.AppendUvarint(w.block, uint64(len(value))), value...)
	w.last = append(w.last[:0], key...)
	w.sum.Pairs++
	return nil
}

// Close writes the end. It does not close what is written to.
func (w *Writer) Close() (Summary, error) {
	if len(w.block) > blockHeader+1 {
		if err := w.flush(); err != nil {
			return Summary{}, err
		}
	}
	w.begin(kindEnd)
	w.block = binary.AppendUvarint(w.block, w.sum.Pairs)
	err := w.flush()
	return w.sum, err
}

func (w *Writer) begin(kind byte) {
	w.block = append(w.block[:0], make([]byte, blockHeader)...)
	w.block = append(w.block, kind)
}

func (w *Writer) flush() error {
	body := w.block[blockHeader:]
	if len(body) > maxBody {
		return errors.New("backup: a pair is too large")
	}
	binary.BigEndian.PutUint32(w.block, uint32(len(body)))
	binary.BigEndian.PutUint32(w.block[4:], crc32.Checksum(body, castagnoli))
	return w.write(w.block)
}

func (w *Writer) write(b []byte) error {
	n, err := w.to.Write(b)
	w.sum.Bytes += uint64(n)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}
