package embedded

import (
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// storeFormat is the version of the layout that codec.go describes. Headers,
// entries and values carry a version of their own, so a new kind of one of them
// needs no new format; a key that changes its place does.
const storeFormat = 1

// step brings a store from one format to the next. A process that is killed
// during it leaves the old format noted, so what a step has done already must be
// no obstacle to it.
type step func(db *pebble.DB) error

// storeSteps are the steps from format 1 to 2, from 2 to 3, and so on up to
// storeFormat. A store of any format that there ever was is brought to the newest
// when it is opened, and so is one that a backup of an older format came to.
func storeSteps() []step { return nil }

// upgrade brings a store to the format behind the last step; one that is new has
// it from then on.
func upgrade(db *pebble.DB, steps []step, log *slog.Logger) error {
	newest := uint64(1 + len(steps))
	format, err := formatOf(db)
	switch {
	case err != nil:
		return err
	case format > newest:
		return newerFormat(format, newest)
	case format == 0:
		return noteFormat(db, newest)
	}
	for ; format < newest; format++ {
		log.Info("the store is brought to a newer format", "from", format, "to", format+1)
		if err := steps[format-1](db); err != nil {
			return fmt.Errorf("from format %d to %d: %w", format, format+1, err)
		}
		if err := noteFormat(db, format+1); err != nil {
			return err
		}
	}
	return nil
}

// formatOf returns the format that a store says it has, 0 for a new one.
func formatOf(from pebble.Reader) (uint64, error) {
	b, err := meta(from, metaFormat)
	if err != nil || b == nil {
		return 0, err
	}
	v, n := binary.Uvarint(b)
	if n <= 0 || v == 0 {
		return 0, fmt.Errorf("format: %w", chanlog.ErrCorrupt)
	}
	return v, nil
}

func noteFormat(db *pebble.DB, v uint64) error {
	return db.Set([]byte(metaFormat), binary.AppendUvarint(nil, v), pebble.Sync)
}

func newerFormat(format, newest uint64) error {
	return fmt.Errorf("it has format %d and this program knows formats up to %d: use a newer Chorale", format, newest)
}
