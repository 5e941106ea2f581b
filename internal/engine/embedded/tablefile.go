package embedded

import (
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// tableTurn is how long a table is written before others have their turn. Go
	// takes a processor from a goroutine after 10 ms only, and does not look at the
	// network while one can run. An append has two more turns of its own, so that on
	// one processor it took some tens of milliseconds while a table was written.
	tableTurn = 500 * time.Microsecond
	// tableRest is what the runtime makes a millisecond of when there is nothing to
	// do: so tables are written at half speed by an idle server, which has the time.
	tableRest = 50 * time.Microsecond
	// crowded is how many processors a flush and a compaction can keep busy between
	// them. With more there is one left, and nothing waits.
	crowded = 2
)

// tableFile is a table that is being written, in turns with what the server does
// for its clients. It is used by one goroutine.
type tableFile struct {
	vfs.File
	begun time.Time // this turn
}

func newTableFile(f vfs.File) vfs.File {
	if runtime.GOMAXPROCS(0) > crowded {
		return f
	}
	return &tableFile{File: f, begun: time.Now()}
}

func (f *tableFile) Write(p []byte) (int, error) {
	if time.Since(f.begun) >= tableTurn {
		// Who wakes is next, before all who wait already; who gives way is behind them.
		// The sleep lets the network be looked at.
		time.Sleep(tableRest)
		runtime.Gosched()
		f.begun = time.Now()
	}
	return f.File.Write(p)
}
