package embedded

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestTableFile(t *testing.T) {
	create := func(t *testing.T, processors int) (vfs.File, string) {
		before := runtime.GOMAXPROCS(processors)
		t.Cleanup(func() { runtime.GOMAXPROCS(before) })
		path := filepath.Join(t.TempDir(), "000001.sst")
		fs := &walFS{FS: vfs.Default, quick: true, pause: func() {}}
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f, path
	}
	t.Run("holds what was written in turns, and a turn that is over is followed by another", func(t *testing.T) {
		f, path := create(t, 1)
		table, turned := f.(*tableFile)
		if !turned {
			t.Fatalf("a table on one processor is a %T", f)
		}
		for _, part := range []string{"a", "b", "c"} {
			over := time.Now().Add(-tableTurn)
			table.begun = over
			if n, err := table.Write([]byte(part)); n != 1 || err != nil {
				t.Fatalf("wrote %d: %v", n, err)
			}
			if table.begun == over {
				t.Error("the turn goes on")
			}
		}
		if got, err := os.ReadFile(path); string(got) != "abc" || err != nil {
			t.Errorf("%q: %v", got, err)
		}
	})
	t.Run("is written at once where there are processors enough", func(t *testing.T) {
		f, _ := create(t, crowded+1)
		if _, turned := f.(*tableFile); turned {
			t.Error("it is written in turns")
		}
	})
}
