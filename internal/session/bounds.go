package session

import (
	"fmt"
	"slices"

	"github.com/chorale-rt/chorale/protocol"
)

// Bounds of a join (R7): what it holds is kept, echoed or sent to others, and it
// is read before any limit of rates can know its price.
const (
	maxJoinBytes       = 64 << 10 // a token of 16 KiB and everything else fit
	maxPresenceKey     = 256      // bytes; it is repeated in every diff
	maxPostgresChanges = 100
)

// boundPayload refuses a join before it is parsed.
func boundPayload(f *protocol.Frame) *protocol.Error {
	if len(f.Payload) > maxJoinBytes {
		return &protocol.Error{Code: protocol.CodePayloadTooLarge, Message: fmt.Sprintf("a join has at most %d bytes", maxJoinBytes)}
	}
	return nil
}

// boundJoin refuses what is too much, and makes of collections named twice one.
func boundJoin(j *protocol.Join) *protocol.Error {
	invalid := func(format string, args ...any) *protocol.Error {
		return &protocol.Error{Code: protocol.CodeInvalidPayload, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(j.PresenceKey) > maxPresenceKey:
		return invalid("presence.key is longer than %d bytes", maxPresenceKey)
	case len(j.Postgres) > maxPostgresChanges:
		return invalid("more than %d postgres_changes in one join", maxPostgresChanges)
	case j.Chorale == nil:
		return nil
	}
	once := make([]string, 0, len(j.Chorale.Collections))
	for _, name := range j.Chorale.Collections {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
		if len(once) > protocol.MaxCollections {
			return invalid("more than %d collections in one join", protocol.MaxCollections)
		}
	}
	j.Chorale.Collections = once
	return nil
}
