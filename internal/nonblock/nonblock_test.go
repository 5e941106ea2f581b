//go:build unix

package nonblock_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// pair is two ends of a connection that do not block.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range ends {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) }) // some tests have closed it
	}
	return ends[0], ends[1]
}

func TestSockets(t *testing.T) {
	t.Run("what is written is read", func(t *testing.T) {
		a, b := pair(t)
		if n, err := nonblock.Write(a, []byte("hello")); n != 5 || err != nil {
			t.Fatalf("wrote %d: %v", n, err)
		}
		buf := make([]byte, 16)
		if n, err := nonblock.Read(b, buf); n != 5 || err != nil || string(buf[:n]) != "hello" {
			t.Errorf("read %q: %v", buf[:n], err)
		}
	})
	t.Run("nothing to read is EAGAIN and no byte", func(t *testing.T) {
		_, b := pair(t)
		if n, err := nonblock.Read(b, make([]byte, 16)); n != 0 || !errors.Is(err, unix.EAGAIN) {
			t.Errorf("read %d: %v", n, err)
		}
	})
	t.Run("the end is no byte and no error", func(t *testing.T) {
		a, b := pair(t)
		if err := unix.Shutdown(a, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		if n, err := nonblock.Read(b, make([]byte, 16)); n != 0 || err != nil {
			t.Errorf("read %d: %v", n, err)
		}
	})
	t.Run("a full socket takes a part, and then EAGAIN", func(t *testing.T) {
		a, b := pair(t)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		first, err := nonblock.Write(a, sent)
		if first <= 0 || first >= len(sent) || err != nil {
			t.Fatalf("wrote %d of %d: %v", first, len(sent), err)
		}
		for {
			n, err := nonblock.Write(a, sent[first:])
			if first += n; err == nil {
				continue
			}
			if n != 0 || !errors.Is(err, unix.EAGAIN) {
				t.Errorf("wrote %d: %v", n, err)
			}
			break
		}
		var got []byte
		buf := make([]byte, 1<<16)
		for n, err := nonblock.Read(b, buf); err == nil; n, err = nonblock.Read(b, buf) {
			got = append(got, buf[:n]...)
		}
		if !bytes.Equal(got, sent[:first]) {
			t.Errorf("%d bytes came of %d that were taken", len(got), first)
		}
	})
	t.Run("nothing is written and read as nothing", func(t *testing.T) {
		a, _ := pair(t)
		if n, err := nonblock.Write(a, nil); n != 0 || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
	})
	t.Run("a closed descriptor is an error and no byte", func(t *testing.T) {
		a, _ := pair(t)
		if err := unix.Close(a); err != nil {
			t.Fatal(err)
		}
		if n, err := nonblock.Write(a, []byte("x")); n != 0 || !errors.Is(err, unix.EBADF) {
			t.Errorf("wrote %d: %v", n, err)
		}
	})
}
