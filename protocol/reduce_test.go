package protocol

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// run reduces mutations one after the other, each with the stamp of its at and
// client, and returns the record and the last change.
func run(rec *Record, list ...*Mutation) (*Record, Change) {
	var change Change
	for _, m := range list {
		rec, change = Reduce(rec, m, MakeStamp(m.At, m.Client), now, m.Client+"'s user")
	}
	return rec, change
}

func withTags(m *Mutation, tags map[string]bool) *Mutation {
	m.Sets = map[string]map[string]bool{"tags": tags}
	return m
}

func withVotes(m *Mutation, delta float64) *Mutation {
	m.Counters = map[string]float64{"votes": delta}
	return m
}

const now = 1_764_000_000_000

func TestReduce(t *testing.T) {
	base, _ := run(nil, put("c1", 5, "r1", fields("content", "a", "timestampMs", 1)))

	t.Run("[M2] a write wins when its stamp is newer, and by client id when it is equal", func(t *testing.T) {
		rec, change := run(base, patch("c2", 5, "r1", fields("content", "b")))
		if change.Status != StatusApplied || string(rec.Fields["content"]) != `"b"` {
			t.Errorf("%s, content %s", change.Status, rec.Fields["content"])
		}
		rec, change = run(base, patch("c0", 5, "r1", fields("content", "b")))
		if change.Status != StatusSuperseded || string(rec.Fields["content"]) != `"a"` {
			t.Errorf("%s, content %s", change.Status, rec.Fields["content"])
		}
	})
	t.Run("[M2] a write with the very stamp of the field wins", func(t *testing.T) {
		rec, _ := run(base, patch("c1", 5, "r1", fields("content", "b")))
		if string(rec.Fields["content"]) != `"b"` {
			t.Errorf("content %s", rec.Fields["content"])
		}
	})
	t.Run("[M3] what loses is named and what wins is carried", func(t *testing.T) {
		rec, _ := run(base, patch("c2", 9, "r1", fields("content", "newer")))
		rec, _ = run(rec, withTags(patch("c2", 9, "r1", nil), map[string]bool{"x": true}))
		m := withTags(patch("c3", 7, "r1", fields("content", "older", "timestampMs", 2)), map[string]bool{"x": false, "y": true})
		rec, change := run(rec, m)
		if change.Status != StatusApplied || !slices.Equal(change.Lost, []string{"content", "tags"}) {
			t.Errorf("%s, lost %v", change.Status, change.Lost)
		}
		if len(change.Fields) != 1 || change.Fields["timestampMs"] == nil || !reflect.DeepEqual(change.Sets["tags"], map[string]bool{"y": true}) {
			t.Errorf("carried %s and %v", change.Fields, change.Sets)
		}
		if !slices.Equal(rec.Sets["tags"], []string{"x", "y"}) {
			t.Errorf("tags %v", rec.Sets["tags"])
		}
	})
	t.Run("[M3] a patch without content is a noop", func(t *testing.T) {
		rec, change := run(base, withTags(patch("c2", 9, "r1", nil), nil))
		if rec != base || change.Status != StatusNoop {
			t.Errorf("%s", change.Status)
		}
	})
	t.Run("[M2] a counter that nobody else wrote adds although all fields lose", func(t *testing.T) {
		rec, change := run(base, withVotes(patch("c0", 1, "r1", fields("content", "old")), 2))
		if change.Status != StatusApplied || rec.Counters["votes"] != 2 || change.Counters["votes"] != 2 {
			t.Errorf("%s, %v", change.Status, rec.Counters)
		}
	})
	t.Run("[M3] delete wins over a newer edit, and restore revives with fields intact and patches", func(t *testing.T) {
		rec, _ := run(base, remove("c1", 6, "r1"))
		_, change := run(rec, patch("c2", 50, "r1", fields("content", "late")))
		if change.Status != StatusGone {
			t.Errorf("edit of a deleted record: %s", change.Status)
		}
		rec, change = run(rec, restore("c2", 51, "r1", fields("content", "late")))
		if change.Status != StatusApplied || rec.Deleted != "" || change.State != rec || change.Fields != nil {
			t.Errorf("restore: %+v", change)
		}
		if string(rec.Fields["content"]) != `"late"` || string(rec.Fields["timestampMs"]) != "1" {
			t.Errorf("restored fields %s", rec.Fields)
		}
	})
	t.Run("[M6] the server says who and when", func(t *testing.T) {
		rec, _ := run(base, patch("c2", 9, "r1", fields("content", "b")))
		if rec.CreatedBy != "c1's user" || rec.UpdatedBy != "c2's user" || rec.CreatedAt != now || rec.UpdatedAt != now {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("[M3] a put makes the sets it names, also without elements", func(t *testing.T) {
		rec, _ := run(nil, withTags(put("c1", 1, "r1", nil), nil))
		if tags, ok := rec.Sets["tags"]; !ok || tags == nil {
			t.Errorf("sets %v", rec.Sets)
		}
	})
}

// aMutation draws a patch of a record with few names, so that writes collide.
// Its stamp is unlike any other's, because i is its client.
func aMutation(t *rapid.T, i int) *Mutation {
	m := patch(fmt.Sprintf("c%02d", i), 1, "r1", map[string]json.RawMessage{})
	m.At = at(int64(rapid.IntRange(0, 5).Draw(t, "ms")))
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "fields") {
		m.Fields[name] = json.RawMessage(fmt.Sprint(i))
	}
	tags := map[string]bool{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID).Draw(t, "tags") {
		tags[name] = rapid.Bool().Draw(t, "on")
	}
	m.Sets = map[string]map[string]bool{"tags": tags}
	m.Counters = map[string]float64{"votes": float64(rapid.IntRange(-3, 3).Draw(t, "votes"))}
	return m
}

func TestReduceProperties(t *testing.T) {
	base, _ := run(nil, put("c", 0, "r1", fields("a", 0)))

	t.Run("[R5][M2] any order of the same patches makes the same record", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			list := make([]*Mutation, rapid.IntRange(1, 12).Draw(t, "count"))
			for i := range list {
				list[i] = aMutation(t, i)
			}
			one, _ := run(base, list...)
			shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
			shuffle.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			other, _ := run(base, list...)
			one.UpdatedBy, other.UpdatedBy = "", "" // says who came last, which is the order's to say
			if a, b := mustJSON(t, one), mustJSON(t, other); a != b {
				t.Fatalf("one order:   %s\nanother one: %s", a, b)
			}
		})
	})
	t.Run("[R4][M2] the same write again changes nothing but its counters", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			first, second := aMutation(t, 1), aMutation(t, 2)
			once, _ := run(base, first, second)
			first.Counters = nil
			twice, _ := run(once, second, first)
			twice.Counters, twice.UpdatedBy = once.Counters, once.UpdatedBy
			if a, b := mustJSON(t, once), mustJSON(t, twice); a != b {
				t.Fatalf("once:  %s\ntwice: %s", a, b)
			}
		})
	})
	t.Run("[M7] the change applied to the old record makes the new one", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rec, _ := run(base, aMutation(t, 1), aMutation(t, 2))
			if rapid.Bool().Draw(t, "deleted") {
				rec, _ = run(rec, remove("c0", 9, "r1"))
			}
			m := aMutation(t, 3)
			m.Op = rapid.SampledFrom([]Op{OpPatch, OpDelete, OpRestore}).Draw(t, "op")
			m.At = at(10)
			next, change := run(rec, m)
			if change.Status != StatusApplied {
				return
			}
			change.Offset = next.Version // the append is what makes another one
			if a, b := mustJSON(t, next), mustJSON(t, change.Apply(rec)); a != b {
				t.Fatalf("server: %s\nmember: %s", a, b)
			}
		})
	})
	t.Run("[M7] a change of a record that a member has not is nothing to it, but for the whole record", func(t *testing.T) {
		_, patched := run(base, patch("c", 9, "r1", fields("a", 1)))
		made, whole := run(nil, put("c", 9, "r1", fields("a", 1)))
		if patched.Apply(nil) != nil || whole.Apply(nil) != made {
			t.Errorf("patched %+v, made %+v", patched.Apply(nil), whole.Apply(nil))
		}
	})
	t.Run("[M2] neither the record nor the mutation is changed", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rec, _ := run(base, aMutation(t, 1), aMutation(t, 2))
			m := aMutation(t, 3)
			m.Op = rapid.SampledFrom([]Op{OpPatch, OpDelete, OpRestore, OpPut}).Draw(t, "op")
			if rapid.Bool().Draw(t, "deleted") {
				rec, _ = run(rec, remove("c0", 0, "r1"))
			}
			recBefore, mBefore := mustJSON(t, rec), mustJSON(t, m)
			run(rec, m)
			if recAfter, mAfter := mustJSON(t, rec), mustJSON(t, m); recAfter != recBefore || mAfter != mBefore {
				t.Fatalf("record: %s\nwas:    %s\nmutation: %s\nwas:      %s", recAfter, recBefore, mAfter, mBefore)
			}
		})
	})
}

func fields(pairs ...any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err)
		}
		out[pairs[i].(string)] = value
	}
	return out
}

func at(ms int64) string { return FormatTime(now+ms, 0) }

// write is a mutation whose number is also how many ms after now it was made.
func write(op Op, client string, n uint64, record string, f map[string]json.RawMessage) *Mutation {
	return &Mutation{Client: client, N: n, At: at(int64(n)), Op: op, Collection: "notes", Record: record, Fields: f}
}

func put(client string, n uint64, record string, f map[string]json.RawMessage) *Mutation {
	return write(OpPut, client, n, record, f)
}

func patch(client string, n uint64, record string, f map[string]json.RawMessage) *Mutation {
	return write(OpPatch, client, n, record, f)
}

func remove(client string, n uint64, record string) *Mutation {
	return write(OpDelete, client, n, record, nil)
}

func restore(client string, n uint64, record string, f map[string]json.RawMessage) *Mutation {
	return write(OpRestore, client, n, record, f)
}

func mustJSON(t interface{ Fatal(...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
