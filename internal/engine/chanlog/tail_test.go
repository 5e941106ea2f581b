package chanlog

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
)

// drawRecord is a record as an engine may push it.
func drawRecord(rt *rapid.T, offset uint64) *Record {
	text := func(name string) string { return rapid.StringN(0, 40, -1).Draw(rt, name) }
	r := &Record{Keyed: rapid.Bool().Draw(rt, "keyed"), Until: rapid.SampledFrom([]int64{0, 1764000000123}).Draw(rt, "until")}
	r.Entry = engine.Entry{
		Offset: offset, Prev: offset - 1, Time: rapid.Int64().Draw(rt, "time"), Kind: engine.KindBinary, ID: text("id"), Origin: text("origin"),
		Data: bytes.Repeat([]byte{byte(offset)}, rapid.SampledFrom([]int{0, 1, 300, maxPage / 2, maxPage + 1}).Draw(rt, "data")),
	}
	return r
}

func TestTail(t *testing.T) {
	t.Run("what is kept is what a plain list keeps, and what was read of it never changes", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			tl := Tail{firstPage: rapid.SampledFrom([]uint32{0, math.MaxUint32 - 1}).Draw(rt, "number of the first page")}
			var list, was, read []*Record // kept; all that was read, as it was pushed and as it was read
			next := rapid.Uint64Range(1, 3).Draw(rt, "first")
			for _, push := range rapid.SliceOfN(rapid.Bool(), 1, 100).Draw(rt, "steps") {
				if push {
					list = append(list, drawRecord(rt, next))
					tl.push(list[len(list)-1])
					next++
				} else if len(list) > 0 {
					off, e := tl.drop()
					if got := e.record(off); !reflect.DeepEqual(got, list[0]) || e.size() != list[0].Size() {
						rt.Fatalf("dropped %v of %d bytes, want %v", got, e.size(), list[0])
					}
					list = list[1:]
				}
				size := 0
				for _, r := range list {
					size += len(r.Data)
				}
				if tl.Len() != len(list) || tl.bytes != size || len(list) > 0 && tl.First() != list[0].Offset {
					rt.Fatalf("%d records of %d bytes from %d on, want %d of %d", tl.Len(), tl.bytes, tl.First(), len(list), size)
				}
				after := rapid.Uint64Range(0, next).Draw(rt, "after")
				want := list
				for len(want) > 0 && want[0].Offset <= after {
					want = want[1:]
				}
				got := tl.After(after)
				if len(got) != len(want) {
					rt.Fatalf("%d records after %d, want %d", len(got), after, len(want))
				}
				read, was = append(read, got...), append(was, want...)
			}
			for i := range read {
				if !reflect.DeepEqual(read[i], was[i]) {
					rt.Fatalf("read %v, want %v", read[i], was[i])
				}
			}
		})
	})

	t.Run("pushing and dropping in turn takes a page now and then, and no more space than is needed", func(t *testing.T) {
		for kept, most := range map[int]float64{1: 1, 256: 0} {
			var tl Tail
			r := &Record{}
			r.ID, r.Origin, r.Data = "0193-id", "origin", make([]byte, 300)
			push := func() {
				r.Offset++
				tl.push(r)
			}
			for range kept {
				push()
			}
			allocs := testing.AllocsPerRun(5000, func() { push(); tl.drop() })
			space := 0
			for _, p := range tl.pages {
				space += cap(p)
			}
			if allocs > most || space > 2*(tl.packed+300)+maxPage || cap(tl.rows) > 4*kept+8 || cap(tl.pages) > kept+16 {
				t.Error(fmt.Sprint(allocs, " allocations per step; ", space, " bytes for ", tl.packed, "; ", cap(tl.rows), " rows and ", cap(tl.pages), " pages for ", kept))
			}
		}
	})
}

// BenchmarkTail pushes and drops in turn.
func BenchmarkTail(b *testing.B) {
	var tl Tail
	r := &Record{}
	r.ID, r.Origin, r.Data = "01930a00-0000-7000-8000-000000000001", "01930a00-0000-7000-8000-000000000002", make([]byte, 380)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r.Offset++
		tl.push(r)
		if n >= 256 {
			tl.drop()
		}
	}
}
