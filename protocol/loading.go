package protocol

import "encoding/json"

// JoinReply is response.chorale of a join's reply (section 4).
type JoinReply struct {
	V           int            `json:"v"`
	Epoch       string         `json:"epoch"`
	Offset      uint64         `json:"offset"`
	Resumed     bool           `json:"resumed"`
	Reason      string         `json:"reason,omitempty"` // why not resumed (S2)
	Collections []string       `json:"collections"`
	Subject     string         `json:"sub"`
	Now         int64          `json:"now"`    // Unix ms
	Limits      map[string]int `json:"limits"` // bytes, by what they limit
}

// RecordsPage is the payload of a records event (section 7).
type RecordsPage struct {
	Collection string            `json:"collection"`
	Reset      bool              `json:"reset"`
	Offset     uint64            `json:"offset"`
	Records    []json.RawMessage `json:"records"`
	More       bool              `json:"more"`
}

// StoredRecord is a record as a store keeps it: encoded, but for its version,
// which is not known before it is stored.
type StoredRecord struct {
	Version uint64
	Data    []byte // JSON of Record without its version
}

// Size bounds the length of what Append appends.
func (r StoredRecord) Size() int { return len(r.Data) + len(`{"version":18446744073709551615`) }

// Append appends the record as JSON with its version put in.
func (r StoredRecord) Append(dst []byte) []byte {
	dst = append(dst, `{"version":`...)
	dst = appendUint(dst, r.Version)
	dst = append(dst, ',')
	return append(dst, r.Data[1:]...)
}

// StoredPage is a RecordsPage as a store has it.
type StoredPage struct {
	Collection string
	Reset      bool
	Offset     uint64
	Records    []StoredRecord
	More       bool
}

// Append appends the page as JSON. encoding/json would check and copy every byte
// of records that were valid when they were stored, which is most of what a join
// of a large collection costs.
func (p *StoredPage) Append(dst []byte) []byte {
	dst = append(dst, `{"collection":`...)
	dst = AppendString(dst, p.Collection)
	dst = append(dst, `,"reset":`...)
	dst = appendBool(dst, p.Reset)
	dst = append(dst, `,"offset":`...)
	dst = appendUint(dst, p.Offset)
	dst = append(dst, `,"records":[`...)
	for i := range p.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.Records[i].Append(dst)
	}
	dst = append(dst, `],"more":`...)
	dst = appendBool(dst, p.More)
	return append(dst, '}')
}

// size bounds the length of what Append appends, escapes aside.
func (p *StoredPage) size() int {
	n := len(`{"collection":"","reset":false,"offset":18446744073709551615,"records":[],"more":false}`) + len(p.Collection)
	for i := range p.Records {
		n += p.Records[i].Size() + 1
	}
	return n
}

// EncodeRecords makes the frame of a records event.
func EncodeRecords(v Version, topic string, p *StoredPage) Message {
	buf := begin(p.size() + len(topic) + 64)
	buf = appendHead(buf, v, "", "", topic, EventRecords)
	buf = p.Append(buf)
	return finish(appendTail(buf, v, ""), false)
}

// Synced is the payload of a synced event, which ends a catch-up (section 7).
type Synced struct {
	Epoch    string    `json:"epoch"`
	Offset   uint64    `json:"offset"`
	Last     uint64    `json:"last"` // highest n of the client that the log holds
	Outcomes []Outcome `json:"outcomes"`
}
