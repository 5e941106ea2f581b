package protocol

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

var writeHistories = flag.Bool("histories.write", false, "write the random cases of conformance/collections/histories.json anew")

const historiesFile = "../conformance/collections/histories.json"

// history is mutations of one record in the order of the log, and what becomes
// of them. The format is described in conformance/collections/README.md.
type history struct {
	Name      string          `json:"name"`
	Mutations []historyWrite  `json:"mutations"`
	Statuses  []Status        `json:"statuses"`
	Orders    [][]int         `json:"orders,omitempty"` // that end the same
	Record    *historyContent `json:"record"`
}

type historyWrite struct {
	Client   string                     `json:"client"`
	At       string                     `json:"at"`
	Op       Op                         `json:"op"`
	Fields   map[string]json.RawMessage `json:"fields,omitempty"`
	Sets     map[string]map[string]bool `json:"sets,omitempty"`
	Counters map[string]float64         `json:"counters,omitempty"`
}

type historyContent struct {
	Fields    map[string]json.RawMessage   `json:"fields"`
	Sets      map[string][]string          `json:"sets"`
	Counters  map[string]float64           `json:"counters"`
	Stamps    map[string]Stamp             `json:"stamps"`
	SetStamps map[string]map[string]string `json:"setStamps"`
	Deleted   Stamp                        `json:"deleted,omitempty"`
}

func (w *historyWrite) mutation() (*Mutation, Stamp) {
	return &Mutation{Client: w.Client, At: w.At, Op: w.Op, Record: "r", Collection: "notes", Fields: w.Fields, Sets: w.Sets, Counters: w.Counters},
		MakeStamp(w.At, w.Client)
}

// contentOf is what a record consists of, without who and when; no map is nil.
func contentOf(rec *Record) *historyContent {
	if rec == nil {
		return nil
	}
	c := historyContent{rec.Fields, rec.Sets, rec.Counters, rec.Stamps, rec.SetStamps, rec.Deleted}
	return c.filled()
}

func (c *historyContent) filled() *historyContent {
	if c == nil {
		return nil
	}
	out := *c
	out.Fields, out.Sets, out.Counters = orMake(c.Fields), orMake(c.Sets), orMake(c.Counters)
	out.Stamps, out.SetStamps = orMake(c.Stamps), orMake(c.SetStamps)
	return &out
}

// reduceAll reduces writes in the order of the log.
func reduceAll(writes []historyWrite) (rec *Record, statuses []Status) {
	for i := range writes {
		m, stamp := writes[i].mutation()
		var change Change
		rec, change = Reduce(rec, m, stamp, now, "user")
		statuses = append(statuses, change.Status)
	}
	return rec, statuses
}

// foldTaken is rule M9 said as simply as possible: what the record consists of
// after the writes that were taken, which the statuses tell.
func foldTaken(writes []historyWrite, statuses []Status) *historyContent {
	c := (&historyContent{}).filled()
	made := false
	for i, w := range writes {
		if statuses[i] != StatusApplied && (w.Op != OpPatch || statuses[i] != StatusSuperseded) {
			continue
		}
		made = true
		_, stamp := w.mutation()
		c.Deleted = ""
		if w.Op == OpDelete {
			c.Deleted = stamp
		}
		for name, value := range w.Fields {
			if stamp >= c.Stamps[name] {
				c.Fields[name], c.Stamps[name] = value, stamp
			}
		}
		for name, elements := range w.Sets {
			c.takeElements(name, elements, stamp)
			if w.Op != OpPatch && c.Sets[name] == nil {
				c.Sets[name] = []string{}
			}
		}
		for name, delta := range w.Counters {
			c.Counters[name] += delta
		}
	}
	if !made {
		return nil
	}
	return c
}

func (c *historyContent) takeElements(name string, elements map[string]bool, stamp Stamp) {
	for element, added := range elements {
		if sign := c.SetStamps[name][element]; sign != "" && string(stamp) < sign[1:] {
			continue
		}
		c.SetStamps[name] = orMake(c.SetStamps[name])
		c.SetStamps[name][element] = signed(added, stamp)
		c.Sets[name] = slices.DeleteFunc(append([]string{}, c.Sets[name]...), func(e string) bool { return e == element })
		if added {
			c.Sets[name] = append(c.Sets[name], element)
			slices.Sort(c.Sets[name])
		}
	}
}

// aWrite makes a write of few names by few clients, so that writes collide. n
// makes its stamp unlike any other's.
func aWrite(rng *rand.Rand, n int, ops []Op) historyWrite {
	w := historyWrite{
		Client: "c" + strconv.Itoa(n%4), At: FormatTime(int64(rng.IntN(6)), uint16(n)), Op: ops[rng.IntN(len(ops))],
	}
	if w.Op == OpDelete {
		return w
	}
	for _, name := range []string{"a", "b"} {
		if rng.IntN(2) == 0 {
			w.Fields = orMake(w.Fields)
			w.Fields[name] = json.RawMessage(strconv.Itoa(n))
		}
	}
	if rng.IntN(3) == 0 {
		w.Sets = map[string]map[string]bool{"tags": {string(rune('x' + rng.IntN(3))): rng.IntN(2) == 0}}
	}
	if rng.IntN(3) == 0 {
		w.Counters = map[string]float64{"votes": float64(rng.IntN(7) - 3)}
	}
	return w
}

var (
	anyOp    = []Op{OpPut, OpPatch, OpPatch, OpPatch, OpPatch, OpDelete, OpRestore}
	editsOf  = []Op{OpPatch}
	editsEnd = []Op{OpPatch, OpPatch, OpPatch, OpDelete}
)

func someWrites(t *rapid.T, ops []Op) (*rand.Rand, []historyWrite) {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	writes := make([]historyWrite, rapid.IntRange(1, 14).Draw(t, "count"))
	for i := range writes {
		writes[i] = aWrite(rng, i, ops)
	}
	return rng, writes
}

// shuffleLives puts the patches between two other operations in another order,
// and leaves those where they are: the same mutations are taken then.
func shuffleLives(rng *rand.Rand, writes []historyWrite) []int {
	order := make([]int, len(writes))
	for i := range order {
		order[i] = i
	}
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && writes[to].Op == OpPatch {
			to++
		}
		rng.Shuffle(to-from, func(i, j int) { order[from+i], order[from+j] = order[from+j], order[from+i] })
		from = to + 1
	}
	return order
}

func inOrder(writes []historyWrite, order []int) []historyWrite {
	out := make([]historyWrite, len(order))
	for i, at := range order {
		out[i] = writes[at]
	}
	return out
}

func TestHistories(t *testing.T) {
	text, err := os.ReadFile(historiesFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []history
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if *writeHistories {
		all = append(slices.DeleteFunc(all, func(h history) bool { return h.Name[:min(6, len(h.Name))] == "random" }), randomHistories()...)
		rewriteHistories(t, all)
	}
	if len(all) < 100 {
		t.Fatalf("%d cases", len(all))
	}
	for _, h := range all {
		t.Run("[M2] [M3] [M9] "+h.Name, func(t *testing.T) {
			rec, statuses := reduceAll(h.Mutations)
			if !slices.Equal(statuses, h.Statuses) {
				t.Errorf("statuses %v, want %v", statuses, h.Statuses)
			}
			for _, order := range h.Orders {
				rec, _ := reduceAll(inOrder(h.Mutations, order))
				if got := contentOf(rec); !reflect.DeepEqual(got, h.Record.filled()) {
					t.Errorf("in order %v: %s, want %s", order, mustJSON(t, got), mustJSON(t, h.Record))
				}
			}
			if got := contentOf(rec); !reflect.DeepEqual(got, h.Record.filled()) {
				t.Errorf("%s, want %s", mustJSON(t, got), mustJSON(t, h.Record))
			}
		})
	}
}

func randomHistories() (out []history) {
	rng := rand.New(rand.NewPCG(2026, 0))
	for i := range 100 {
		writes := []historyWrite{aWrite(rng, 0, []Op{OpPut, OpPut, OpPatch})}
		for n := range 2 + rng.IntN(9) {
			writes = append(writes, aWrite(rng, n+1, anyOp))
		}
		rec, statuses := reduceAll(writes)
		h := history{Name: fmt.Sprint("random ", i), Mutations: writes, Statuses: statuses, Record: contentOf(rec)}
		for range 2 {
			h.Orders = append(h.Orders, shuffleLives(rng, writes))
		}
		out = append(out, h)
	}
	return out
}

func rewriteHistories(t *testing.T, all []history) {
	text := []byte("[\n")
	for i, h := range all {
		line, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, line...)
		if i < len(all)-1 {
			text = append(text, ',')
		}
		text = append(text, '\n')
	}
	if err := os.WriteFile(historiesFile, append(text, "]\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFoldProperties(t *testing.T) {
	t.Run("[M9] a record is what was taken, by stamps and sums", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			_, writes := someWrites(t, anyOp)
			rec, statuses := reduceAll(writes)
			if got, want := contentOf(rec), foldTaken(writes, statuses); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\nreduced: %s\nfolded:  %s", mustJSON(t, writes), mustJSON(t, got), mustJSON(t, want))
			}
		})
	})
	t.Run("[M9] [R5] any two orders of the log that take the same mutations make the same record", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rng, writes := someWrites(t, anyOp)
			one, _ := reduceAll(writes)
			other, _ := reduceAll(inOrder(writes, shuffleLives(rng, writes)))
			if got, want := contentOf(other), contentOf(one); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\none:   %s\nother: %s", mustJSON(t, writes), mustJSON(t, want), mustJSON(t, got))
			}
		})
	})
	t.Run("[M9] [R5] edits of a record that is there commute, whoever they come before", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rng, writes := someWrites(t, editsOf)
			writes[0] = aWrite(rng, 0, []Op{OpPut})
			one, _ := reduceAll(writes)
			rng.Shuffle(len(writes)-1, func(i, j int) { writes[i+1], writes[j+1] = writes[j+1], writes[i+1] })
			other, _ := reduceAll(writes)
			if got, want := contentOf(other), contentOf(one); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\none:   %s\nother: %s", mustJSON(t, writes), mustJSON(t, want), mustJSON(t, got))
			}
		})
	})
	t.Run("[M3] [M9] whatever the order of edits and deletions, the record is deleted in the end", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rng, writes := someWrites(t, editsEnd)
			writes[0] = aWrite(rng, 0, []Op{OpPut})
			deletes := slices.ContainsFunc(writes, func(w historyWrite) bool { return w.Op == OpDelete })
			rng.Shuffle(len(writes)-1, func(i, j int) { writes[i+1], writes[j+1] = writes[j+1], writes[i+1] })
			if rec, _ := reduceAll(writes); (rec.Deleted != "") != deletes {
				t.Fatalf("%s\ndeleted %q", mustJSON(t, writes), rec.Deleted)
			}
		})
	})
	t.Run("[M7] [R5] a member that is told what was applied has the server's record after each change", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			_, writes := someWrites(t, anyOp)
			var server, member *Record
			for i := range writes {
				m, stamp := writes[i].mutation()
				next, change := Reduce(server, m, stamp, now+int64(i), m.Client)
				if change.Status != StatusApplied {
					continue
				}
				next.Version, change.Offset = uint64(i+1), uint64(i+1)
				var told Change
				if err := json.Unmarshal([]byte(mustJSON(t, change)), &told); err != nil {
					t.Fatal(err)
				}
				server, member = next, told.Apply(member)
				if a, b := mustJSON(t, server), mustJSON(t, member); a != b {
					t.Fatalf("after %s of %s\nserver: %s\nmember: %s", m.Op, mustJSON(t, writes), a, b)
				}
			}
		})
	})
}
