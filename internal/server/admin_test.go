package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
)

// admin sends a request with a token of the administrators' role, and decodes
// the answer.
func (r *running) admin(method, path, body string) (int, map[string]any) {
	r.t.Helper()
	token, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "root", Role: "service_role"})
	if err != nil {
		r.t.Fatal(err)
	}
	status, text := r.request(method, "/api/v1"+path, strings.NewReader(body), "Authorization", "Bearer "+token)
	var out map[string]any
	if text != "" {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			r.t.Fatalf("%d %s: %v", status, text, err)
		}
	}
	return status, out
}

// connectWith opens a socket with a token.
func (r *running) connectWith(token string) net.Conn {
	r.t.Helper()
	conn, err := r.dial("apikey=" + token)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

const quietRoom = `{"private":true,"presence":{"enabled":false}}`

func TestRevocationOfOpenSessions(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	t.Run("[A5] their channels end with the reason, and their connections are closed", func(t *testing.T) {
		ada, ben := r.connect("ada"), r.connect("ben")
		for _, conn := range []net.Conn{ada, ben} {
			send(t, conn, join("room:1", quietRoom))
			until(t, conn, "phx_reply", `"ok"`)
		}
		if status, body := r.admin("POST", "/admin/revocations", `{"sub":"ada"}`); status != 201 {
			t.Fatal(status, body)
		}
		until(t, ada, `"system"`, `"status":"error"`, "Token was revoked")
		until(t, ada, "phx_close")
		if code, reason := closeFrame(t, ada); code != 4101 || reason != "Token was revoked" {
			t.Errorf("%d %q", code, reason)
		}
		send(t, ben, heartbeat)
		until(t, ben, "phx_reply", `"h"`)
	})
	t.Run("[A5] a channel ends by its own token, and the connection stays", func(t *testing.T) {
		conn := r.connect("ben")
		token, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "carl", Role: "guest"})
		if err != nil {
			t.Fatal(err)
		}
		send(t, conn, join("room:2", quietRoom))
		until(t, conn, "phx_reply", `"ok"`)
		send(t, conn, fmt.Sprintf(`["2","2","realtime:room:3","phx_join",{"config":%s,"access_token":%q}]`, quietRoom, token))
		until(t, conn, "phx_reply", `"ok"`, "room:3")
		before := time.Now().Add(time.Minute).UnixMilli()
		if status, body := r.admin("POST", "/admin/revocations", fmt.Sprintf(`{"sub":"carl","issuedBefore":%d}`, before)); status != 201 {
			t.Fatal(status, body)
		}
		until(t, conn, "phx_close", "room:3")
		send(t, conn, `["1","3","realtime:room:2","broadcast",{"type":"broadcast","event":"e","payload":{}}]`)
		send(t, conn, heartbeat)
		until(t, conn, "phx_reply", `"h"`)
	})
	r.stop()
	r = start(t, dir)
	t.Run("[A5] a restart forgets nothing", func(t *testing.T) {
		if status, body := r.request("GET", "/socket/websocket?apikey="+r.token("ada"), nil); status != 401 || !strings.Contains(body, "Token was revoked") {
			t.Errorf("%d %s", status, body)
		}
		_, page := r.admin("GET", "/admin/revocations", "")
		for _, v := range page["revocations"].([]any) {
			if v := v.(map[string]any); v["sub"] == "ada" {
				if status, _ := r.admin("DELETE", "/admin/revocations/"+v["id"].(string), ""); status != 204 {
					t.Errorf("status %d", status)
				}
			}
		}
		r.connect("ada") // good again
	})
}

func TestDisconnect(t *testing.T) {
	r := start(t, t.TempDir())
	ada, other, ben := r.connect("ada"), r.connect("ada"), r.connect("ben")
	for _, conn := range []net.Conn{ada, other, ben} {
		send(t, conn, join("room:1", quietRoom))
		until(t, conn, "phx_reply", `"ok"`)
	}
	t.Run("administrators see who is in a channel", func(t *testing.T) {
		_, channel := r.admin("GET", "/channels/room:1", "")
		sessions, _ := channel["sessions"].([]any)
		if channel["members"] != 3.0 || len(sessions) != 3 {
			t.Fatal(channel)
		}
		_, list := r.admin("GET", "/channels", "")
		if got := list["channels"].([]any)[0].(map[string]any); got["name"] != "room:1" || got["members"] != 3.0 {
			t.Error(list)
		}
		for _, s := range sessions {
			if s := s.(map[string]any); s["sub"] == "ben" {
				if status, body := r.admin("POST", "/admin/disconnect", fmt.Sprintf(`{"session":%q}`, s["session"])); status != 200 || body["disconnected"] != 1.0 {
					t.Error(status, body)
				}
			}
		}
	})
	t.Run("one connection is closed", func(t *testing.T) {
		if code, reason := closeFrame(t, ben); code != 4101 || reason != "disconnected by an administrator" {
			t.Errorf("%d %q", code, reason)
		}
	})
	t.Run("all of a sub are closed, and may come back", func(t *testing.T) {
		if _, body := r.admin("POST", "/admin/disconnect", `{"sub":"ada"}`); body["disconnected"] != 2.0 {
			t.Error(body)
		}
		for _, conn := range []net.Conn{ada, other} {
			if code, _ := closeFrame(t, conn); code != 4101 {
				t.Errorf("code %d", code)
			}
		}
		r.connect("ada")
	})
}

func TestRecordsOfABackendReachSockets(t *testing.T) {
	r := start(t, t.TempDir())
	conn := r.connect("ada")
	send(t, conn, join("interview:1", notes("a")))
	until(t, conn, "synced")
	editor, err := auth.Mint(r.srv.Secret(), auth.MintOptions{Subject: "importer", Role: "editor"})
	if err != nil {
		t.Fatal(err)
	}
	write := func(method, body, key string) (int, string) {
		return r.request(method, "/api/v1/channels/interview:1/collections/notes/records/n1", strings.NewReader(body),
			"Authorization", "Bearer "+editor, "Idempotency-Key", key)
	}
	t.Run("[A1] [R1] as changes in the one order", func(t *testing.T) {
		if status, body := write("PUT", `{"content":"from a backend","timestampMs":1,"authorName":"Importer","kind":"note","tags":["import"]}`, "1"); status != 201 {
			t.Fatal(status, body)
		}
		until(t, conn, `"change"`, `"from a backend"`, `"tags":["import"]`, `"by":"importer"`)
		send(t, conn, put("interview:1", "a", 1, "from a socket"))
		until(t, conn, `"change"`, `"from a socket"`)
	})
	t.Run("[A2] a repeat changes nothing", func(t *testing.T) {
		if status, body := write("PUT", `{"content":"another"}`, "1"); status != 200 || !strings.Contains(body, `"duplicate":true`) {
			t.Fatal(status, body)
		}
		if status, body := write("DELETE", "", "2"); status != 200 {
			t.Fatal(status, body)
		}
		// Nothing between the two.
		if frame := until(t, conn, `"change"`, `"n1"`); !strings.Contains(frame, `"op":"delete"`) {
			t.Error(frame)
		}
	})
}
