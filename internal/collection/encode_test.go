package collection

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// sameJSON demands that two texts mean the same.
func sameJSON(t interface{ Fatalf(string, ...any) }, got, want []byte) {
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil || string(x) != string(y) {
		t.Fatalf("got  %s\nwant %s", x, y)
	}
}

func aRecord() *rapid.Generator[*protocol.Record] {
	stamp := rapid.Map(rapid.IntRange(0, 9), func(i int) protocol.Stamp { return stampAt(int64(i), "c1") })
	return rapid.Custom(func(t *rapid.T) *protocol.Record {
		return &protocol.Record{
			ID:      rapid.String().Draw(t, "id"),
			Version: rapid.Uint64().Draw(t, "version"),
			Fields: rapid.MapOf(rapid.String(), rapid.Map(rapid.String(), func(s string) json.RawMessage {
				raw, _ := json.Marshal(s)
				return raw
			})).Draw(t, "fields"),
			Sets:      rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "sets"),
			Counters:  rapid.MapOf(rapid.String(), rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)).Draw(t, "counters"),
			Stamps:    rapid.MapOf(rapid.String(), stamp).Draw(t, "stamps"),
			SetStamps: rapid.MapOf(rapid.String(), rapid.MapOf(rapid.String(), rapid.String())).Draw(t, "setStamps"),
			CreatedBy: rapid.String().Draw(t, "createdBy"), CreatedAt: rapid.Int64().Draw(t, "createdAt"),
			UpdatedBy: rapid.String().Draw(t, "updatedBy"), UpdatedAt: rapid.Int64().Draw(t, "updatedAt"),
			Deleted: rapid.OneOf(rapid.Just(protocol.Stamp("")), stamp).Draw(t, "deleted"),
		}
	})
}

func TestEncode(t *testing.T) {
	t.Run("[M7] a record is encoded as its struct is, and decodes to the same", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rec := aRecord().Draw(t, "record")
			want, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			stored := appendRecord(nil, rec)
			sameJSON(t, protocol.StoredRecord{Version: rec.Version, Data: stored}.Append(nil), want)
			back, err := decodeRecord(stored, rec.Version)
			if err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(back)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, again, want)
		})
	})
	t.Run("[M7] a change is encoded as its struct is, offset and version put in", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			change := aChange(t)
			var state []byte
			if change.State != nil {
				state = appendRecord(nil, change.State)
				if change.Status == protocol.StatusApplied {
					change.State.Version = change.Offset
				} else {
					state = protocol.StoredRecord{Version: change.State.Version, Data: state}.Append(nil)
				}
			}
			data, err := encodeChange(&change, state)
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(change)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, AppendChange(nil, &engine.Entry{Offset: change.Offset, Data: data}), want)
			collection, client, applied := ChangeHead(data)
			if collection != change.Collection || client != change.Client || applied != (change.Status == protocol.StatusApplied) {
				t.Fatalf("head %q %q %v of %+v", collection, client, applied, change)
			}
		})
	})
}

func aChange(t *rapid.T) protocol.Change {
	rec := aRecord().Draw(t, "record")
	change := protocol.Change{
		Offset: rapid.Uint64Min(1).Draw(t, "offset"), Collection: rapid.String().Draw(t, "collection"), Record: rec.ID,
		Op:     rapid.SampledFrom([]protocol.Op{protocol.OpPut, protocol.OpPatch}).Draw(t, "op"),
		Status: rapid.SampledFrom([]protocol.Status{protocol.StatusApplied, protocol.StatusRejected}).Draw(t, "status"),
		Client: rapid.String().Draw(t, "client"), N: rapid.Uint64().Draw(t, "n"), ID: rapid.String().Draw(t, "id"),
		By: rec.CreatedBy, Time: rec.CreatedAt, Base: rapid.Uint64Range(0, 3).Draw(t, "base"),
		Fields: rec.Fields, Counters: rec.Counters, Stamp: rec.Deleted,
		Sets: rapid.MapOf(rapid.String(), rapid.MapOf(rapid.String(), rapid.Bool())).Draw(t, "won"),
		Lost: rapid.SliceOf(rapid.String()).Draw(t, "lost"),
	}
	if rapid.Bool().Draw(t, "failed") {
		change.Error = &protocol.Error{Code: "a", Message: rapid.String().Draw(t, "message"), Path: "/x"}
	}
	if rapid.Bool().Draw(t, "whole") {
		change.State = rec
	}
	return change
}
