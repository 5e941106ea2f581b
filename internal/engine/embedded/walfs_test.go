package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// openLog opens a log file of the operating system's, under a walFS that notes
// what it is told of.
func openLog(t *testing.T, path string) (f *walFile, told *[]error) {
	t.Helper()
	told = new([]error)
	fs := &walFS{FS: vfs.Default, quick: true, fail: func(err error) { *told = append(*told, err) }}
	// Opened as it is, so that it may be a device.
	file, err := vfs.Default.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f = &walFile{File: file, fs: fs}
	t.Cleanup(func() { _ = f.File.Close() }) // some tests have closed it
	return f, told
}

func TestLogFile(t *testing.T) {
	t.Run("holds what was written, one behind the other, whether writes are slow or not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "000001.log")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f, told := openLog(t, path)
		var want []byte
		for i := range 4 {
			f.pace = pace{}
			if i%2 == 1 {
				f.pace.took(time.Now(), time.Hour)
			}
			part := bytes.Repeat([]byte{byte('a' + i)}, 100_000)
			want = append(want, part...)
			if n, err := f.Write(part); n != len(part) || err != nil {
				t.Fatalf("wrote %d: %v", n, err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes are there, want %d: %v", len(got), len(want), err)
		}
		if !f.unsynced || len(*told) > 0 {
			t.Errorf("unsynced %t, told of %v", f.unsynced, *told)
		}
	})
	t.Run("says what went wrong, though the first try says nothing", func(t *testing.T) {
		const full = "/dev/full" // a disk without space
		if _, err := os.Stat(full); err != nil {
			t.Skipf("%s has no %s", runtime.GOOS, full)
		}
		f, told := openLog(t, full)
		n, err := f.Write([]byte("x"))
		if n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("wrote %d: %v", n, err)
		}
		if len(*told) != 1 || !errors.Is((*told)[0], syscall.ENOSPC) {
			t.Errorf("told of %v", *told)
		}
	})
}

// A countedFile counts its syncs, and lets none end before it may.
type countedFile struct {
	vfs.File
	begun chan struct{}
	may   chan error
}

func (f *countedFile) SyncData() error {
	f.begun <- struct{}{}
	return <-f.may
}

func TestSyncAhead(t *testing.T) {
	// open returns a log to which first bytes were written.
	open := func(t *testing.T, first int) (*walFile, *countedFile, *[]error) {
		path := filepath.Join(t.TempDir(), "000001.log")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f, told := openLog(t, path)
		counted := &countedFile{File: f.File, begun: make(chan struct{}, 10), may: make(chan error)}
		f.File = counted
		if n, err := f.Write(make([]byte, first)); n != first || err != nil {
			t.Fatalf("wrote %d: %v", n, err)
		}
		return f, counted, told
	}
	t.Run("little is not synced before it is asked for", func(t *testing.T) {
		f, counted, _ := open(t, aheadEvery-1)
		close(counted.may)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(counted.begun); n != 1 {
			t.Errorf("%d syncs, want the one at the end", n)
		}
	})
	t.Run("much is, one sync at a time, beside the writes, and the end waits for it", func(t *testing.T) {
		f, counted, _ := open(t, aheadEvery)
		<-counted.begun
		for range 3 {
			if n, err := f.Write(make([]byte, aheadEvery)); n != aheadEvery || err != nil {
				t.Fatalf("wrote %d: %v", n, err)
			}
		}
		if n := len(counted.begun); n != 0 {
			t.Errorf("%d more syncs beside the first", n)
		}
		closed := make(chan error)
		go func() { closed <- f.Close() }()
		counted.may <- nil
		<-counted.begun // what was written meanwhile
		select {
		case <-closed:
			t.Error("closed before all was synced")
		default:
		}
		counted.may <- nil
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
	t.Run("when one fails the store is told, and nobody is that the next went well", func(t *testing.T) {
		f, counted, told := open(t, aheadEvery)
		<-counted.begun
		f.fs.disk.Add(1) // a commit that must survive power loss
		synced := make(chan error)
		go func() { synced <- f.SyncData() }()
		counted.may <- syscall.EIO
		close(counted.may)
		if err := <-synced; !errors.Is(err, syscall.EIO) {
			t.Errorf("the commit is told %v", err)
		}
		if err := f.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("closed: %v", err)
		}
		if len(*told) != 1 || !errors.Is((*told)[0], syscall.EIO) {
			t.Errorf("told of %v", *told)
		}
	})
}

func TestPace(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		what  string
		took  time.Duration
		after time.Duration // since the write began
		slow  bool
	}{
		{"a quick write says nothing", 20 * time.Microsecond, 0, false},
		{"nor does one whose thread has lost its CPU", slowWrite, 0, false},
		{"after a slow one writes are slow", 80 * time.Millisecond, 80 * time.Millisecond, true},
		{"for a while from its end on", 80 * time.Millisecond, slowFor + 79*time.Millisecond, true},
		{"and not for ever", 80 * time.Millisecond, slowFor + 80*time.Millisecond, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			var p pace
			p.took(now, c.took)
			if got := p.isSlow(now.Add(c.after)); got != c.slow {
				t.Errorf("slow is %t", got)
			}
		})
	}
}
