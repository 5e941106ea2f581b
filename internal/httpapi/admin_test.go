package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
)

const revocations = "/api/v1/admin/revocations"

func TestChannels(t *testing.T) {
	r := newRig(t)
	admin := r.token("backend", "service_role")
	for _, name := range []string{"interview:1", "interview:2", "room:1"} {
		r.join(name, name)
	}
	r.join("room:1", "another")
	r.do("POST", room+"/messages", admin, `{"event":"e"}`).want(201)
	t.Run("those with members, with their positions", func(t *testing.T) {
		page := into[channelPage](r.do("GET", "/api/v1/channels", admin, "").want(200))
		if len(page.Channels) != 3 || page.Channels[2].Name != "room:1" || page.Channels[2].Members != 2 || page.Channels[2].Offset != 1 || page.Channels[2].Epoch == "" {
			t.Errorf("%+v", page)
		}
	})
	t.Run("[R7] in pages", func(t *testing.T) {
		first := into[channelPage](r.do("GET", "/api/v1/channels?limit=2", admin, "").want(200))
		second := into[channelPage](r.do("GET", "/api/v1/channels?limit=2&cursor="+first.Cursor, admin, "").want(200))
		if len(first.Channels) != 2 || len(second.Channels) != 1 || second.Channels[0].Name != "room:1" || second.Cursor != "" {
			t.Errorf("%+v %+v", first, second)
		}
	})
	t.Run("one of them; its members are for administrators", func(t *testing.T) {
		got := into[channelDetail](r.do("GET", room, admin, "").want(200))
		if got.Members == nil || *got.Members != 2 || got.Offset != 1 || !got.Private || got.Durability != "memory" {
			t.Errorf("%+v", got)
		}
		got = into[channelDetail](r.do("GET", interview, r.token("ada", "member"), "").want(200))
		if got.Members != nil || fmt.Sprint(got.Collections) != "[notes]" || got.Durability != "os" {
			t.Errorf("%+v", got)
		}
	})
}

func TestRevocations(t *testing.T) {
	r := newRig(t)
	admin := r.token("backend", "service_role")
	ada := r.token("ada", "member")
	t.Run("[A5] tokens are refused from the answer on, and good again when it is taken back", func(t *testing.T) {
		r.do("GET", interview, ada, "").want(200)
		made := into[revocation](r.do("POST", revocations, admin, `{"sub":"ada"}`).want(201))
		if made.CreatedBy != "backend" || made.CreatedAt == 0 || made.Subject != "ada" {
			t.Errorf("%+v", made)
		}
		if got := r.do("GET", interview, ada, "").problem(401, "token_revoked"); got.Detail != "Token was revoked" {
			t.Error(got.Detail)
		}
		r.do("DELETE", revocations+"/"+made.ID, admin, "").want(204)
		r.do("GET", interview, ada, "").want(200)
		r.do("DELETE", revocations+"/"+made.ID, admin, "").problem(404, "not_found")
	})
	t.Run("[A5] the same one twice is one, and never reaches less far", func(t *testing.T) {
		first := into[revocation](r.do("POST", revocations, admin, `{"sub":"ben","issuedBefore":2000}`).want(201))
		second := into[revocation](r.do("POST", revocations, admin, `{"sub":"ben","issuedBefore":1000}`).want(201))
		whole := into[revocation](r.do("POST", revocations, admin, `{"sub":"ben"}`).want(201))
		if second.ID != first.ID || second.IssuedBefore != 2000 || whole.ID == first.ID {
			t.Errorf("%+v %+v %+v", first, second, whole)
		}
	})
	t.Run("[R7] in pages", func(t *testing.T) {
		r.do("POST", revocations, admin, `{"jti":"t1","expiresAt":4102444800000}`).want(201)
		ids := map[string]bool{}
		query := "?limit=2"
		for range 2 {
			page := into[revocationPage](r.do("GET", revocations+query, admin, "").want(200))
			for _, v := range page.Revocations {
				ids[v.ID] = true
			}
			query = "?limit=2&cursor=" + page.Cursor
		}
		if len(ids) != 3 {
			t.Error(ids)
		}
	})
	for name, body := range map[string]string{
		"nothing":               `{}`,
		"both":                  `{"jti":"t","sub":"s"}`,
		"a jti and a time":      `{"jti":"t","issuedBefore":1}`,
		"a time before 1970":    `{"sub":"s","issuedBefore":-1}`,
		"a time beyond all":     `{"sub":"s","expiresAt":999999999999999999}`,
		"[R7] a sub of 1025":    `{"sub":"` + strings.Repeat("s", 1025) + `"}`,
		"[R7] a body of 20 KiB": `{"sub":"` + strings.Repeat("s", 20<<10) + `"}`,
		"another member":        `{"subject":"s"}`,
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if got := r.do("POST", revocations, admin, body); got.status != 400 && got.status != 413 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	t.Run("disconnect takes a sub or a session", func(t *testing.T) {
		for _, body := range []string{`{}`, `{"sub":"a","session":"b"}`} {
			r.do("POST", "/api/v1/admin/disconnect", admin, body).problem(400, "invalid_payload")
		}
		for _, body := range []string{`{"sub":"a"}`, `{"session":"b"}`} {
			if got := into[disconnected](r.do("POST", "/api/v1/admin/disconnect", admin, body).want(200)); got.Disconnected != 0 {
				t.Errorf("%+v", got)
			}
		}
	})
}

// logOn opens a revocation log on an engine, at a time.
func logOn(t *testing.T, eng engine.Engine, now func() time.Time, recheck func()) (*RevocationLog, *auth.Revocations) {
	t.Helper()
	set := new(auth.Revocations)
	l, err := NewRevocationLog(t.Context(), RevocationOptions{Engine: eng, Set: set, Recheck: recheck, Now: now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return l, set
}

func TestRevocationLog(t *testing.T) {
	id := &auth.Identity{Subject: "ada", TokenID: "t1"}
	t.Run("[A5] a restart forgets nothing", func(t *testing.T) {
		dir := t.TempDir()
		for run := range 2 {
			eng, err := embedded.Open(embedded.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			l, set := logOn(t, eng, time.Now, func() {})
			if run == 0 {
				if _, fault, err := l.put(t.Context(), revocationRequest{TokenID: "t1"}, "root"); fault != nil || err != nil {
					t.Fatal(fault, err)
				}
			}
			if set.Check(id, time.Now()) == nil {
				t.Errorf("run %d: not revoked", run)
			}
			if err := eng.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("[A5] open sessions are asked after every change, whoever made it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			eng, err := embedded.Open(embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			follower, set := logOn(t, eng, time.Now, func() { asked.Add(1) })
			writer, _ := logOn(t, eng, time.Now, func() {})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- follower.Run(ctx) }()
			synctest.Wait()
			if _, fault, err := writer.put(ctx, revocationRequest{Subject: "ada"}, "root"); fault != nil || err != nil {
				t.Fatal(fault, err)
			}
			synctest.Wait()
			if asked.Load() != 1 || set.Check(id, time.Now()) == nil {
				t.Errorf("asked %d times; %v", asked.Load(), set.Check(id, time.Now()))
			}
			cancel()
			if err := errors.Join(<-ended, eng.Close()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("[R7] what has ended makes room", func(t *testing.T) {
		eng, err := embedded.Open(embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = eng.Close() }()
		now := time.UnixMilli(1000)
		l, _ := logOn(t, eng, func() time.Time { return now }, func() {})
		for i := range 3 {
			if _, _, err := l.put(t.Context(), revocationRequest{TokenID: fmt.Sprint(i), ExpiresAt: 2000}, "root"); err != nil {
				t.Fatal(err)
			}
		}
		now = time.UnixMilli(2000)
		if _, _, err := l.put(t.Context(), revocationRequest{TokenID: "1"}, "root"); err != nil {
			t.Fatal(err)
		}
		if all := l.all(); len(all) != 1 || all[0].TokenID != "1" || all[0].ExpiresAt != 0 {
			t.Errorf("%+v", all)
		}
	})
	t.Run("[R7] there is an end", func(t *testing.T) {
		eng, err := embedded.Open(embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = eng.Close() }()
		l, _ := logOn(t, eng, time.Now, func() {})
		l.list = make([]revocation, maxRevocations)
		if _, fault, err := l.put(t.Context(), revocationRequest{TokenID: "t"}, "root"); err != nil || fault == nil || fault.Code != "too_many_revocations" {
			t.Error(fault, err)
		}
	})
}
