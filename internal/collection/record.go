package collection

import (
	"context"

	"github.com/chorale-rt/chorale/protocol"
)

// Record returns one record, tombstones included; nil when there is none. It
// must not be changed. Errors are the engine's, wrapped.
func (s *Store) Record(ctx context.Context, channel, collection, id string) (*protocol.Record, error) {
	return s.loadRecord(ctx, channel, recordPrefix(collection)+id)
}
