package collection

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

const (
	changeLayout = 1
	flagApplied  = 1
)

// encodeChange makes an entry's Data in the layout of the package
// documentation. state is the encoded change.State, without a version when the
// change is applied (its version is the entry's offset) and with it otherwise;
// nil leaves the state out.
func encodeChange(change *protocol.Change, state []byte) ([]byte, error) {
	buf := borrow()
	body, stateAt, err := appendChange(*buf, change, state)
	if err != nil {
		return nil, fmt.Errorf("encode change: %w", err)
	}
	defer giveBack(buf, body)
	data := make([]byte, 0, 16+len(change.Collection)+len(change.Client)+len(body))
	var flags byte
	if change.Status == protocol.StatusApplied {
		flags |= flagApplied
	} else {
		stateAt = 0 // the state is older than this entry, and says its version
	}
	data = append(data, changeLayout, flags)
	data = appendBytes(data, change.Collection)
	data = appendBytes(data, change.Client)
	data = binary.AppendUvarint(data, uint64(stateAt))
	return append(data, body...), nil
}

// appendChange appends the JSON of a change. stateAt is the index right after
// the brace of its state, 0 without one.
func appendChange(b []byte, c *protocol.Change, state []byte) (body []byte, stateAt int, err error) {
	b = append(b, `{"collection":`...)
	b = protocol.AppendString(b, c.Collection)
	b = append(b, `,"record":`...)
	b = protocol.AppendString(b, c.Record)
	b = append(b, `,"op":`...)
	b = protocol.AppendString(b, string(c.Op))
	b = append(b, `,"status":`...)
	b = protocol.AppendString(b, string(c.Status))
	b = append(b, `,"client":`...)
	b = protocol.AppendString(b, c.Client)
	b = append(b, `,"n":`...)
	b = strconv.AppendUint(b, c.N, 10)
	if c.ID != "" {
		b = append(b, `,"id":`...)
		b = protocol.AppendString(b, c.ID)
	}
	b = append(b, `,"by":`...)
	b = protocol.AppendString(b, c.By)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, c.Time, 10)
	if c.Base != 0 {
		b = append(b, `,"base":`...)
		b = strconv.AppendUint(b, c.Base, 10)
	}
	b = appendContent(b, c)
	if len(c.Lost) > 0 {
		b = append(b, `,"lost":`...)
		b = appendStrings(b, c.Lost)
	}
	if c.Error != nil {
		refusal, err := json.Marshal(c.Error)
		if err != nil {
			return nil, 0, err
		}
		b = append(append(b, `,"error":`...), refusal...)
	}
	if state != nil {
		b = append(b, `,"state":`...)
		stateAt = len(b) + 1
		b = append(b, state...)
	}
	return append(b, '}'), stateAt, nil
}

// appendContent appends what won.
func appendContent(b []byte, c *protocol.Change) []byte {
	if len(c.Fields) > 0 {
		b = append(b, `,"fields":`...)
		b = appendRawMap(b, c.Fields)
	}
	if len(c.Sets) > 0 {
		b = append(b, `,"sets":`...)
		b = appendMap(b, c.Sets, func(b []byte, elements map[string]bool) []byte {
			return appendMap(b, elements, strconv.AppendBool)
		})
	}
	if len(c.Counters) > 0 {
		b = append(b, `,"counters":`...)
		b = appendMap(b, c.Counters, appendNumber)
	}
	if c.Stamp != "" {
		b = append(b, `,"stamp":`...)
		b = protocol.AppendString(b, string(c.Stamp))
	}
	return b
}

// AppendChange appends the JSON of protocol.Change, as the wire carries it, of a
// logged entry of engine.KindChange: it puts the entry's offset in, and decodes
// nothing. It appends nothing for an entry that no Store has written.
func AppendChange(out []byte, entry *engine.Entry) []byte {
	head, err := parseHead(entry.Data)
	if err != nil {
		return out
	}
	const room = len(`{"offset":`) + len(`{"version":`) + 2*len("18446744073709551615,")
	out = slices.Grow(out, len(head.body)+room)
	out = append(out, `{"offset":`...)
	out = strconv.AppendUint(out, entry.Offset, 10)
	out = append(out, ',')
	if head.stateAt == 0 {
		return append(out, head.body[1:]...)
	}
	out = append(out, head.body[1:head.stateAt-1]...)
	return protocol.StoredRecord{Version: entry.Offset, Data: head.body[head.stateAt-1:]}.Append(out)
}

// ChangeHead says of an entry's Data what decides who gets it: an applied change
// goes to the members of its collection (M7), any other to members with the
// author's client id (M8). All are zero for Data that no Store has written.
func ChangeHead(data []byte) (collection, client string, applied bool) {
	head, err := parseHead(data)
	if err != nil {
		return "", "", false
	}
	return string(head.collection), string(head.client), head.applied
}

// A changeHead is an entry's Data, taken apart.
type changeHead struct {
	collection, client []byte
	applied            bool
	stateAt            int // index in body right after the brace of the state, 0 for none
	body               []byte
}

var errLayout = errors.New("data is damaged or of another layout")

func parseHead(data []byte) (changeHead, error) {
	if len(data) < 2 || data[0] != changeLayout {
		return changeHead{}, errLayout
	}
	head := changeHead{applied: data[1]&flagApplied != 0}
	rest := data[2:]
	var ok bool
	if head.collection, rest, ok = cutBytes(rest); !ok {
		return changeHead{}, errLayout
	}
	if head.client, rest, ok = cutBytes(rest); !ok {
		return changeHead{}, errLayout
	}
	stateAt, size := binary.Uvarint(rest)
	if size <= 0 {
		return changeHead{}, errLayout
	}
	head.body = rest[size:]
	if len(head.body) < 2 || head.body[0] != '{' || stateAt >= uint64(len(head.body)) {
		return changeHead{}, errLayout
	}
	if head.stateAt = int(stateAt); head.stateAt == 1 {
		return changeHead{}, errLayout
	}
	return head, nil
}

// appendBytes appends a length and the bytes; cutBytes takes them off again.
func appendBytes[S ~string | ~[]byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutBytes(b []byte) (s, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}
