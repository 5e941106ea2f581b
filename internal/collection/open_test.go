package collection

import (
	"log/slog"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
)

// openEngine opens the embedded engine on a directory, or in memory with "",
// until the test ends.
func openEngine(tb testing.TB, dir string) engine.Engine {
	tb.Helper()
	eng, err := embedded.Open(embedded.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := eng.Close(); err != nil {
			tb.Error(err)
		}
	})
	return eng
}
