package natsengine

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// sampleBatch encodes two appends as a node does.
func sampleBatch(t testing.TB) []byte {
	t.Helper()
	var l chanlog.Log
	l.Init("room")
	l.Epoch = "e"
	w := batchWriter{}
	w.begin(l.Epoch, "node", 7, 1)
	for _, write := range []engine.Write{
		{Kind: engine.KindMessage, ID: "id", Origin: "me", Data: []byte("hello"), Keep: time.Hour},
		{Kind: engine.KindChange, Data: []byte("c"), Puts: []engine.Put{{Key: "k", Data: []byte("v")}, {Key: "l", Tombstone: true}}},
	} {
		var a chanlog.Append
		if !l.Sequence(&a, &write, 1_764_000_000_000, 0) {
			t.Fatal("not sequenced")
		}
		w.entry(&a)
		l.Publish(&a)
	}
	return w.end(l.Retention)
}

func TestWire(t *testing.T) {
	t.Run("a batch is decoded as it was encoded", func(t *testing.T) {
		b, err := decodeBatch(sampleBatch(t))
		if err != nil {
			t.Fatal(err)
		}
		if b.epoch != "e" || b.node != "node" || b.number != 7 || b.first != 1 || b.last() != 2 || len(b.entries) != 2 {
			t.Errorf("%+v", b)
		}
		if r := b.entries[0].record; r.ID != "id" || string(r.Data) != "hello" || r.Until != r.Time+time.Hour.Milliseconds() || r.Keyed {
			t.Errorf("%+v", r)
		}
		if v := b.entries[1].values; len(v) != 2 || v[0].Version != 2 || string(v[0].Data) != "v" || !v[1].Tombstone {
			t.Errorf("%+v", v)
		}
	})

	t.Run("a base is decoded as it was encoded", func(t *testing.T) {
		first, err := fold("room", []*message{sampleMessage(t)}, 1_764_000_000_500)
		if err != nil {
			t.Fatal(err)
		}
		body := encodeBase(first.log, first.log.Epoch, 5)
		b, err := decodeBase("room", body)
		if err != nil {
			t.Fatal(err)
		}
		if b.head != 2 || b.upTo != 5 || !reflect.DeepEqual(encodeBase(b.log, b.log.Epoch, 5), body) {
			t.Errorf("%+v", b)
		}
	})

	t.Run("a base whose entries are not where they should be is corrupt", func(t *testing.T) {
		for name, body := range wrongBases() {
			if _, err := decodeBase("room", body); !errors.Is(err, chanlog.ErrCorrupt) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})

	t.Run("what is cut short is corrupt", func(t *testing.T) {
		whole := sampleBatch(t)
		for n := range whole {
			if _, err := decodeBatch(whole[:n]); !errors.Is(err, chanlog.ErrCorrupt) {
				t.Errorf("%d bytes: got %v", n, err)
			}
		}
	})

	t.Run("a name is read back from its token, which has only letters, digits and harmless signs", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			name := rapid.String().Draw(rt, "name")
			token := escape(name)
			if strings.ContainsAny(token, ".*> \t\r\n\x00") {
				rt.Fatalf("token %q", token)
			}
			if back, err := unescape(token); err != nil || back != name {
				rt.Fatalf("%q became %q (%v)", name, back, err)
			}
		})
	})
}

func sampleMessage(t testing.TB) *message {
	t.Helper()
	m := &message{stored: stored{seq: 3, body: sampleBatch(t)}}
	if err := m.decode("room"); err != nil {
		t.Fatal(err)
	}
	return m
}

// wrongBases are bases that no engine writes.
func wrongBases() map[string][]byte {
	base := func(head uint64, aside, tail []uint64) []byte {
		l := &chanlog.Log{}
		l.Init("room")
		l.Restore(head, engine.Retention{}, 1)
		for i, offset := range append(aside, tail...) {
			r := &chanlog.Record{}
			r.Offset, r.ID, r.Kind = offset, "x", engine.KindMessage
			l.RestoreRecord(r, i < len(aside))
		}
		return encodeBase(l, "e", 1)
	}
	return map[string][]byte{
		"an entry aside behind the tail":  base(100, []uint64{100}, []uint64{1}),
		"entries aside that go backwards": base(5, []uint64{3, 2}, []uint64{5}),
		"an entry twice":                  base(5, []uint64{5}, []uint64{5}),
		"a tail that ends before its end": base(5, nil, []uint64{2}),
	}
}

func FuzzDecodeMessage(f *testing.F) {
	batch := sampleBatch(f)
	f.Add(batch)
	for _, body := range wrongBases() {
		f.Add(body)
	}
	img, err := fold("room", []*message{sampleMessage(f)}, 1_764_000_000_500)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeBase(img.log, "e", 9))
	f.Fuzz(func(t *testing.T, body []byte) {
		m := &message{stored: stored{seq: 1, body: body}}
		if err := m.decode("room"); err != nil {
			if !errors.Is(err, chanlog.ErrCorrupt) {
				t.Errorf("%v is not called corrupt", err)
			}
			return
		}
		_, _ = fold("room", []*message{m}, 0) // must not panic
	})
}

func FuzzDecodeNotice(f *testing.F) {
	for _, n := range []notice{
		{kind: noticeSend, node: "n", channel: "c", after: 9, entry: &chanlog.Record{Entry: engine.Entry{Kind: engine.KindMessage, Data: []byte("x")}}},
		{kind: noticeLease, node: "n", prev: 1, number: 2, lease: engine.LeaseEvent{Holder: "h", Value: []byte("v")}},
		{kind: noticeLease, node: "n", prev: 1, number: 2, lease: engine.LeaseEvent{Holder: "h"}},
		{kind: noticeLeases, node: "n", number: 2, leases: []engine.Lease{{Holder: "h", Value: []byte("v")}}},
		{kind: noticeBeat, node: "n", reply: true, news: []news{{channel: "c", seq: 4, number: 5}}},
		{kind: noticeAsk, node: "n"},
		{kind: noticeSome, node: "n", number: 2, part: 1, of: 3, leases: []engine.Lease{{Holder: "h", Value: []byte("v")}}},
		{kind: noticeTold, node: "n", number: 2},
	} {
		f.Add(n.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNotice(b)
		if err != nil {
			return
		}
		again, err := decodeNotice(n.encode())
		if err != nil || !reflect.DeepEqual(again, n) {
			t.Errorf("%+v became %+v (%v)", n, again, err)
		}
	})
}
