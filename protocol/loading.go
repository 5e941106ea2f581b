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

// RecordsPage is the payload of a records event (section 7). Its records are
// encoded already: a store keeps them so.
type RecordsPage struct {
	Collection string            `json:"collection"`
	Reset      bool              `json:"reset"`
	Offset     uint64            `json:"offset"`
	Records    []json.RawMessage `json:"records"`
	More       bool              `json:"more"`
}

// Synced is the payload of a synced event, which ends a catch-up (section 7).
type Synced struct {
	Epoch    string    `json:"epoch"`
	Offset   uint64    `json:"offset"`
	Last     uint64    `json:"last"` // highest n of the client that the log holds
	Outcomes []Outcome `json:"outcomes"`
}
