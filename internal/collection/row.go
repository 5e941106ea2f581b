package collection

import (
	"encoding/binary"
	"fmt"

	"github.com/chorale-rt/chorale/protocol"
)

// A clientRow is what a channel remembers of a client (rule M1). It is written
// with every mutation, so it is kept as bytes: adding an outcome copies the
// others and decodes none.
//
//	byte      layout, 1
//	uvarint   length of the owner's subject, and the subject
//	uvarint   the highest n
//	uvarint   how many outcomes there are, 1 to 64; they belong to the highest n
//	          and those right below it
//	the outcomes, oldest first: a uvarint of the length of what follows; a
//	uvarint of the offset; the details. The newest has its details only, to
//	the end: its offset is the version of the row.
//
// Details are a byte with the status, 0x40 for lost names, 0x80 for an error;
// then a uvarint of the count and the lost names; then code, message and path.
// Each string has a uvarint of its length.
type clientRow struct {
	owner  string
	last   uint64 // 0 for a client that the channel does not know
	count  int
	older  []byte // the outcomes but the newest
	newest []byte // details
}

const rowLayout = 1

func parseRow(data []byte) (clientRow, error) {
	if len(data) == 0 || data[0] != rowLayout {
		return clientRow{}, errLayout
	}
	owner, rest, ok := cutBytes(data[1:])
	if !ok {
		return clientRow{}, errLayout
	}
	last, size := binary.Uvarint(rest)
	if size <= 0 {
		return clientRow{}, errLayout
	}
	rest = rest[size:]
	count, size := binary.Uvarint(rest)
	if size <= 0 || count == 0 || count > protocol.OutcomesKept || count > last {
		return clientRow{}, errLayout
	}
	older := rest[size:]
	newest := older
	for range count - 1 {
		if _, newest, ok = cutBytes(newest); !ok {
			return clientRow{}, errLayout
		}
	}
	return clientRow{
		owner: string(owner), last: last, count: int(count),
		older: older[:len(older)-len(newest)], newest: newest,
	}, nil
}

// with encodes the row as it is after one more outcome. version is the offset
// of the entry that wrote this row, and so that of its newest outcome; the
// offset of the added one is not looked at.
func (r clientRow) with(outcome protocol.Outcome, version uint64) []byte {
	older, count := r.older, r.count
	if count == protocol.OutcomesKept {
		_, older, _ = cutBytes(older) // parseRow has walked it
		count--
	}
	b := make([]byte, 0, 32+len(r.owner)+len(older)+len(r.newest)+detailsSize(outcome))
	b = append(b, rowLayout)
	b = appendBytes(b, r.owner)
	b = binary.AppendUvarint(b, r.last+1)
	b = binary.AppendUvarint(b, uint64(count+1))
	b = append(b, older...)
	if r.count > 0 {
		var offset [binary.MaxVarintLen64]byte
		n := binary.PutUvarint(offset[:], version)
		b = binary.AppendUvarint(b, uint64(n+len(r.newest)))
		b = append(append(b, offset[:n]...), r.newest...)
	}
	return appendDetails(b, outcome)
}

// outcomes decodes what the row keeps, oldest first.
func (r clientRow) outcomes(version uint64) ([]protocol.Outcome, error) {
	if r.last == 0 {
		return nil, nil
	}
	list := make([]protocol.Outcome, 0, r.count)
	rest := r.older
	for n := r.last - uint64(r.count) + 1; n < r.last; n++ {
		entry, after, ok := cutBytes(rest)
		offset, size := binary.Uvarint(entry)
		if !ok || size <= 0 {
			return nil, fmt.Errorf("outcome %d: %w", n, errLayout)
		}
		outcome, err := decodeDetails(entry[size:])
		if err != nil {
			return nil, fmt.Errorf("outcome %d: %w", n, err)
		}
		outcome.N, outcome.Offset = n, offset
		list, rest = append(list, outcome), after
	}
	outcome, err := decodeDetails(r.newest)
	if err != nil {
		return nil, fmt.Errorf("outcome %d: %w", r.last, err)
	}
	outcome.N, outcome.Offset = r.last, version
	return append(list, outcome), nil
}

// repeat answers a mutation whose n was consumed before.
func (r clientRow) repeat(n, version uint64) (protocol.Outcome, error) {
	if r.last-n >= uint64(r.count) {
		return protocol.Outcome{N: n, Status: protocol.StatusUnknown, Duplicate: true}, nil
	}
	list, err := r.outcomes(version)
	if err != nil {
		return protocol.Outcome{}, err
	}
	outcome := list[len(list)-1-int(r.last-n)]
	outcome.Duplicate = true
	return outcome, nil
}

const (
	detailLost  = 0x40
	detailError = 0x80
	detailMask  = detailLost | detailError
)

func detailsSize(o protocol.Outcome) int {
	size := 4
	for _, name := range o.Lost {
		size += len(name) + 2
	}
	if o.Error != nil {
		size += len(o.Error.Code) + len(o.Error.Message) + len(o.Error.Path) + 6
	}
	return size
}

func appendDetails(b []byte, o protocol.Outcome) []byte {
	head := statusCode(o.Status)
	if len(o.Lost) > 0 {
		head |= detailLost
	}
	if o.Error != nil {
		head |= detailError
	}
	b = append(b, head)
	if len(o.Lost) > 0 {
		b = binary.AppendUvarint(b, uint64(len(o.Lost)))
		for _, name := range o.Lost {
			b = appendBytes(b, name)
		}
	}
	if e := o.Error; e != nil {
		b = appendBytes(appendBytes(appendBytes(b, e.Code), e.Message), e.Path)
	}
	return b
}

func decodeDetails(b []byte) (protocol.Outcome, error) {
	if len(b) == 0 {
		return protocol.Outcome{}, errLayout
	}
	head := b[0]
	outcome := protocol.Outcome{Status: statusOf(head &^ detailMask)}
	if outcome.Status == "" {
		return protocol.Outcome{}, errLayout
	}
	b = b[1:]
	if head&detailLost != 0 {
		count, size := binary.Uvarint(b)
		if size <= 0 || count > uint64(len(b)) {
			return protocol.Outcome{}, errLayout
		}
		b = b[size:]
		for range count {
			name, rest, ok := cutBytes(b)
			if !ok {
				return protocol.Outcome{}, errLayout
			}
			outcome.Lost, b = append(outcome.Lost, string(name)), rest
		}
	}
	if head&detailError != 0 {
		var parts [3]string
		for i := range parts {
			part, rest, ok := cutBytes(b)
			if !ok {
				return protocol.Outcome{}, errLayout
			}
			parts[i], b = string(part), rest
		}
		outcome.Error = &protocol.Error{Code: parts[0], Message: parts[1], Path: parts[2]}
	}
	if len(b) > 0 {
		return protocol.Outcome{}, errLayout
	}
	return outcome, nil
}

// statusCode is a status in the log: the numbers are for ever.
func statusCode(s protocol.Status) byte {
	switch s {
	case protocol.StatusApplied:
		return 1
	case protocol.StatusNoop:
		return 2
	case protocol.StatusSuperseded:
		return 3
	case protocol.StatusExists:
		return 4
	case protocol.StatusGone:
		return 5
	default: // rejected; nothing else is ever written
		return 6
	}
}

func statusOf(code byte) protocol.Status {
	switch code {
	case 1:
		return protocol.StatusApplied
	case 2:
		return protocol.StatusNoop
	case 3:
		return protocol.StatusSuperseded
	case 4:
		return protocol.StatusExists
	case 5:
		return protocol.StatusGone
	case 6:
		return protocol.StatusRejected
	default:
		return ""
	}
}
