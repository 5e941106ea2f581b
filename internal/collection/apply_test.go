package collection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

func TestApply(t *testing.T) {
	t.Run("[M7] a put carries the whole record with its version", func(t *testing.T) {
		d := openNotes(t)
		outcome := d.apply(put("c1", 1, "r1", fields("content", "hello")))
		wantStatus(t, outcome, protocol.StatusApplied, "")
		change := d.lastChange()
		if change.State == nil || change.State.Version != outcome.Offset || change.Offset != outcome.Offset || change.Fields != nil {
			t.Errorf("change %+v of offset %d", change, outcome.Offset)
		}
	})
	t.Run("[M7] a patch carries what won, with one stamp and the new totals", func(t *testing.T) {
		d := openNotes(t)
		d.apply(withVotes(put("c1", 1, "r1", fields("content", "a", "timestampMs", 1)), 2))
		newer := patch("c2", 1, "r1", fields("content", "b"))
		newer.At = at(9)
		d.apply(newer)
		m := withVotes(patch("c3", 1, "r1", fields("content", "older", "timestampMs", 2)), 1)
		m.At, m.Base = at(5), 2
		outcome := d.apply(withTags(m, map[string]bool{"x": true}))
		change := d.lastChange()
		if !slices.Equal(outcome.Lost, []string{"content"}) || !slices.Equal(change.Lost, outcome.Lost) || len(change.Fields) != 1 {
			t.Errorf("lost %v, change %+v", outcome.Lost, change)
		}
		if change.State != nil || change.Stamp != stampAt(5, "c3") || change.Counters["votes"] != 3 || change.Base != 2 ||
			string(change.Fields["timestampMs"]) != "2" || !change.Sets["tags"]["x"] {
			t.Errorf("change %+v", change)
		}
	})
	t.Run("[M2] a stamp more than 60 s ahead is set back to 60 s ahead", func(t *testing.T) {
		d := openNotes(t)
		m := put("c1", 1, "r1", fields("content", "from the future"))
		m.At = at(3_600_000)
		d.apply(m)
		if got := d.record("r1").Stamps["content"]; got != stampAt(60_000, "c1") {
			t.Errorf("stamp %s, want %s", got, stampAt(60_000, "c1"))
		}
	})
	t.Run("[M3] exists, gone and noop say why, with the current record where there is one", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", fields("content", "a")))
		exists := d.apply(put("c2", 1, "r1", fields("content", "b")))
		wantStatus(t, exists, protocol.StatusExists, protocol.CodeRecordExists)
		if exists.State == nil || exists.State.Version != 1 {
			t.Errorf("state %+v", exists.State)
		}
		wantStatus(t, d.apply(patch("c2", 2, "nowhere", fields("content", "b"))), protocol.StatusGone, protocol.CodeRecordUnknown)
		wantStatus(t, d.apply(remove("c2", 3, "nowhere")), protocol.StatusNoop, "")
		wantStatus(t, d.apply(restore("c2", 4, "r1", nil)), protocol.StatusNoop, "")
		d.apply(remove("c1", 2, "r1"))
		gone := d.apply(patch("c2", 5, "r1", fields("content", "b")))
		wantStatus(t, gone, protocol.StatusGone, protocol.CodeRecordDeleted)
		if change := d.lastChange(); change.State == nil || change.State.Deleted == "" || change.State.Version != 6 {
			t.Errorf("state %+v", change.State)
		}
		wantStatus(t, d.apply(put("c2", 6, "r1", fields("content", "b"))), protocol.StatusExists, protocol.CodeRecordExists)
	})
	t.Run("[M4] ifVersion is strict, and the current record comes with the conflict", func(t *testing.T) {
		d := openNotes(t)
		strict := func(m *protocol.Mutation, version uint64) *protocol.Mutation {
			m.IfVersion = &version
			return m
		}
		wantStatus(t, d.apply(strict(put("c1", 1, "r1", fields("content", "a")), 0)), protocol.StatusApplied, "")
		wantStatus(t, d.apply(strict(patch("c1", 2, "r1", fields("content", "b")), 1)), protocol.StatusApplied, "")
		conflict := d.apply(strict(patch("c1", 3, "r1", fields("content", "c")), 1))
		wantStatus(t, conflict, protocol.StatusRejected, protocol.CodeVersionConflict)
		if conflict.State == nil || conflict.State.Version != 2 || string(conflict.State.Fields["content"]) != `"b"` {
			t.Errorf("state %+v", conflict.State)
		}
		if change := d.lastChange(); change.State == nil || change.State.Version != 2 {
			t.Errorf("state in the change %+v", change.State)
		}
		wantStatus(t, d.apply(strict(put("c1", 4, "r1", nil), 0)), protocol.StatusRejected, protocol.CodeVersionConflict)
		wantStatus(t, d.apply(strict(patch("c1", 5, "r2", nil), 7)), protocol.StatusRejected, protocol.CodeVersionConflict)
	})
	t.Run("[M8] a refusal tells its author and keeps the content to itself", func(t *testing.T) {
		d := openNotes(t)
		m := put("c1", 1, "r1", fields("content", "secret"))
		m.Collection = "letters"
		wantStatus(t, d.apply(m), protocol.StatusRejected, protocol.CodeUnknownCollection)
		change := d.lastChange()
		if change.Fields != nil || change.Stamp != "" || change.Error == nil || change.Error.Path != "/collection" || change.Client != "c1" {
			t.Errorf("change %+v", change)
		}
		entries, _ := d.eng.Read(context.Background(), "room", engine.Position{}, 0)
		if _, client, applied := ChangeHead(entries[0].Data); client != "c1" || applied {
			t.Errorf("head %q %v", client, applied)
		}
	})
	t.Run("[M8] a refusal does not carry a large record into the log", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", fields("content", strings.Repeat("x", maxEchoed))))
		outcome := d.apply(put("c2", 1, "r1", nil))
		if outcome.State == nil || d.lastChange().State != nil {
			t.Error("want the record in the answer and not in the change")
		}
	})
	t.Run("[M6] what the server writes cannot be written", func(t *testing.T) {
		d := openNotes(t)
		for i, name := range []string{"id", "version", "createdBy", "createdAt", "updatedBy", "updatedAt"} {
			outcome := d.apply(put("c1", uint64(i+1), "r1", fields(name, "x")))
			wantStatus(t, outcome, protocol.StatusRejected, protocol.CodeInvalidMutation)
			if outcome.Error.Path != "/fields/"+name {
				t.Errorf("path %s", outcome.Error.Path)
			}
		}
		if d.record("r1") != nil {
			t.Error("a refused put made a record")
		}
	})
	t.Run("[M6] createdBy and updatedBy are the token's subjects", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", fields("content", "a")))
		if _, err := d.store.Apply(context.Background(), d.target, patch("c2", 1, "r1", fields("content", "b")), Author{Subject: "bob"}); err != nil {
			t.Fatal(err)
		}
		if rec := d.record("r1"); rec.CreatedBy != "ada" || rec.UpdatedBy != "bob" || rec.CreatedAt != now {
			t.Errorf("record %+v", rec)
		}
	})
}

func TestApplyTurns(t *testing.T) {
	t.Run("[M1] a repeat gets the first outcome and changes nothing", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c0", 1, "r1", fields("content", "a", "timestampMs", 9)))
		m := withVotes(patch("c1", 1, "r1", fields("timestampMs", 1, "content", "b")), 5)
		m.At = at(0) // loses both fields to c0's
		first := d.apply(m)
		version := d.record("r1").Version
		repeat := d.apply(m)
		first.Duplicate = true
		if mustJSON(t, repeat) != mustJSON(t, first) || len(first.Lost) != 2 {
			t.Errorf("repeat %+v, first %+v", repeat, first)
		}
		if rec := d.record("r1"); rec.Version != version || rec.Counters["votes"] != 5 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("[M5] a rejected mutation consumes its n, and its repeat says why again", func(t *testing.T) {
		d := openNotes(t)
		bad := patch("c1", 1, "r1", fields("createdBy", "me"))
		first := d.apply(bad)
		repeat := d.apply(bad)
		if first.Duplicate = true; mustJSON(t, repeat) != mustJSON(t, first) {
			t.Errorf("repeat %+v, first %+v", repeat, first)
		}
		wantStatus(t, d.apply(put("c1", 2, "r1", nil)), protocol.StatusApplied, "")
	})
	t.Run("[M1] a repeat is unknown once 64 newer outcomes are kept", func(t *testing.T) {
		d := openNotes(t)
		list := []*protocol.Mutation{put("c1", 1, "r1", fields("content", 1))}
		for n := uint64(2); n <= protocol.OutcomesKept+1; n++ {
			list = append(list, patch("c1", n, "r1", fields("content", n)))
		}
		for _, m := range list {
			d.apply(m)
		}
		if got := d.apply(list[0]); got.Status != protocol.StatusUnknown || !got.Duplicate || got.N != 1 {
			t.Errorf("repeat of 1: %+v", got)
		}
		for _, m := range list[1:] {
			if got := d.apply(m); got.Status != protocol.StatusApplied || !got.Duplicate || got.N != m.N || got.Offset != m.N {
				t.Errorf("repeat of %d: %+v", m.N, got)
			}
		}
		if got := len(d.changes()); got != len(list) {
			t.Errorf("%d entries, want %d", got, len(list))
		}
	})
	t.Run("[M1] n above the next is out_of_order and names the one that is due", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", nil))
		if err := d.refuse("ada", patch("c1", 3, "r1", nil), protocol.CodeOutOfOrder); err.Expect != 2 || !err.Retryable {
			t.Errorf("%+v", err)
		}
	})
	t.Run("[M1] the client id of another subject is forbidden_client", func(t *testing.T) {
		d := openNotes(t)
		d.apply(put("c1", 1, "r1", nil))
		d.refuse("mallory", patch("c1", 2, "r1", nil), protocol.CodeForbiddenClient)
		d.refuse("mallory", put("c1", 1, "r1", nil), protocol.CodeForbiddenClient)
	})
	t.Run("[M1] an unknown client that does not begin at 1 is client_unknown", func(t *testing.T) {
		d := openNotes(t)
		d.refuse("ada", patch("c1", 2, "r1", nil), protocol.CodeClientUnknown)
		wantStatus(t, d.apply(put("c1", 1, "r1", nil)), protocol.StatusApplied, "")
	})
	t.Run("[M1] a mutation without a usable client id or n consumes nothing", func(t *testing.T) {
		d := openNotes(t)
		for _, client := range []string{"", "a@b", "a/b", "a:1", strings.Repeat("x", 129)} {
			d.refuse("ada", put(client, 1, "r1", nil), protocol.CodeInvalidMutation)
		}
		d.refuse("ada", put("c1", 0, "r1", nil), protocol.CodeInvalidMutation)
		if got := len(d.changes()); got != 0 {
			t.Errorf("%d entries", got)
		}
	})
	t.Run("[M1] n counts per channel, and so does the owner", func(t *testing.T) {
		room := openNotes(t)
		room.apply(put("c1", 1, "r1", nil))
		hall := newDesk(t, room.eng, map[string]Spec{"notes": {}})
		hall.target.Channel = "hall"
		hall.refuse("ada", put("c1", 2, "r1", nil), protocol.CodeClientUnknown)
		if _, err := hall.store.Apply(t.Context(), hall.target, put("c1", 1, "r1", nil), Author{Subject: "bob"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("[M1] a client whose row has aged away is told to take a new id", func(t *testing.T) {
		fake := newFake()
		d := newDesk(t, fake, map[string]Spec{"notes": {}})
		d.apply(put("c1", 1, "r1", nil))
		if row := fake.values[rowKey("c1")]; !row.Tombstone {
			t.Fatal("the row does not age")
		}
		delete(fake.values, rowKey("c1"))
		d.refuse("ada", patch("c1", 2, "r1", nil), protocol.CodeClientUnknown)
	})
}

func TestClient(t *testing.T) {
	d := openNotes(t)
	for n := uint64(1); n <= 70; n++ {
		d.apply(patch("c1", n, "nowhere", nil))
	}
	t.Run("[R4] synced gets the highest n and the newest 64 outcomes", func(t *testing.T) {
		last, outcomes, err := d.store.Client(context.Background(), "room", "c1", "ada")
		if err != nil || last != 70 || len(outcomes) != protocol.OutcomesKept || outcomes[0].N != 7 || outcomes[63].N != 70 || outcomes[63].Offset != 70 {
			t.Errorf("%d, %d outcomes, %v", last, len(outcomes), err)
		}
		if e := outcomes[0].Error; e == nil || e.Code != protocol.CodeRecordUnknown {
			t.Errorf("error %v", e)
		}
	})
	t.Run("[M1] it is forbidden to another subject, and 0 for a client nobody knows", func(t *testing.T) {
		if _, _, err := d.store.Client(context.Background(), "room", "c1", "mallory"); err == nil || err.Code != protocol.CodeForbiddenClient {
			t.Errorf("error %v", err)
		}
		if last, outcomes, err := d.store.Client(context.Background(), "room", "c2", "mallory"); last != 0 || outcomes != nil || err != nil {
			t.Errorf("%d %v %v", last, outcomes, err)
		}
	})
}

func TestLoad(t *testing.T) {
	d := openNotes(t)
	d.apply(put("c1", 1, "b", fields("content", "b")))
	d.apply(put("c1", 2, "a", fields("content", "a")))
	d.apply(put("c1", 3, "c", fields("content", "c")))
	d.apply(remove("c1", 4, "c"))
	d.apply(patch("c1", 5, "b", fields("content", "B")))

	load := func(after uint64) (ids []string) {
		at, records, err := d.store.Load(context.Background(), "room", "notes", after)
		if err != nil || at.Offset != 5 {
			t.Fatalf("load at %+v: %v", at, err)
		}
		for _, stored := range records {
			var rec protocol.Record
			if err := json.Unmarshal(stored.Append(nil), &rec); err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%s@%d", rec.ID, rec.Version)
			if rec.Deleted != "" {
				id += " deleted"
			}
			ids = append(ids, id)
		}
		return ids
	}
	t.Run("[S3] from the start it is every record by id, without the deleted ones", func(t *testing.T) {
		if got := load(0); !slices.Equal(got, []string{"a@2", "b@5"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("[S3] after a version it is what changed, with tombstones", func(t *testing.T) {
		if got := load(2); !slices.Equal(got, []string{"b@5", "c@4 deleted"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestApplyFailures(t *testing.T) {
	cases := []struct {
		name string
		err  error
		code string
	}{
		{"[E8] an overloaded engine", engine.ErrOverloaded, protocol.CodeOverloaded},
		{"[E8] a store that cannot be written", engine.ErrUnavailable, protocol.CodeUnavailable},
		{"a closed engine", engine.ErrClosed, protocol.CodeShuttingDown},
		{"a context that ended", context.DeadlineExceeded, protocol.CodeUnavailable},
		{"an error that nobody declared", errors.New("odd"), protocol.CodeInternal},
		{"[E5] a record that always moves", &engine.ConflictError{}, protocol.CodeOverloaded},
	}
	for _, c := range cases {
		t.Run("[M5] "+c.name+" consumes nothing and says to come back", func(t *testing.T) {
			fake := newFake()
			d := newDesk(t, fake, map[string]Spec{"notes": {}})
			fake.before = func(engine.Write) error { return c.err }
			err := d.refuse("ada", put("c1", 1, "r1", nil), c.code)
			if !err.Retryable || err.RetryAfterMs == 0 {
				t.Errorf("%+v", err)
			}
			fake.before = nil
			wantStatus(t, d.apply(put("c1", 1, "r1", nil)), protocol.StatusApplied, "")
		})
	}
	t.Run("[R4] an answer that was lost after the append is given to the repeat", func(t *testing.T) {
		fake := newFake()
		d := newDesk(t, lostAnswer{fake}, map[string]Spec{"notes": {}})
		m := withVotes(put("c1", 1, "r1", nil), 1)
		d.refuse("ada", m, protocol.CodeUnavailable)
		got := d.apply(m)
		if got.Status != protocol.StatusApplied || !got.Duplicate || d.record("r1").Counters["votes"] != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("[R4] a broadcast that took the mutation's entry id does not swallow the mutation", func(t *testing.T) {
		d := openNotes(t)
		if _, err := d.eng.Append(context.Background(), "room", engine.Write{Kind: engine.KindMessage, ID: "c1:1", Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		got := d.apply(put("c1", 1, "r1", nil))
		if got.Status != protocol.StatusApplied || got.Duplicate || d.record("r1") == nil {
			t.Errorf("%+v", got)
		}
	})
}

// lostAnswer appends, and then lets the caller's time run out.
type lostAnswer struct{ *fakeEngine }

func (l lostAnswer) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	if _, err := l.fakeEngine.Append(ctx, channel, w); err != nil {
		return engine.Receipt{}, err
	}
	return engine.Receipt{}, context.DeadlineExceeded
}
