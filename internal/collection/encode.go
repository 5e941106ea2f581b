package collection

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/chorale-rt/chorale/protocol"
)

// The encoders below write what encoding/json would write for the structs of
// package protocol, field order apart. They are by hand for two reasons: the
// place of a version must be known, because it is put in later, and they take a
// tenth of the time on the path of every write.

// scratch is what records and changes are encoded in before their size is known:
// what the log keeps of them must not be larger than it is.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func borrow() *[]byte { return scratch.Get().(*[]byte) }

// giveBack takes what was borrowed back, as it has grown.
func giveBack(buf *[]byte, grown []byte) {
	const most = 64 << 10
	if cap(grown) <= most {
		*buf = grown[:0]
	}
	scratch.Put(buf)
}

// appendRecord appends a record as JSON without its version, which
// protocol.StoredRecord puts in.
func appendRecord(b []byte, rec *protocol.Record) []byte {
	b = append(b, `{"id":`...)
	b = protocol.AppendString(b, rec.ID)
	b = append(b, `,"fields":`...)
	b = appendRawMap(b, rec.Fields)
	if len(rec.Sets) > 0 {
		b = append(b, `,"sets":`...)
		b = appendMap(b, rec.Sets, appendStrings)
	}
	if len(rec.Counters) > 0 {
		b = append(b, `,"counters":`...)
		b = appendMap(b, rec.Counters, appendNumber)
	}
	b = append(b, `,"stamps":`...)
	b = appendMap(b, rec.Stamps, appendStamp)
	if len(rec.SetStamps) > 0 {
		b = append(b, `,"setStamps":`...)
		b = appendMap(b, rec.SetStamps, func(b []byte, stamps map[string]string) []byte {
			return appendMap(b, stamps, protocol.AppendString)
		})
	}
	b = append(b, `,"createdBy":`...)
	b = protocol.AppendString(b, rec.CreatedBy)
	b = append(b, `,"createdAt":`...)
	b = strconv.AppendInt(b, rec.CreatedAt, 10)
	b = append(b, `,"updatedBy":`...)
	b = protocol.AppendString(b, rec.UpdatedBy)
	b = append(b, `,"updatedAt":`...)
	b = strconv.AppendInt(b, rec.UpdatedAt, 10)
	if rec.Deleted != "" {
		b = append(b, `,"deleted":`...)
		b = appendStamp(b, rec.Deleted)
	}
	return append(b, '}')
}

// decodeRecord reads what appendRecord wrote.
func decodeRecord(data []byte, version uint64) (*protocol.Record, error) {
	rec := new(protocol.Record)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	rec.Version = version
	return rec, nil
}

// appendMap appends an object with its keys in byte order, so that equal
// records have equal bytes.
func appendMap[V any](b []byte, m map[string]V, value func([]byte, V) []byte) []byte {
	b = append(b, '{')
	var few [16]string // most records have fewer names than that
	names := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = protocol.AppendString(b, name)
		b = append(b, ':')
		b = value(b, m[name])
	}
	return append(b, '}')
}

func appendRawMap(b []byte, m map[string]json.RawMessage) []byte {
	return appendMap(b, m, func(b []byte, raw json.RawMessage) []byte { return append(b, raw...) })
}

func appendStamp(b []byte, s protocol.Stamp) []byte { return protocol.AppendString(b, string(s)) }

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = protocol.AppendString(b, s)
	}
	return append(b, ']')
}

// appendNumber appends a finite number the way JavaScript writes it.
func appendNumber(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}
