package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

type pair struct{ key, value string }

func written(t testing.TB, pairs []pair) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, Head{Format: 7, Made: time.UnixMilli(1764000000123).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if err := w.Add([]byte(p.key), []byte(p.value)); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil || sum.Pairs != uint64(len(pairs)) || sum.Bytes != uint64(out.Len()) {
		t.Fatalf("%+v of %d pairs and %d bytes (%v)", sum, len(pairs), out.Len(), err)
	}
	return out.Bytes()
}

func read(b []byte) (pairs []pair, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for {
		key, value, err := r.Next()
		if err == io.EOF {
			return pairs, nil
		}
		if err != nil {
			return pairs, err
		}
		pairs = append(pairs, pair{string(key), string(value)})
	}
}

func TestBackup(t *testing.T) {
	var some []pair
	for i := range 300 {
		some = append(some, pair{fmt.Sprintf("k%05d", i), string(bytes.Repeat([]byte{byte(i)}, i*7))})
	}
	some = append(some, pair{"large", string(make([]byte, 3*blockSize))}, pair{"last", ""})

	t.Run("what was written is read", func(t *testing.T) {
		for _, pairs := range [][]pair{nil, some[:1], some} {
			b := written(t, pairs)
			got, err := read(b)
			if err != nil || !slices.Equal(got, pairs) {
				t.Errorf("%d pairs of %d (%v)", len(got), len(pairs), err)
			}
			r, err := NewReader(bytes.NewReader(b))
			if err != nil || r.Head().Format != 7 || r.Head().Made.UnixMilli() != 1764000000123 {
				t.Errorf("head %+v (%v)", r.Head(), err)
			}
		}
	})

	t.Run("any byte that is changed, and any end that is missing, is damage", func(t *testing.T) {
		b := written(t, some[:40])
		for i := range b {
			flipped := slices.Clone(b)
			flipped[i] ^= 1 << (i % 8)
			if _, err := read(flipped); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d flipped: %v", i, err)
			}
			if _, err := read(b[:i]); !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut at byte %d: %v", i, err)
			}
		}
		if _, err := read(append(slices.Clone(b), 0)); !errors.Is(err, ErrDamaged) {
			t.Errorf("with something behind it: %v", err)
		}
	})

	t.Run("blocks that are missing, doubled or moved are damage", func(t *testing.T) {
		b := written(t, some)
		blocks := split(b)
		if len(blocks) < 8 {
			t.Fatalf("%d blocks", len(blocks))
		}
		for name, list := range map[string][][]byte{
			"missing": slices.Delete(slices.Clone(blocks), 3, 4),
			"doubled": slices.Insert(slices.Clone(blocks), 3, blocks[3]),
			"moved":   append(slices.Clone(blocks[:3]), append([][]byte{blocks[4], blocks[3]}, blocks[5:]...)...),
			"no head": slices.Delete(slices.Clone(blocks), 1, 2),
		} {
			if _, err := read(bytes.Join(list, nil)); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})

	t.Run("keys that do not ascend are not written", func(t *testing.T) {
		w, err := NewWriter(io.Discard, Head{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add([]byte("b"), nil); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"b", "a"} {
			if err := w.Add([]byte(key), nil); err == nil {
				t.Errorf("%q was taken after b", key)
			}
		}
	})

	t.Run("errors of what is read and written to are theirs", func(t *testing.T) {
		broken := errors.New("broken pipe")
		r, err := NewReader(io.MultiReader(bytes.NewReader(written(t, some)[:200]), failing{broken}))
		for err == nil {
			_, _, err = r.Next()
		}
		if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
			t.Errorf("got %v", err)
		}
		if _, err := NewWriter(failing{broken}, Head{}); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// split cuts a stream into its line of text and its blocks.
func split(b []byte) [][]byte {
	out := [][]byte{b[:len(magic)]}
	for b = b[len(magic):]; len(b) > 0; {
		n := blockHeader + int(b[2])<<8 + int(b[3]) + int(b[1])<<16
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(written(f, []pair{{"a", "1"}, {"b", ""}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, err := read(b)
		if err != nil {
			return
		}
		again, err := read(written(t, pairs))
		if err != nil || !slices.Equal(again, pairs) {
			t.Errorf("%d pairs were read and %d written (%v)", len(pairs), len(again), err)
		}
	})
}
