package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

func TestHistory(t *testing.T) {
	w := newWorld(t)
	wire := &wire{}
	ada := w.dialOver("ada", wire)
	ch, err := ada.Channel("interview:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	notes := ch.Collection("notes")
	applied := func(m *client.Mutation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if outcome, err := m.Wait(within(t)); err != nil || outcome.Status != client.Applied {
			t.Fatalf("%+v %v", outcome, err)
		}
	}
	applied(notes.Put("n1", map[string]any{"content": "one"}))
	applied(notes.Patch("n1", map[string]any{"content": "two", "tags": []string{"a"}}))
	applied(notes.Delete("n1"))

	t.Run("[A6] who changed a record, what and when, also of a deleted one", func(t *testing.T) {
		h, err := notes.History(within(t), "n1", 0)
		if err != nil || !h.Complete || len(h.Changes) != 3 {
			t.Fatalf("%+v %v", h, err)
		}
		made, changed, deleted := h.Changes[0], h.Changes[1], h.Changes[2]
		if made.Op != protocol.OpPut || made.By != "ada" || made.State == nil || string(made.State.Fields["content"]) != `"one"` {
			t.Errorf("%+v", made)
		}
		if string(changed.Fields["content"]) != `"two"` || !changed.Sets["tags"]["a"] || changed.Time == 0 || deleted.Op != protocol.OpDelete {
			t.Errorf("%+v %+v", changed, deleted)
		}
		if h, err := notes.History(within(t), "n1", 1); err != nil || h.Complete || len(h.Changes) != 1 {
			t.Errorf("the newest: %+v %v", h, err)
		}
	})
	t.Run("[A6] what cannot be had is said with its code", func(t *testing.T) {
		if _, err := notes.History(within(t), "nobody", 0); !errors.Is(err, &client.Error{Code: protocol.CodeRecordUnknown}) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := notes.History(ctx, "n1", 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		ada.Close()
		if _, err := notes.History(within(t), "n1", 0); !errors.Is(err, client.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
