package client

import (
	"encoding/json"
	"fmt"

	"github.com/chorale-rt/chorale/protocol"
)

// Event is one of [*Conflict], [*Failure], [*Resync] and [*Fault].
type Event interface{ isEvent() }

// A Conflict is a field or set of a record in which somebody else's write won
// over one of this client's, whose author had not seen it.
type Conflict struct {
	Channel, Collection, Record, Field string
	Mine, Theirs                       json.RawMessage // nil when there is no such value
	By                                 string          // who wrote Theirs, as a token's sub; "" when that is not known
}

// A Failure is a write that came to nothing. What was written is in Values, to be
// shown or written again.
type Failure struct {
	Channel, Collection, Record string
	Op                          protocol.Op
	Outcome                     Outcome
	Values                      map[string]json.RawMessage
}

// ResyncReason says why messages were missed.
type ResyncReason string

const (
	// ResyncEpoch: the channel's log is another one.
	ResyncEpoch ResyncReason = "epoch"
	// ResyncTruncated: the log does not reach back so far any more.
	ResyncTruncated ResyncReason = "truncated"
	// ResyncFuture: the log is shorter than what was seen: it has lost data.
	ResyncFuture ResyncReason = "future"
	// ResyncSlow: whoever reads the stream was too slow, see [Options].
	ResyncSlow ResyncReason = "slow"
)

// Resync says that something was missed, in a [Stream] at the place where it is
// missing: whoever derives state from what comes has to load that again. It is an
// error and an event.
type Resync struct {
	Channel string // "" in the stream of a client's events
	Reason  ResyncReason
	// Position is where the stream goes on: what comes after it is not missing. It is
	// zero with ResyncSlow; then the next message says where it is.
	Position Position
}

func (r *Resync) Error() string {
	return fmt.Sprintf("messages of %q were missed (%s): load again what was derived from them", r.Channel, r.Reason)
}

// A Fault is a refusal or a broken frame that no call of the program waits for.
type Fault struct {
	Channel string
	Err     error
}

func (*Conflict) isEvent() {}
func (*Failure) isEvent()  {}
func (*Resync) isEvent()   {}
func (*Fault) isEvent()    {}
