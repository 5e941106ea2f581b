package auth

import (
	"fmt"
	"log/slog"
)

// An Op is what somebody wants to do in a channel.
type Op string

// What rules decide about.
const (
	Join        Op = "join"     // become a member, and read the channel
	Publish     Op = "publish"  // broadcast
	Persist     Op = "persist"  // have a broadcast kept for longer than the channel keeps others
	ReadHistory Op = "history"  // read what was said before: by replay, from a position, over HTTP
	Presence    Op = "presence" // be seen in the channel, and see who else is there
	Read        Op = "read"     // a collection's records
	Write       Op = "write"    // one record of a collection
)

// A Decision is what a rule says about one identity and one operation.
type Decision struct {
	Allowed    bool
	Op         Op
	Channel    string
	Collection string // for Read and Write

	// What decided. For ReadHistory, Presence, Persist and Read without a condition of their
	// own these name what stands in for it.
	Rule      string // the rule's pattern
	File      string // where the rule is
	Line      int    // the condition's line there; the rule's when there is none
	Condition string // "" when the rule has none, which denies

	// Err says why the condition could not be evaluated, which denies. It is for
	// the operator: it may quote what the condition stumbled over.
	Err error
}

// Reason is a sentence for the one who was refused: it says which permission is
// missing and nothing about claims or records. It is "" when Allowed.
func (d Decision) Reason() string {
	if d.Allowed {
		return ""
	}
	what := map[Op]string{
		Join:        "join this channel",
		Publish:     "publish in this channel",
		Persist:     "have messages kept in this channel",
		ReadHistory: "read the history of this channel",
		Presence:    "be present in this channel",
		Read:        fmt.Sprintf("read the collection %q", d.Collection),
		Write:       fmt.Sprintf("write this record of the collection %q", d.Collection),
	}[d.Op]
	switch {
	case d.Rule == "":
		return fmt.Sprintf("No rule lets you %s", what)
	case d.Err != nil:
		return fmt.Sprintf("The rule for %q does not let you %s: its condition could not be evaluated", d.Rule, what)
	default:
		return fmt.Sprintf("The rule for %q does not let you %s", d.Rule, what)
	}
}

// String is the decision with the line that made it, for the operator.
func (d Decision) String() string {
	verdict := "denied"
	if d.Allowed {
		verdict = "allowed"
	}
	op := string(d.Op)
	if d.Collection != "" {
		op += " " + d.Collection
	}
	switch {
	case d.Rule == "":
		return fmt.Sprintf("%s in %q %s: no rule matches", op, d.Channel, verdict)
	case d.Condition == "":
		return fmt.Sprintf("%s in %q %s by %s:%d (%s): no condition allows it", op, d.Channel, verdict, d.File, d.Line, d.Rule)
	case d.Err != nil:
		return fmt.Sprintf("%s in %q %s by %s:%d (%s): %s: %v", op, d.Channel, verdict, d.File, d.Line, d.Rule, d.Condition, d.Err)
	default:
		return fmt.Sprintf("%s in %q %s by %s:%d (%s): %s", op, d.Channel, verdict, d.File, d.Line, d.Rule, d.Condition)
	}
}

// LogValue implements slog.LogValuer.
func (d Decision) LogValue() slog.Value { return slog.StringValue(d.String()) }

// NoRule is the decision for a channel that no rule matches.
func NoRule(op Op, channel string) Decision { return Decision{Op: op, Channel: channel} }
