package bench

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// stampIn is the first stamp in a frame.
func stampIn(frame []byte) (stamp, bool) {
	var f form
	d, ok := f.find(frame)
	return d.stamp, ok
}

func TestStamp(t *testing.T) {
	t.Run("what was appended is found, whatever is around it", rapid.MakeCheck(func(t *rapid.T) {
		want := stamp{
			at:     rapid.Int64Range(0, math.MaxInt64).Draw(t, "at"),
			writer: rapid.Uint32Range(0, writerMax).Draw(t, "writer"),
			seq:    rapid.Uint32Range(0, seqMax).Draw(t, "seq"),
		}
		before := rapid.StringMatching(`[^~]{0,50}`).Draw(t, "before")
		frame := append(want.append([]byte(before)), rapid.String().Draw(t, "after")...)
		if got, ok := stampIn(frame); !ok || got != want {
			t.Fatalf("found %+v, %v in %q, want %+v", got, ok, frame, want)
		}
		if n := len(want.append(nil)); n != stampLen {
			t.Fatalf("a stamp of %d bytes, want %d", n, stampLen)
		}
	}))

	t.Run("what is cut off or no number is no stamp", func(t *testing.T) {
		whole := string(stamp{at: 5, writer: 1, seq: 2}.append(nil))
		for _, frame := range []string{"", "~at:", whole[:stampLen-1], "~at:x" + whole[5:], whole[:stampLen-1] + "x"} {
			if s, ok := stampIn([]byte(frame)); ok {
				t.Errorf("found %+v in %q", s, frame)
			}
		}
	})
}

func TestFindOffset(t *testing.T) {
	for frame, want := range map[string]uint64{
		`[null,null,"t","change",{"offset":131,"collection":"notes"}]`: 131,
		`{"payload":{},"meta":{"id":"x","offset":9}}`:                  9,
		`{"offset":18446744073709551615}`:                              1844674407370955161, // longer than any offset: cut
		`[null,null,"t","broadcast",{"event":"note"}]`:                 0,
		`{"offset":null}`: 0,
	} {
		var f form
		got, ok := f.find(append([]byte(frame), stamp{}.append(nil)...))
		if !ok || got.offset != want || got.numbered != (want > 0) {
			t.Errorf("offset of %s is %d, %v, want %d", frame, got.offset, got.numbered, want)
		}
	}
}

func FuzzFindStamp(f *testing.F) {
	f.Add(stamp{at: 1, writer: 2, seq: 3}.append([]byte(`{"text":"`)))
	f.Add([]byte("~at:"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if s, ok := stampIn(frame); ok && (s.at < 0 || s.writer > writerMax || s.seq > seqMax) {
			t.Errorf("%+v in %q", s, frame)
		}
	})
}
