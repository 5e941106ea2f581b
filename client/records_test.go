package client_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

type fataler interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

func settle(t fataler) func(m *client.Mutation, err error) client.Outcome {
	return func(m *client.Mutation, err error) client.Outcome {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.Wait(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func text(t testing.TB, r *client.Record) string {
	t.Helper()
	if r == nil {
		return "none"
	}
	var v struct {
		Content string   `json:"content"`
		Tags    []string `json:"tags"`
		Votes   float64  `json:"votes"`
	}
	if err := r.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v.Content, " ", v.Tags, " ", v.Votes)
}

func TestRecords(t *testing.T) {
	w, slow := newWorld(t), new(wire)
	ada, ben := w.dialOver("ada", slow), w.dial("ben")
	open := &client.ChannelOptions{Collections: []string{"notes"}}
	adas, bens := join(t, ada, "interview:1", open), join(t, ben, "interview:1", nil)
	notes, others := adas.Collection("notes"), bens.Collection("notes")
	must[client.Snapshot](t)(others.Load(within(t)))

	t.Run("[R6][M2][M7] a write is shown at once, and to others when it is applied", func(t *testing.T) {
		slow.gate.Lock() // or the server may be quicker than the look at it
		m, err := notes.Put("n1", map[string]any{"content": "hi", "tags": []string{"b", "a"}, "votes": client.Increment(2)})
		if got := text(t, notes.Get("n1")); got != "hi [a b] 2" || notes.Get("n1").Pending != 1 {
			t.Errorf("at once: %s", got)
		}
		slow.gate.Unlock()
		if o := settle(t)(m, err); o.Status != client.Applied || o.AsError() != nil || o.Epoch != adas.Status().Position.Epoch {
			t.Fatalf("%+v", o)
		}
		if r := notes.Get("n1"); r.Pending != 0 || r.Version == 0 || r.CreatedBy != "ada" {
			t.Errorf("%+v", r)
		}
		for s := range others.Watch(within(t)) {
			if len(s.Records) == 1 {
				if got := text(t, s.Records[0]); got != "hi [a b] 2" {
					t.Errorf("ben sees %s", got)
				}
				break
			}
		}
		settle(t)(notes.Patch("n1", map[string]any{"tags": client.Elements{Add: []string{"c"}, Remove: []string{"a"}}, "votes": client.Increment(-1)}))
		settle(t)(notes.Patch("n1", struct {
			Content string `json:"content"`
		}{"ho"}))
		if got := text(t, notes.Get("n1")); got != "ho [b c] 1" {
			t.Errorf("%s", got)
		}
	})
	t.Run("[M3][M4][M5] refusals are data: with the reason, the current record, and what was written", func(t *testing.T) {
		events := ada.Events()
		defer events.Close()
		if o := settle(t)(notes.Put("n1", nil)); o.Status != client.Exists || o.Current == nil || !errors.Is(o.AsError(), &client.Error{Code: protocol.CodeRecordExists}) {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "x"}, client.IfVersion(1))); o.Err == nil || o.Err.Code != protocol.CodeVersionConflict || o.Current == nil {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "forbidden"})); o.Err == nil || o.Err.Code != protocol.CodeForbidden {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n0", map[string]any{"content": "x"})); o.Status != client.Gone {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": fmt.Sprintf("%0*d", protocol.MaxRecordBytes, 0)})); o.Err == nil || o.Err.Code != protocol.CodeRecordTooLarge {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", nil)); o.Status != client.Noop {
			t.Errorf("%+v", o)
		}
		for _, want := range []protocol.Status{client.Exists, client.Rejected, client.Rejected, client.Gone, client.Rejected} {
			e, err := events.Next(within(t))
			if f, ok := e.(*client.Failure); !ok || f.Outcome.Status != want || f.Channel != "interview:1" {
				t.Errorf("%+v, %v", e, err)
			}
		}
		if _, err := notes.Put("", "a string"); err == nil {
			t.Error("a string is a record")
		}
		if text(t, notes.Get("n1")) != "ho [b c] 1" {
			t.Errorf("%s", text(t, notes.Get("n1")))
		}
	})
	t.Run("[M3] delete wins over an edit of the same moment, and restore brings it back", func(t *testing.T) {
		settle(t)(notes.Delete("n1"))
		if notes.Get("n1") != nil {
			t.Error("it is shown")
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "late"})); o.Status != client.Gone {
			t.Errorf("%+v", o)
		}
		settle(t)(notes.Restore("n1", map[string]any{"content": "back"}))
		if got := text(t, notes.Get("n1")); got != "back [b c] 1" {
			t.Errorf("%s", got)
		}
	})
	t.Run("[R6] who is written over without having been seen is told so", func(t *testing.T) {
		over := new(wire)
		cyd := w.dialOver("cyd", over)
		theirs := join(t, cyd, "interview:1", open).Collection("notes")
		events := cyd.Events()
		// Cyd writes into a connection that is cut, and Ada writes later meanwhile.
		over.cut()
		m, err := theirs.Patch("n1", map[string]any{"content": "cyd's"})
		if err != nil {
			t.Fatal(err)
		}
		for written := time.Now().UnixMilli(); time.Now().UnixMilli() == written; { // stamps count in ms: Ada's is newer
			time.Sleep(50 * time.Microsecond)
		}
		settle(t)(notes.Patch("n1", map[string]any{"content": "ada's"}))
		if o := settle(t)(m, nil); o.Status != client.Superseded && o.Status != client.Applied {
			t.Errorf("%+v", o)
		}
		e, err := events.Next(within(t))
		if c, ok := e.(*client.Conflict); !ok || c.Field != "content" || string(c.Mine) != `"cyd's"` || string(c.Theirs) != `"ada's"` {
			t.Errorf("%+v, %v", e, err)
		}
	})
	t.Run("[J3] a collection that no rule names refuses the channel", func(t *testing.T) {
		ch := must[*client.Channel](t)(w.dial("dan").Channel("interview:1", nil))
		if _, err := ch.Collection("nothing").Load(within(t)); !errors.Is(err, &client.Error{Code: protocol.CodeUnknownCollection}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("writes of a channel that is released at once are sent first", func(t *testing.T) {
		ch := must[*client.Channel](t)(w.dial("eve").Channel("interview:1", nil))
		m, err := ch.Collection("notes").Put("last", map[string]any{"content": "words"})
		ch.Release()
		if o := settle(t)(m, err); o.Status != client.Applied {
			t.Errorf("%+v", o)
		}
		if _, err := ch.Collection("notes").Put("", nil); !errors.Is(err, client.ErrReleased) {
			t.Errorf("%v", err)
		}
	})
}
