package protocol

import "encoding/json"

// Op is what a mutation asks for.
type Op string

const (
	OpPut     Op = "put"     // make a record
	OpPatch   Op = "patch"   // change some of it
	OpDelete  Op = "delete"  // leave a tombstone
	OpRestore Op = "restore" // revive a deleted record, and perhaps patch it
)

// Status is how a mutation ended (rules M1 to M5).
type Status string

const (
	StatusApplied    Status = "applied"
	StatusNoop       Status = "noop"
	StatusSuperseded Status = "superseded" // every field was written by somebody newer
	StatusExists     Status = "exists"
	StatusGone       Status = "gone"
	StatusRejected   Status = "rejected" // refused by schema, rule or condition
	StatusUnknown    Status = "unknown"  // applied or not, the answer is no longer kept
)

// Mutation is a change that a client asks for: the payload of a mutate push.
type Mutation struct {
	Client     string                     `json:"client"`
	N          uint64                     `json:"n"`
	ID         string                     `json:"id"`
	At         string                     `json:"at"`             // hybrid logical time, 16 hex digits
	Base       uint64                     `json:"base,omitempty"` // highest offset its author had seen
	Op         Op                         `json:"op"`
	Collection string                     `json:"collection"`
	Record     string                     `json:"record"`
	Fields     map[string]json.RawMessage `json:"fields,omitempty"`
	Sets       map[string]map[string]bool `json:"sets,omitempty"` // element → added (true) or removed
	Counters   map[string]float64         `json:"counters,omitempty"`
	IfVersion  *uint64                    `json:"ifVersion,omitempty"`
}

// Record is one record as the log keeps it and the wire carries it.
type Record struct {
	ID        string                       `json:"id"`
	Version   uint64                       `json:"version"`
	Fields    map[string]json.RawMessage   `json:"fields"`
	Sets      map[string][]string          `json:"sets,omitempty"` // elements in ASCII order
	Counters  map[string]float64           `json:"counters,omitempty"`
	Stamps    map[string]Stamp             `json:"stamps"`
	SetStamps map[string]map[string]string `json:"setStamps,omitempty"` // element → "+stamp" or "-stamp"
	CreatedBy string                       `json:"createdBy"`
	CreatedAt int64                        `json:"createdAt"`
	UpdatedBy string                       `json:"updatedBy"`
	UpdatedAt int64                        `json:"updatedAt"`
	Deleted   Stamp                        `json:"deleted,omitempty"` // set on tombstones
}

// Change is what became of a mutation: the payload of a change event, and the
// reply to a mutate push (which leaves out what its author knows).
type Change struct {
	Offset     uint64                     `json:"offset,omitempty"`
	Collection string                     `json:"collection"`
	Record     string                     `json:"record"`
	Op         Op                         `json:"op"`
	Status     Status                     `json:"status"`
	Client     string                     `json:"client"`
	N          uint64                     `json:"n"`
	ID         string                     `json:"id,omitempty"`
	By         string                     `json:"by"`
	Time       int64                      `json:"time"`
	Base       uint64                     `json:"base,omitempty"`
	Fields     map[string]json.RawMessage `json:"fields,omitempty"`
	Sets       map[string]map[string]bool `json:"sets,omitempty"`
	Counters   map[string]float64         `json:"counters,omitempty"`
	Stamp      Stamp                      `json:"stamp,omitempty"`
	Lost       []string                   `json:"lost,omitempty"`
	Error      *Error                     `json:"error,omitempty"`
	State      *Record                    `json:"state,omitempty"`
}

// Outcome is a change reduced to what its author must know to settle it: the
// response to a mutate push, and an element of synced.outcomes.
type Outcome struct {
	N         uint64   `json:"n"`
	Offset    uint64   `json:"offset"`
	Status    Status   `json:"status"`
	Lost      []string `json:"lost,omitempty"`
	Error     *Error   `json:"error,omitempty"`
	State     *Record  `json:"record,omitempty"` // the current record, where it helps; not kept for repeats
	Duplicate bool     `json:"duplicate,omitempty"`
}
