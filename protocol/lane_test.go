package protocol

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
)

func TestLaneFrames(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		isBinary   bool
		want       LaneFrame
	}{
		{"[W2] a frame", `7[null,"1","t","e",{}]`, false, LaneFrame{7, LaneCarry, []byte(`[null,"1","t","e",{}]`)}},
		{"[W2] a frame of version 1", `7{"topic":"t"}`, false, LaneFrame{7, LaneCarry, []byte(`{"topic":"t"}`)}},
		{"[W2] nothing", "999999999", false, LaneFrame{999_999_999, LaneCarry, nil}},
		{"[W2] bytes, whatever they begin with", "12+\x00", true, LaneFrame{12, LaneCarry, []byte("+\x00")}},
		{"[W2] an opening", "12+a.b.c", false, LaneFrame{12, LaneOpen, []byte("a.b.c")}},
		{"[W3] a close, with or without a code", "12-1000 bye", false, LaneFrame{12, LaneClose, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeLane([]byte(tt.data), tt.isBinary)
			if err != nil || got.Lane != tt.want.Lane || got.Verb != tt.want.Verb || !bytes.Equal(got.Body, tt.want.Body) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, broken := range []string{"", "[]", "+token", "0[]", "07[]", "-1[]", "1000000000[]", " 1[]"} {
		t.Run("[W5] no lane: "+broken, func(t *testing.T) {
			if got, err := DecodeLane([]byte(broken), false); !errors.Is(err, ErrNoLane) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("[W3] the close of a lane says what a close frame would", func(t *testing.T) {
		if got := string(EncodeLaneClose(12, CloseTokenRefused, "revoked").Payload()); got != "12-4101 revoked" {
			t.Error(got)
		}
	})
	t.Run("[W2] a message in a lane is the same message behind a number", func(t *testing.T) {
		for _, size := range []int{0, 100, 60_000, 70_000} {
			m := EncodeText(V2, "", "", "t", "e", bytes.Repeat([]byte("1"), size))
			begun := append(begin(0), "12"...)
			want := finish(append(begun, m.Payload()...), false).Wire()
			if got := m.AppendInLane([]byte("before"), 12); string(got) != "before"+string(want) {
				t.Errorf("%d: %.80q", size, got)
			}
		}
	})
}

func FuzzLane(f *testing.F) {
	for _, seed := range []string{"1[]", "12+a.b.c", "3-", "3-1000 x", "0", "999999999{}", "1000000000[]"} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, isBinary bool) {
		got, err := DecodeLane(data, isBinary)
		if err != nil {
			return
		}
		verb := map[LaneVerb]string{LaneCarry: "", LaneOpen: "+", LaneClose: "-"}[got.Verb]
		again := append([]byte(strconv.Itoa(int(got.Lane))+verb), got.Body...)
		if got.Lane == 0 || !bytes.HasPrefix(data, again) || got.Verb != LaneClose && len(again) != len(data) {
			t.Fatalf("%q became %+v", data, got)
		}
	})
}

func TestLaneAllocations(t *testing.T) {
	m := EncodeText(V2, "", "", "t", "e", []byte("{}"))
	buf := make([]byte, 0, 1024)
	frame := []byte(`7[null,"1","t","e",{}]`)
	if n := testing.AllocsPerRun(100, func() {
		buf = m.AppendInLane(buf[:0], 7)
		_, _ = DecodeLane(frame, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
