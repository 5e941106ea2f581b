package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws/wsutil"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/linear"
	"github.com/chorale-rt/chorale/protocol"
)

// A pen writes one record again and again, each time on the condition that it is
// as the pen knows it, and notes what it asked and was answered.
type pen struct {
	history *linear.Recorder
	seen    uint64 // the record's version
}

func (p *pen) note(op linear.Operation) {
	p.history.Add(op)
	switch {
	case !op.Read && op.Status == protocol.StatusApplied:
		p.seen = op.Offset
	case op.Current > 0:
		p.seen = op.Current
	}
}

// overSocket writes one mutation and waits for its answer.
func (p *pen) overSocket(conn net.Conn, client string, n int) error {
	seen := p.seen
	m := protocol.Mutation{
		Client: client, N: uint64(n), ID: fmt.Sprint(client, "-", n), At: fmt.Sprintf("0192f0c12b3c%04x", n), Op: protocol.OpPatch,
		Collection: "notes", Record: "r1", Fields: map[string]json.RawMessage{"content": json.RawMessage(fmt.Sprintf("%q", client))}, IfVersion: &seen,
	}
	payload, err := json.Marshal(&m)
	if err != nil {
		return err
	}
	call, ref := p.history.Now(), fmt.Sprint("m", n)
	if err := wsutil.WriteClientText(conn, fmt.Appendf(nil, `["1",%q,"realtime:interview:1","mutate",%s]`, ref, payload)); err != nil {
		return err
	}
	for {
		data, err := wsutil.ReadServerText(conn)
		if err != nil {
			return err
		}
		f, err := protocol.DecodeText(protocol.V2, data)
		if err != nil || f.Event != protocol.EventReply || f.Ref != ref {
			continue
		}
		var reply struct {
			Status   string           `json:"status"`
			Response protocol.Outcome `json:"response"`
		}
		if err := json.Unmarshal(f.Payload, &reply); err != nil || reply.Status != "ok" {
			return fmt.Errorf("%s: %w", data, err)
		}
		p.note(linear.Mutated(&m, call, reply.Response))
		return nil
	}
}

// overHTTP reads the record, and writes it with If-Match.
func (p *pen) overHTTP(base, token string) error {
	url := "http://" + base + "/api/v1/channels/interview:1/collections/notes/records/r1"
	call := p.history.Now()
	var record protocol.Record
	if _, err := callJSON("GET", url, token, "", "", &record); err != nil {
		return err
	}
	p.note(linear.Operation{Record: "r1", Call: call, Read: true, Current: record.Version})
	seen := p.seen
	op := linear.Operation{Record: "r1", Call: p.history.Now(), IfVersion: &seen}
	var answer struct {
		Status json.RawMessage `json:"status"` // of a problem it is a number
		Offset uint64          `json:"offset"`
		Code   string          `json:"code"`
	}
	status, err := callJSON("PATCH", url, token, fmt.Sprintf(`"%d"`, seen), `{"content":"from a backend"}`, &answer)
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		op.Status, op.Offset = protocol.StatusApplied, answer.Offset
	case status == http.StatusPreconditionFailed && answer.Code == protocol.CodeVersionConflict:
		op.Status, op.Conflict = protocol.StatusRejected, true
	default:
		return fmt.Errorf("PATCH: %d %s", status, answer.Code)
	}
	p.note(op)
	return nil
}

func callJSON(method, url, token, ifMatch, body string, into any) (int, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if ifMatch != "" {
		req.Header.Set("If-Match", ifMatch)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, json.NewDecoder(bytes.NewReader(data)).Decode(into)
}

func TestLinearizability(t *testing.T) {
	t.Run("[E5] [M4] [A1] what sockets and backends write at once, each if nobody was before it, has a linearization", func(t *testing.T) {
		const sockets, backends, each = 4, 3, 25
		r := start(t, t.TempDir())
		editor, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "importer", Role: "editor"})
		if err != nil {
			t.Fatal(err)
		}
		var history linear.Recorder
		made := history.Now()
		status, body := r.request("PUT", "/api/v1/channels/interview:1/collections/notes/records/r1",
			strings.NewReader(`{"content":"a","timestampMs":1,"authorName":"Importer","kind":"note"}`), "Authorization", "Bearer "+editor)
		if status != 201 {
			t.Fatal(status, body)
		}
		history.Add(linear.Operation{Record: "r1", Call: made, Status: protocol.StatusApplied, Offset: 1})

		var wg sync.WaitGroup
		write := func(once func(n int) error) {
			for n := range each {
				if err := once(n + 1); err != nil {
					t.Error(err)
					return
				}
			}
		}
		for i := range sockets {
			client := fmt.Sprint("c", i)
			conn := r.connectWith(editor)
			send(t, conn, join("interview:1", notes(client)))
			until(t, conn, "synced")
			p := &pen{history: &history, seen: 1}
			wg.Go(func() { write(func(n int) error { return p.overSocket(conn, client, n) }) })
		}
		for range backends {
			p := &pen{history: &history, seen: 1}
			wg.Go(func() { write(func(int) error { return p.overHTTP(r.base, editor) }) })
		}
		wg.Wait()
		operations := history.Operations()
		if want := 1 + sockets*each + 2*backends*each; len(operations) != want {
			t.Errorf("%d operations, want %d", len(operations), want)
		}
		if err := linear.Check(operations); err != nil {
			t.Error(err)
		}
	})
}
