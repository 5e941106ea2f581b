package bench

import (
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/client"
)

func TestLedger(t *testing.T) {
	// found tells what a few notes lead to.
	found := func(do func(l *ledger)) *verdict {
		v := new(verdict)
		l := newLedger("realtime:x", v)
		for i, write := range []string{"a", "b", "c"} {
			l.acknowledge("the author", "e", uint64(i+1), write, message)
		}
		l.note("member 1", "e", 4, "mutation", change)
		do(l)
		return v
	}
	witnessed := func(from uint64, offsets ...uint64) func(l *ledger) {
		return func(l *ledger) {
			w := &witness{who: "member 1", epoch: "e", kind: message, from: from}
			for _, offset := range offsets {
				w.see(offset, l)
			}
			w.check(l)
		}
	}
	for _, c := range []struct {
		name string
		do   func(l *ledger)
		want [breaches]int64
	}{
		{"who saw everything has nothing to complain of", witnessed(0, 1, 2, 3), [breaches]int64{}},
		{"[J1] what lies before a join is not promised", witnessed(2, 3), [breaches]int64{}},
		{"[R3] a gap is a loss", witnessed(0, 1, 3), [breaches]int64{lost: 1}},
		{"[R3] so is a missing end", witnessed(0, 1), [breaches]int64{lost: 2}},
		{"[R4] what comes twice is a duplicate", witnessed(0, 1, 2, 2, 3), [breaches]int64{duplicated: 1}},
		{"[R1] what comes behind a later one is disorder", witnessed(0, 1, 3, 2), [breaches]int64{disordered: 1, lost: 1}},
		{"[R1] two writes at one offset are disorder", func(l *ledger) { l.note("member 2", "e", 2, "other", message) }, [breaches]int64{disordered: 1}},
		{"[R2] one write at two offsets is a duplicate", func(l *ledger) { l.acknowledge("member 2", "e", 9, "b", message) }, [breaches]int64{duplicated: 1}},
		{"another epoch is another log", func(l *ledger) { l.note("member 2", "f", 2, "other", message) }, [breaches]int64{}},
		{"after a gap that the server told of, nothing is promised", func(l *ledger) {
			w := &witness{who: "member 1", epoch: "e", kind: message}
			w.see(1, l)
			w.close()
			w.check(l)
		}, [breaches]int64{}},
		{"the newest messages are what is stored", func(l *ledger) {
			s := snapshot{epoch: "e", messages: []placed{{"a", 1}, {"b", 2}, {"c", 3}}}
			s.checkMessages(l, "node 1")
		}, [breaches]int64{}},
		{"[R2] an acknowledged message that is not stored is lost", func(l *ledger) {
			s := snapshot{epoch: "e", messages: []placed{{"a", 1}, {"c", 3}}}
			s.checkMessages(l, "node 1")
		}, [breaches]int64{lost: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := found(c.do)
			if v.counts != c.want {
				t.Errorf("found %v, want %v (first: %s)", v.counts, c.want, v.first)
			}
			if v.clean() != (c.want == [breaches]int64{}) || (v.first == "") != v.clean() {
				t.Errorf("clean: %t, first: %q", v.clean(), v.first)
			}
		})
	}

	t.Run("[R5] records that differ are told with the first difference", func(t *testing.T) {
		v := found(func(l *ledger) {
			shown := []*client.Record{{ID: "r", Values: fields{"content": []byte(`"old"`)}}}
			s := snapshot{records: map[string]fields{"r": {"content": []byte(` "old"`)}}}
			s.checkRecords("member 1", shown, l, 0)
			s.records["r"]["content"] = []byte(`"new"`)
			s.checkRecords("member 1", shown, l, 0)
		})
		if v.counts != [breaches]int64{disordered: 1} || !strings.Contains(v.first, `"new"`) {
			t.Errorf("found %v: %s", v.counts, v.first)
		}
	})
}

func TestHasHeard(t *testing.T) {
	l := newLedger("realtime:x", new(verdict))
	l.acknowledge("ada", "e", 1, "m1", message)
	l.acknowledge("ada", "e", 2, "c1", change)
	l.acknowledge("ada", "e", 3, "m2", message)
	at := func(k kind, offset uint64) *witness { return &witness{who: "ben", epoch: "e", kind: k, from: offset} }
	f := &follower{ledger: l, messages: at(message, 3)}
	if f.hasHeard(change, nil) || f.hasHeard(change, at(change, 0)) {
		t.Error("a member whose messages have come to the end counts as one whose changes have")
	}
	if !f.hasHeard(message, f.messages) || !f.hasHeard(change, at(change, 2)) {
		t.Error("a member who has heard everything counts as one who has not")
	}
}
