package bench

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// decodePush reads a client's frame the way a server does.
func decodePush(t *testing.T, frame []byte) protocol.Frame {
	t.Helper()
	r := bytes.NewReader(frame)
	h, err := ws.ReadHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Fin || !h.Masked || h.OpCode != ws.OpText || int(h.Length) != r.Len() {
		t.Fatalf("header %+v before %d bytes", h, r.Len())
	}
	payload := frame[len(frame)-r.Len():]
	ws.Cipher(payload, h.Mask, 0)
	f, err := protocol.DecodeText(protocol.V2, payload)
	if err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	return f
}

func notesPush() *pushWriter {
	return newPushWriter(pushOptions{
		mode: Notes, topic: "realtime:interview:bench-1-0", writer: 3, textSize: 200,
		client: "01934f2e-0000-7000-8000-0123456789ab", record: "rec",
	})
}

func TestPush(t *testing.T) {
	t.Run("a broadcast is [F2] a frame with the text that was asked for", func(t *testing.T) {
		for _, size := range []int{stampLen, 200, 70_000} { // each with another length of header
			w := newPushWriter(pushOptions{mode: Broadcast, topic: "realtime:bench-1-0", writer: 7, textSize: size})
			for seq := uint32(1); seq < 4; seq++ {
				f := decodePush(t, w.next(42, 0, 0))
				if f.Topic != "realtime:bench-1-0" || f.Event != protocol.EventBroadcast || f.JoinRef != "1" {
					t.Fatalf("frame %+v", f)
				}
				b, fault := protocol.ParseBroadcast(&f)
				if fault != nil {
					t.Fatal(fault)
				}
				var body struct{ Payload struct{ Text string } }
				if err := json.Unmarshal(b.Body, &body); err != nil || len(body.Payload.Text) != size {
					t.Fatalf("text of %d bytes, want %d: %v", len(body.Payload.Text), size, err)
				}
				if s, ok := stampIn(b.Body); !ok || s != (stamp{at: 42, writer: 7, seq: seq}) {
					t.Fatalf("stamp %+v, %v", s, ok)
				}
			}
		}
	})

	t.Run("[M1] notes are patched with n from 2 on, as the first made the record", func(t *testing.T) {
		w := notesPush()
		ids := map[string]bool{}
		last := ""
		for n := uint64(2); n < 12; n++ {
			f := decodePush(t, w.next(42, 1_764_000_000_000, 131))
			d := json.NewDecoder(bytes.NewReader(f.Payload))
			d.DisallowUnknownFields()
			var m protocol.Mutation
			if err := d.Decode(&m); err != nil || f.Event != protocol.EventMutate {
				t.Fatalf("%s: %v", f.Payload, err)
			}
			if m.N != n || m.Base != 131 || m.Op != protocol.OpPatch || m.Record != "rec" || m.Collection != "notes" || len(m.Fields["content"]) != 202 {
				t.Errorf("mutation %+v", m)
			}
			if err := protocol.CheckTime(m.At); err != nil || m.At <= last {
				t.Errorf("time %q after %q: %v", m.At, last, err)
			}
			last = m.At
			ids[m.ID] = true
		}
		if len(ids) != 10 {
			t.Errorf("%d ids for 10 mutations", len(ids))
		}
	})

	t.Run("times rise when the clock stands still, goes back, or the counter is full", func(t *testing.T) {
		c := hybridClock{ms: 5, counter: 1<<16 - 2}
		var got []string
		for _, now := range []int64{5, 5, 4, 9, 9} {
			got = append(got, string(c.append(nil, now)))
		}
		want := []string{
			protocol.FormatTime(5, 1<<16-1), protocol.FormatTime(6, 0), protocol.FormatTime(6, 1),
			protocol.FormatTime(9, 0), protocol.FormatTime(9, 1),
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("time %d is %s, want %s", i, got[i], want[i])
			}
		}
	})

	t.Run("making a push allocates nothing", func(t *testing.T) {
		w := notesPush()
		w.next(1, 1, 1) // makes the buffer
		if n := testing.AllocsPerRun(100, func() { w.next(2, 2, 2) }); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

func BenchmarkPush(b *testing.B) {
	w := notesPush()
	b.ReportAllocs()
	for b.Loop() {
		w.next(1, 1, 1)
	}
}
