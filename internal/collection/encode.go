package collection

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/chorale-rt/chorale/protocol"
)

// The encoders below write what encoding/json would write for the structs of
// package protocol, field order apart. They are by hand for two reasons: the
// place of a version must be known, because it is put in later, and they take a
// tenth of the time on the path of every write.

// appendRecord appends a record as JSON without its version, which belongs
// right after the brace.
func appendRecord(b []byte, rec *protocol.Record) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, rec.ID)
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
	b = appendMap(b, rec.Stamps, appendString[protocol.Stamp])
	if len(rec.SetStamps) > 0 {
		b = append(b, `,"setStamps":`...)
		b = appendMap(b, rec.SetStamps, func(b []byte, stamps map[string]string) []byte {
			return appendMap(b, stamps, appendString[string])
		})
	}
	b = append(b, `,"createdBy":`...)
	b = appendString(b, rec.CreatedBy)
	b = append(b, `,"createdAt":`...)
	b = strconv.AppendInt(b, rec.CreatedAt, 10)
	b = append(b, `,"updatedBy":`...)
	b = appendString(b, rec.UpdatedBy)
	b = append(b, `,"updatedAt":`...)
	b = strconv.AppendInt(b, rec.UpdatedAt, 10)
	if rec.Deleted != "" {
		b = append(b, `,"deleted":`...)
		b = appendString(b, rec.Deleted)
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

const versionKey = `{"version":`

// spliceVersion appends an encoded record with its version put in.
func spliceVersion(b, record []byte, version uint64) []byte {
	b = append(b, versionKey...)
	b = strconv.AppendUint(b, version, 10)
	b = append(b, ',')
	return append(b, record[1:]...)
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
		b = appendString(b, name)
		b = append(b, ':')
		b = value(b, m[name])
	}
	return append(b, '}')
}

func appendRawMap(b []byte, m map[string]json.RawMessage) []byte {
	return appendMap(b, m, func(b []byte, raw json.RawMessage) []byte { return append(b, raw...) })
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
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

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string. Bytes that are no UTF-8 become U+FFFD:
// a text frame that is no UTF-8 would close the sockets of all who get it.
func appendString[S ~string](b []byte, s S) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:]))
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + size
			}
			i += size
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i-1]...)
		start = i
		if c >= ' ' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
