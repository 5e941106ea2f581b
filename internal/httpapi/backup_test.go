package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/internal/engine"
)

const takeBackup = "/api/v1/admin/backup"

func pairsOf(body string) (uint64, error) {
	r, err := backup.NewReader(strings.NewReader(body))
	for err == nil {
		_, _, err = r.Next()
	}
	if err == io.EOF {
		return r.Summary().Pairs, nil
	}
	return 0, err
}

// slowEngine lets a test decide when a backup goes on, and how it ends.
type slowEngine struct {
	engine.Engine
	begun chan struct{}
	end   chan error
}

func (e *slowEngine) Backup(_ context.Context, to io.Writer) (backup.Summary, error) {
	w, err := backup.NewWriter(to, backup.Head{Format: 1})
	if err != nil {
		return backup.Summary{}, err
	}
	close(e.begun)
	if err := <-e.end; err != nil {
		return backup.Summary{}, err
	}
	return w.Close()
}

func TestTakeBackup(t *testing.T) {
	t.Run("[A1] what was written is in it", func(t *testing.T) {
		r := newRig(t)
		admin := r.token("backend", "service_role")
		r.do("PUT", notes+"/r1", admin, `{"content":"x"}`).want(201)
		got := r.do("GET", takeBackup, admin, "").want(200)
		if n, err := pairsOf(got.body); err != nil || n < 4 { // header, entry, record, row
			t.Errorf("%d pairs (%v)", n, err)
		}
		if !bytes.Contains([]byte(got.body), []byte(`"content":"x"`)) {
			t.Error("the record is not in it")
		}
	})

	t.Run("[R7] one at a time, and one that breaks off has no end", func(t *testing.T) {
		r := newRig(t)
		slow := &slowEngine{Engine: r.engine, begun: make(chan struct{}), end: make(chan error)}
		r.api.opts.Engine = slow
		admin := r.token("backend", "service_role")
		broken := make(chan error, 1)
		go func() {
			req, err := http.NewRequest("GET", r.base+takeBackup, nil)
			if err != nil {
				broken <- err
				return
			}
			req.Header.Set("Authorization", "Bearer "+admin)
			res, err := r.client.Do(req)
			if err != nil {
				broken <- err
				return
			}
			_, err = io.ReadAll(res.Body)
			broken <- errors.Join(err, res.Body.Close())
		}()
		<-slow.begun
		if p := into[problem](r.do("GET", takeBackup, admin, "").want(503)); p.Code != "overloaded" || !p.Retryable {
			t.Errorf("a second: %+v", p)
		}
		slow.end <- errors.New("a table is damaged")
		if err := <-broken; err == nil {
			t.Error("it ended like a whole one")
		}
		slow.begun = make(chan struct{})
		go func() { slow.end <- nil }()
		if _, err := pairsOf(r.do("GET", takeBackup, admin, "").want(200).body); err != nil {
			t.Errorf("the next: %v", err)
		}
	})

	t.Run("an engine whose logs are elsewhere says so", func(t *testing.T) {
		r := newRig(t)
		r.api.opts.Engine = struct{ engine.Engine }{r.engine}
		r.do("GET", takeBackup, r.token("backend", "service_role"), "").want(404)
	})
}
