package session_test

import (
	"context"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// lagging is a node that has not heard of the newest entry yet, until it is
// asked for something behind it.
type lagging struct{ engine.Engine }

func (l lagging) Head(ctx context.Context, channel string) (engine.Position, error) {
	at, err := l.Engine.Head(ctx, channel)
	at.Offset--
	return at, err
}

func TestLaggingNode(t *testing.T) {
	t.Run("[J1] [S3] who comes from a node that knows more is not set back, and gets only what changed", func(t *testing.T) {
		w := newWorld(t)
		ada := w.connect("ada")
		chorale := ada.joinRecords("tab-a", "")
		ada.synced()
		ada.put("tab-a", 1, "n1")
		ada.Session.Close()

		w.deps.Engine = lagging{w.engine}
		ada = w.connect("ada")
		back := ada.joinRecords("tab-a", resume(chorale, 1))
		if back["resumed"] != true || back["offset"] != 1.0 {
			t.Errorf("resumed %v at %v, want from 1", back["resumed"], back["offset"])
		}
		if ids, _, _ := ada.synced(); len(ids) != 0 {
			t.Errorf("records %v come again", ids)
		}
		ada.Session.Close()
	})
}
