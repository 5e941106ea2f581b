package bench

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestForm(t *testing.T) {
	message := func(topic string, offset uint64, s stamp) string {
		return fmt.Sprintf(`[null,null,%q,"broadcast",{"type":"broadcast","payload":{"text":"%s.."},"meta":{"id":"x","offset":%d}}]`, topic, s.append(nil), offset)
	}
	change := func(topic string, offset uint64, s stamp) string {
		return fmt.Sprintf(`[null,null,%q,"change",{"offset":%d,"fields":{"content":"%s"}}]`, topic, offset, s.append(nil))
	}

	t.Run("what the last delivery looked like never changes what the next one says", rapid.MakeCheck(func(t *rapid.T) {
		var f form
		for range 20 {
			d := delivery{numbered: true, offset: rapid.Uint64Range(1, 1_200).Draw(t, "offset"), stamp: stamp{
				at: rapid.Int64Range(0, 1e15).Draw(t, "at"), writer: rapid.Uint32Range(0, writerMax).Draw(t, "writer"), seq: rapid.Uint32Range(0, seqMax).Draw(t, "seq"),
			}}
			topic := strings.Repeat("t", rapid.IntRange(1, 3).Draw(t, "topic"))
			frame := []byte(rapid.SampledFrom([]func(string, uint64, stamp) string{message, change}).Draw(t, "kind")(topic, d.offset, d.stamp))
			got, ok := f.read(frame)
			if !ok {
				got, ok = f.find(frame)
			}
			if !ok || got != d {
				t.Fatalf("%s is read as %+v, %v", frame, got, ok)
			}
		}
	}))

	t.Run("the same places are read, and others are not", func(t *testing.T) {
		s := stamp{at: 5, writer: 1, seq: 2}
		for name, kind := range map[string]func(string, uint64, stamp) string{"message": message, "change": change} {
			var f form
			if _, ok := f.read([]byte(kind("t", 7, s))); ok {
				t.Errorf("%s: read before any was found", name)
			}
			if _, ok := f.find([]byte(kind("t", 7, s))); !ok {
				t.Fatalf("%s: not found", name)
			}
			if d, ok := f.read([]byte(kind("t", 8, s))); !ok || d.offset != 8 {
				t.Errorf("%s: not read again: %+v", name, d)
			}
			for _, other := range []string{
				kind("u", 8, s), kind("t2", 8, s), "", strings.Repeat("x", 300), kind("t", 8, s)[:60], kind("t", 8, s)[:strings.Index(kind("t", 8, s), "~at:")+20],
				`["1","2","t","phx_reply",{"status":"ok","response":{"offset":8}}]`, strings.Replace(kind("t", 8, s), "~at:", "~at;", 1),
				strings.Replace(kind("t", 8, s), `"offset":8`, `"offset":null`, 1),
			} {
				if d, ok := f.read([]byte(other)); ok {
					t.Errorf("%s: %q is read as %+v", name, other, d)
				}
			}
		}
	})

	t.Run("a refusal of the same channel is no delivery, although the text came back in it", func(t *testing.T) {
		l := &load{subject: &chorale{}, crowd: crowd{mode: Notes}, arrived: make(chan struct{}, 1)}
		m := &member{push: &pushWriter{}, last: make([]uint32, 2), count: make([]uint32, 2)}
		s := stamp{at: 5, writer: 1, seq: 1}
		l.take(m, []byte(change("t", 7, s)), 9)
		l.take(m, []byte(`["1","2","t","phx_reply",{"status":"error","response":{"offset":8,"text":"`+string(stamp{writer: 1, seq: 2}.append(nil))+`"}}]`), 9)
		l.take(m, []byte(change("t", 8, stamp{at: 5, writer: 1, seq: 2})), 9)
		if n, _ := l.faults.get(); n != 1 || l.received.Load() != 2 || l.answered.Load() != 1 || l.disordered.Load() != 0 {
			t.Errorf("%d faults, %d received, %d answered, %d disordered", n, l.received.Load(), l.answered.Load(), l.disordered.Load())
		}
	})
}
