package collection

import (
	"context"
	"fmt"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// Load returns the records of a collection whose version is above after, as
// they are stored, ordered by id, and the position at which they are
// that. With after 0 deleted records are left out, otherwise their tombstones
// are among them (S3).
//
// The records are the log's own, and must not be changed. Errors are the
// engine's, wrapped.
func (s *Store) Load(ctx context.Context, channel, collection string, after uint64) (engine.Position, []protocol.StoredRecord, error) {
	at, values, err := s.eng.State(ctx, channel, recordPrefix(collection), after)
	if err != nil {
		return engine.Position{}, nil, fmt.Errorf("load %s of %s: %w", collection, channel, err)
	}
	records := make([]protocol.StoredRecord, len(values))
	for i, v := range values {
		if len(v.Data) < 2 || v.Data[0] != '{' {
			return engine.Position{}, nil, fmt.Errorf("load %s of %s: %s: %w", collection, channel, v.Key, errLayout)
		}
		records[i] = protocol.StoredRecord{Version: v.Version, Data: v.Data}
	}
	return at, records, nil
}

// Client returns the highest n that the channel's log holds of a client, and
// its newest outcomes, oldest first, at most protocol.OutcomesKept: what
// "synced" tells. For a client that the channel does not know it returns 0. It
// binds nothing; a client id of another subject is forbidden_client.
func (s *Store) Client(ctx context.Context, channel, clientID, subject string) (last uint64, outcomes []protocol.Outcome, failed *protocol.Error) {
	row, version, err := s.loadRow(ctx, channel, clientID)
	if err != nil {
		return 0, nil, s.failed("client", channel, err)
	}
	if row.last > 0 && row.owner != subject {
		return 0, nil, forbiddenClient()
	}
	if outcomes, err = row.outcomes(version); err != nil {
		return 0, nil, s.failed("client", channel, fmt.Errorf("row of client %s: %w", clientID, err))
	}
	return row.last, outcomes, nil
}
