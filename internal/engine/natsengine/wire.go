package natsengine

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// What a message of a log is, after the version.
const (
	kindBatch = 1 // entries
	kindBase  = 2 // all that the channel holds at an offset
)

// batch is the entries of one commit. The offsets of a log are dense over its
// batches; one whose first offset does not follow is void.
type batch struct {
	epoch     string // of the log
	node      string // that wrote it, and its number there
	number    uint64
	first     uint64 // offset of the first entry
	retention engine.Retention
	entries   []entry
}

type entry struct {
	record *chanlog.Record
	values []*chanlog.Value
}

// last is the offset of the last entry.
func (b *batch) last() uint64 { return b.first + uint64(len(b.entries)) - 1 }

// batchWriter encodes a batch entry by entry.
type batchWriter struct {
	body    []byte
	scratch []byte
}

func (w *batchWriter) begin(epoch, node string, number, first uint64) {
	w.body = append(w.body[:0], chanlog.CodecVersion, kindBatch)
	w.body = chanlog.AppendString(w.body, epoch)
	w.body = chanlog.AppendString(w.body, node)
	w.body = binary.AppendUvarint(w.body, number)
	w.body = binary.AppendUvarint(w.body, first)
}

func (w *batchWriter) entry(a *chanlog.Append) {
	w.scratch = chanlog.AppendEntry(w.scratch[:0], a.Record)
	w.body = append(w.body, 1)
	w.body = appendBytes(w.body, w.scratch)
	w.body = binary.AppendUvarint(w.body, uint64(len(a.Puts)))
	for i := range a.Puts {
		w.value(&a.Puts[i].Value)
	}
}

func (w *batchWriter) value(v *chanlog.Value) {
	w.scratch = chanlog.AppendValue(w.scratch[:0], v)
	w.body = chanlog.AppendString(w.body, v.Key)
	w.body = appendBytes(w.body, w.scratch)
}

// end returns the encoding, which is the caller's.
func (w *batchWriter) end(r engine.Retention) []byte {
	w.body = append(w.body, 0)
	body := appendRetention(w.body, r)
	w.body = nil
	return body
}

// kindOf says what a message of a log is.
func kindOf(body []byte) (byte, error) {
	d := chanlog.NewDecoder(body)
	version, kind := d.Byte(), d.Byte()
	if err := d.End(version, "message"); err != nil {
		return 0, err
	}
	if kind != kindBatch && kind != kindBase {
		return 0, fmt.Errorf("message of kind %d: %w", kind, chanlog.ErrCorrupt)
	}
	return kind, nil
}

func decodeBatch(body []byte) (*batch, error) {
	d := chanlog.NewDecoder(body)
	version := d.Byte()
	d.Byte() // the kind
	b := &batch{epoch: d.Text(), node: d.Text(), number: d.Uvarint(), first: d.Uvarint()}
	if b.first == 0 {
		return nil, fmt.Errorf("batch from offset 0: %w", chanlog.ErrCorrupt)
	}
	for d.Byte() == 1 {
		en, err := decodeBatchEntry(&d, b.first+uint64(len(b.entries)))
		if err != nil {
			return nil, err
		}
		b.entries = append(b.entries, en)
	}
	b.retention = decodeRetention(&d)
	return b, d.End(version, "batch")
}

func decodeBatchEntry(d *chanlog.Decoder, offset uint64) (entry, error) {
	r, err := chanlog.DecodeEntry(offset, d.Bytes())
	if err != nil {
		return entry{}, err
	}
	en := entry{record: r}
	for n := d.Uvarint(); n > 0; n-- {
		v, err := decodeKeyed(d)
		if err != nil {
			return entry{}, err
		}
		en.values = append(en.values, v)
	}
	return en, nil
}

func decodeKeyed(d *chanlog.Decoder) (*chanlog.Value, error) {
	key := d.Text()
	return chanlog.DecodeValue(key, d.Bytes())
}

// base is all that a channel held at an offset: what comes before it in the log
// is not needed any more.
type base struct {
	head   uint64 // the offset
	upTo   uint64 // place in the log of the last batch that is in it
	log    *chanlog.Log
	seenIn int // bytes of its encoding
}

// encodeBase encodes what a channel holds. upTo is the place of its newest batch.
func encodeBase(l *chanlog.Log, epoch string, upTo uint64) []byte {
	w := batchWriter{body: []byte{chanlog.CodecVersion, kindBase}}
	w.body = chanlog.AppendString(w.body, epoch)
	for _, n := range []uint64{l.Head, upTo, l.LostUnkeyed, l.LostTombstone} {
		w.body = binary.AppendUvarint(w.body, n)
	}
	w.body = binary.AppendVarint(w.body, l.Appended)
	w.body = appendRetention(w.body, l.Retention)
	for _, records := range [][]*chanlog.Record{l.Kept.Records(), l.Tail.After(0)} {
		w.body = binary.AppendUvarint(w.body, uint64(len(records)))
		for _, r := range records {
			w.body = binary.AppendUvarint(w.body, r.Offset)
			w.scratch = chanlog.AppendEntry(w.scratch[:0], r)
			w.body = appendBytes(w.body, w.scratch)
		}
	}
	values := l.Values.Snapshot()
	w.body = binary.AppendUvarint(w.body, uint64(len(values)))
	for _, v := range values {
		w.value(v)
	}
	return w.body
}

func decodeBase(name string, body []byte) (*base, error) {
	d := chanlog.NewDecoder(body)
	version := d.Byte()
	d.Byte() // the kind
	l := &chanlog.Log{}
	l.Init(name)
	l.Epoch = d.Text()
	b := &base{head: d.Uvarint(), upTo: d.Uvarint(), log: l, seenIn: len(body)}
	l.LostUnkeyed, l.LostTombstone = d.Uvarint(), d.Uvarint()
	appended := d.Varint()
	l.Restore(b.head, decodeRetention(&d), appended)
	for _, aside := range []bool{true, false} {
		if err := decodeRecords(&d, l, aside); err != nil {
			return nil, err
		}
	}
	for n := d.Uvarint(); n > 0; n-- {
		v, err := decodeKeyed(&d)
		if err != nil {
			return nil, err
		}
		l.RestoreValue(v)
	}
	if l.Head != b.head || !l.Tail.EndsAt(b.head) {
		return nil, fmt.Errorf("base at %d with entries to %d: %w", b.head, l.Head, chanlog.ErrCorrupt)
	}
	return b, d.End(version, "base")
}

func decodeRecords(d *chanlog.Decoder, l *chanlog.Log, aside bool) error {
	newest := uint64(0) // of those before
	if n := l.Kept.Len(); n > 0 {
		newest = l.Kept.Records()[n-1].Offset
	}
	for n := d.Uvarint(); n > 0; n-- {
		offset := d.Uvarint()
		r, err := chanlog.DecodeEntry(offset, d.Bytes())
		if err != nil {
			return err
		}
		if t := &l.Tail; r.Offset <= newest || !aside && t.Len() > 0 && r.Offset != newest+1 {
			return fmt.Errorf("base with entry %d out of place: %w", r.Offset, chanlog.ErrCorrupt)
		}
		newest = r.Offset
		l.RestoreRecord(r, aside)
	}
	return nil
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendRetention(dst []byte, r engine.Retention) []byte {
	dst = binary.AppendVarint(dst, int64(r.Messages))
	dst = binary.AppendVarint(dst, int64(r.Bytes))
	return binary.AppendVarint(dst, int64(r.Age))
}

func decodeRetention(d *chanlog.Decoder) engine.Retention {
	return engine.Retention{Messages: int(d.Varint()), Bytes: int(d.Varint()), Age: time.Duration(d.Varint())}
}
