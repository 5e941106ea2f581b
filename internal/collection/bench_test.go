package collection

import (
	"context"
	"fmt"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// BenchmarkApply patches one field of a small note, with a schema and a client
// row that is full. Budget: 40 µs, the engine's part included.
func BenchmarkApply(b *testing.B) {
	d := newDesk(b, openEngine(b, ""), map[string]Spec{"notes": {Schema: compileNotes(b)}})
	first := put("c1", 1, "r1", fields("content", "Pricing page is confusing", "timestampMs", 61000))
	first.Sets = map[string]map[string]bool{"tags": {"pricing": true, "onboarding": true}}
	d.apply(first)
	n := uint64(1)
	for ; n < protocol.OutcomesKept; n++ {
		d.apply(patch("c1", n+1, "r1", fields("timestampMs", n)))
	}
	m := patch("c1", 0, "r1", fields("content", "Pricing page is very confusing"))
	b.ReportAllocs()
	for b.Loop() {
		n++
		m.N, m.At = n, at(0)
		if _, err := d.store.Apply(context.Background(), d.target, m, Author{Subject: "ada"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	d := openNotes(b)
	for i := range uint64(10_000) {
		d.apply(put("c1", i+1, fmt.Sprintf("r%05d", i), fields("content", "Pricing page is confusing", "timestampMs", i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, records, err := d.store.Load(context.Background(), "room", "notes", 0)
		if err != nil || len(records) != 10_000 {
			b.Fatal(len(records), err)
		}
	}
}

func BenchmarkAppendChange(b *testing.B) {
	d := openNotes(b)
	d.apply(put("c1", 1, "r1", fields("content", "Pricing page is confusing", "timestampMs", 61000)))
	entries, err := d.eng.Read(context.Background(), "room", engine.Position{}, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		AppendChange(nil, &entries[0])
	}
}
