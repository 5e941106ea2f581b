package collection

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// historyScan bounds the entries that are looked through for the history of one
// record: a rule may keep many more, and anybody who reads may ask.
const historyScan = 10_000

// History returns what the channel's log still holds of a record: its applied
// changes, oldest first, each as JSON of protocol.Change. It looks through the
// newest 10,000 entries and returns the newest limit changes, whose JSON
// together has at most maxBytes, or one. complete says that nothing came before
// them: they begin with how the record was made.
//
// Errors are the engine's, wrapped.
func (s *Store) History(ctx context.Context, channel, collection, record string, limit, maxBytes int) (changes []json.RawMessage, complete bool, err error) {
	entries, err := s.eng.Since(ctx, channel, 0, historyScan)
	if err != nil {
		return nil, false, fmt.Errorf("history of %s in %s: %w", record, channel, err)
	}
	changes = []json.RawMessage{}
	size := 0
	for i := len(entries) - 1; i >= 0; i-- {
		op, ok := changeOf(&entries[i], collection, record)
		if !ok {
			continue
		}
		change := AppendChange(nil, &entries[i])
		if size += len(change); len(changes) == limit || (size > maxBytes && len(changes) > 0) {
			break
		}
		changes = append(changes, change)
		if complete = op == protocol.OpPut; complete {
			break // a record is made once
		}
	}
	slices.Reverse(changes)
	return changes, complete, nil
}

// changeOf says whether an entry is an applied change of a record, and what was
// asked for.
func changeOf(entry *engine.Entry, collection, record string) (protocol.Op, bool) {
	if entry.Kind != engine.KindChange {
		return "", false
	}
	head, err := parseHead(entry.Data)
	if err != nil || !head.applied || string(head.collection) != collection {
		return "", false
	}
	var change struct {
		Record string      `json:"record"`
		Op     protocol.Op `json:"op"`
	}
	if json.Unmarshal(head.body, &change) != nil {
		return "", false // no Store has written it
	}
	return change.Op, change.Record == record
}
