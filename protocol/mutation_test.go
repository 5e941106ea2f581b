package protocol

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wholeMutation is one as clients write it.
const wholeMutation = `{"client":"c1","n":7,"id":"c1-7","at":"0192f0c12b3c0003","base":131,"op":"patch","collection":"notes","record":"r1","fields":{"content":"a \"word\"","list":[1, {"a":null}]}}`

// strangeMutations are those about which encoding/json has its own mind.
var strangeMutations = []string{
	``, `null`, `[]`, `"a"`, `{}`, ` { "n" : 1 , "fields" : { "a" : [ 1 , 2 ] } } `,
	`{"n":1,"n":2}`, `{"client":"a","client":"b"}`, `{"fields":{"a":1},"fields":{"b":2}}`, `{"fields":{"a":1,"a":2}}`,
	`{"N":1,"Client":"c"}`, `{"n":1,"more":true}`, `{"n":"1"}`, `{"n":-1}`, `{"n":1.0}`, `{"n":1e3}`, `{"n":18446744073709551615}`, `{"n":18446744073709551616}`,
	`{"client":"\u00e9"}`, `{"client":"é"}`, `{"client":1}`, `{"client":null}`, `{"op":"upsert"}`, `{"op":"\u0070ut"}`, `{"op":null}`,
	`{"fields":null}`, `{"fields":[]}`, `{"fields":{"a":null,"b":true,"\u0063":{}}}`, `{"fields":{}}`,
	`{"sets":{"tags":{"x":true}},"counters":{"votes":-1.5}}`, `{"sets":null}`, `{"ifVersion":3}`, `{"ifVersion":null}`, `{"ifVersion":0,"base":0}`,
}

func TestDecodeMutation(t *testing.T) {
	for _, text := range append(strangeMutations, wholeMutation) {
		t.Run("what it reads, or says, is what encoding/json does: "+text, func(t *testing.T) { checkDecoded(t, []byte(text)) })
	}
	t.Run("it shares no memory with the payload", func(t *testing.T) {
		payload := []byte(wholeMutation)
		m, err := DecodeMutation(payload)
		before := fmt.Sprintf("%+v", m)
		clear(payload)
		if after := fmt.Sprintf("%+v", m); err != nil || after != before {
			t.Errorf("%s became %s: %v", before, after, err)
		}
	})
	t.Run("the usual one costs its texts, its map and each value", func(t *testing.T) {
		payload := []byte(wholeMutation)
		if n := testing.AllocsPerRun(100, func() { _, _ = DecodeMutation(payload) }); n > 7 {
			t.Errorf("%v allocations", n)
		}
	})
}

func checkDecoded(t *testing.T, text []byte) {
	t.Helper()
	var want Mutation
	wantErr := json.Unmarshal(text, &want)
	got, err := DecodeMutation(text)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%s: %v, want %v", text, err, wantErr)
	}
	if d := cmp.Diff(want, got); err == nil && d != "" {
		t.Fatalf("%s (-want +got):\n%s", text, d)
	}
}

func FuzzDecodeMutation(f *testing.F) {
	for _, text := range append(strangeMutations, wholeMutation) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if json.Valid(text) {
			checkDecoded(t, text)
		}
	})
}

func TestAppendOutcome(t *testing.T) {
	for _, o := range []Outcome{
		{N: 1, Offset: 2, Status: StatusApplied}, {N: 1, Status: StatusUnknown, Duplicate: true},
		{N: 1, Offset: 2, Status: StatusApplied, Lost: []string{"a"}},
		{N: 1, Offset: 2, Status: StatusExists, Error: &Error{Code: "record_exists"}, State: &Record{ID: "r"}, Duplicate: true},
	} {
		want, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := AppendOutcome([]byte("> "), &o); err != nil || string(got) != "> "+string(want) {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}
