package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

func TestFrames(t *testing.T) {
	t.Run("[C2] a heartbeat is answered in both versions", func(t *testing.T) {
		w := newWorld(t)
		v2 := w.connect("ada")
		v2.push("", "phoenix", "heartbeat", "{}")
		if got := v2.next().raw; got != `["","1","phoenix","phx_reply",{"status":"ok","response":{}}]` && got != `[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]` {
			t.Error(got)
		}
		v1 := w.connectAs(protocol.V1, token(t, "ada", time.Hour))
		v1.push("", "phoenix", "heartbeat", "{}")
		if got := v1.next().raw; got != `{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}` {
			t.Error(got)
		}
	})
	t.Run("[F5] garbage is dropped and the session goes on", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		for _, garbage := range []string{"", "garbage", "[]", "{}", `["1","2",3,4,5]`, strings.Repeat("[", 100_000), "[null,null,null,null,null]"} {
			c.Receive(false, []byte(garbage))
			c.Receive(true, []byte(garbage))
		}
		c.quiet()
		c.push("", "phoenix", "heartbeat", "{}")
		c.ok()
	})
	t.Run("a push to a topic that is not joined says so; leaving one is fine", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.push("1", "realtime:x", "broadcast", `{"event":"e"}`)
		if r := c.refused("unmatched_topic"); r["reason"] != "unmatched topic" {
			t.Error(r)
		}
		c.push("1", "realtime:x", "phx_leave", `{}`)
		c.ok()
		c.quiet()
	})
}

func TestJoining(t *testing.T) {
	refusals := []struct{ name, topic, config, code, reason string }{
		{"no name", "realtime:", "{}", "topic_name_required", "TopicNameRequired: You must provide a topic name"},
		{"another prefix", "room:1", "{}", "unmatched_topic", "unmatched topic"},
		{"[R7] a private channel without a rule", "realtime:secret", `{"private":true}`, "unauthorized", "Unauthorized: You do not have permissions to read from this Channel topic: secret"},
		{"[J3] a collection that no rule names", "realtime:interview:1", fmt.Sprintf(strings.Replace(records, "notes", "cats", 1), "c", ""), "unknown_collection", ""},
		{"[J3] collections of a public channel", "realtime:interview:1", `{"chorale":{"v":1,"client":"c","collections":["notes"]}}`, "unknown_collection", ""},
		{"a chorale of tomorrow", "realtime:interview:1", `{"private":true,"chorale":{"v":2}}`, "invalid_payload", ""},
		{"a replay without since", "realtime:x", `{"broadcast":{"replay":{"limit":1}}}`, "unable_to_replay_messages", "UnableToReplayMessages: Replay params are not valid"},
	}
	for _, tt := range refusals {
		t.Run("[J4] refused: "+tt.name, func(t *testing.T) {
			c := newWorld(t).connect("ada")
			c.push("", tt.topic, "phx_join", `{"config":`+tt.config+`}`)
			if r := c.refused(tt.code); tt.reason != "" && r["reason"] != tt.reason {
				t.Errorf("reason %q, want %q", r["reason"], tt.reason)
			}
			c.push("", "phoenix", "heartbeat", "{}") // the socket stays
			c.ok()
		})
	}
	t.Run("[R7] a token that is broken refuses public joins too, in upstream's words", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.push("", "realtime:x", "phx_join", `{"config":{},"access_token":"nonsense"}`)
		if r := c.refused("token_malformed"); r["reason"] != "MalformedJWT: The token provided is not a valid JWT" {
			t.Error(r)
		}
	})
	t.Run("[J2] a second join ends the first with its own join_ref", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", plain)
		c.push("", "realtime:x", "phx_join", `{"config":`+plain+`}`)
		if f := c.next(); f.event != "phx_close" || f.joinRef != "1" || f.ref != "1" {
			t.Errorf("got %s", f.raw)
		}
		c.ok()
		c.push("1", "realtime:x", "phx_leave", "{}") // of the first: ignored
		c.quiet()
		c.push("2", "realtime:x", "phx_leave", "{}")
		c.ok()
		if f := c.next(); f.event != "phx_close" || f.ref != "2" {
			t.Errorf("got %s", f.raw)
		}
	})
	t.Run("[R7] a session has a limit of channels", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		for i := range 100 {
			c.join(fmt.Sprintf("realtime:x%d", i), plain)
		}
		c.push("", "realtime:one-more", "phx_join", `{"config":{}}`)
		if r := c.refused("channel_rate_limit_reached"); r["retryable"] != true {
			t.Error(r)
		}
	})
	t.Run("postgres_changes are echoed with ids, and answered honestly", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.push("", "realtime:x", "phx_join", `{"config":{"presence":{"enabled":false},"postgres_changes":[{"event":"*","schema":"public"}]}}`)
		echoed, _ := c.ok()["postgres_changes"].([]any)
		if len(echoed) != 1 {
			t.Fatal(echoed)
		}
		if p := c.want("system"); p["status"] != "error" || p["extension"] != "postgres_changes" {
			t.Error(p)
		}
	})
}

func TestBroadcasting(t *testing.T) {
	t.Run("[B1] [B5] everybody but the sender gets it, with meta", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		old := w.connectAs(protocol.V1, token(t, "cyd", time.Hour))
		for _, c := range []*client{a, b, old} {
			c.join("realtime:x", plain)
		}
		a.push("1", "realtime:x", "broadcast", `{"type":"broadcast","event":"hi","payload":{"n":1},"meta":{"id":"m1"}}`)
		if r := a.ok(); r["id"] != "m1" || r["offset"] != 1.0 {
			t.Error(r)
		}
		a.quiet()
		want := `{"type":"broadcast","event":"hi","payload":{"n":1},"meta":{"id":"m1","offset":1}}`
		if got := b.next().raw; got != `[null,null,"realtime:x","broadcast",`+want+`]` {
			t.Error(got)
		}
		if got := old.next().raw; got != `{"topic":"realtime:x","event":"broadcast","payload":`+want+`,"ref":null}` {
			t.Error(got)
		}
	})
	t.Run("[B3] with self the own copy comes before the acknowledgement", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", `{"presence":{"enabled":false},"broadcast":{"ack":true,"self":true}}`)
		c.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1}`)
		c.want("broadcast")
		c.ok()
	})
	t.Run("[B2] the same id is logged once, and acknowledged with the first position", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", plain)
		b.join("realtime:x", plain)
		for range 3 {
			a.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1,"meta":{"id":"m1"}}`)
			if r := a.ok(); r["offset"] != 1.0 {
				t.Error(r)
			}
		}
		b.want("broadcast")
		b.quiet()
	})
	t.Run("[B4] ephemeral messages have no offset and are not kept", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", plain)
		b.join("realtime:x", plain)
		a.push("1", "realtime:x", "broadcast", `{"event":"cursor","payload":1,"meta":{"ephemeral":true}}`)
		a.ok()
		if meta, _ := b.want("broadcast")["meta"].(map[string]any); meta["offset"] != nil {
			t.Error(meta)
		}
		late := w.connect("cyd")
		late.join("realtime:x", `{"presence":{"enabled":false},"broadcast":{"replay":{"since":0}}}`)
		late.quiet()
	})
	t.Run("[F4] raw bytes reach vsn 2 as kind 4 and pass vsn 1 by", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		old := w.connectAs(protocol.V1, token(t, "cyd", time.Hour))
		for _, c := range []*client{a, b, old} {
			c.join("realtime:x", plain)
		}
		a.Receive(true, []byte("\x03\x01\x01\x0a\x02\x00\x00"+"17realtime:xev"+"\x00\xff"))
		a.next()
		b.mu.Lock()
		got := b.in[len(b.in)-1]
		b.mu.Unlock()
		if !strings.HasPrefix(got, "\x04\x0a\x02") || !strings.HasSuffix(got, "\x00\xff") {
			t.Errorf("%q", got)
		}
		old.quiet()
	})
	t.Run("[R7] who may not publish is told so, also without ack", func(t *testing.T) {
		c := newWorld(t).connect("mute")
		c.join("realtime:interview:1", `{"private":true,"presence":{"enabled":false}}`)
		c.push("1", "realtime:interview:1", "broadcast", `{"event":"hi"}`)
		c.refused("unauthorized")
	})
	t.Run("public and private channels of one name are two", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.join("realtime:room:1", plain)
		b.join("realtime:room:1", `{"private":true,"presence":{"enabled":false}}`)
		a.push("1", "realtime:room:1", "broadcast", `{"event":"hi"}`)
		a.ok()
		b.quiet()
	})
	t.Run("[R2] a log that cannot be written refuses, says when to come back, and loses nothing", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", plain)
		b.join("realtime:x", plain)
		w.engine.set(engine.ErrUnavailable)
		a.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1}`)
		if r := a.refused("storage_unavailable"); r["retryable"] != true || r["retryAfterMs"] == nil {
			t.Error(r)
		}
		b.quiet()
		w.engine.set(errors.New("something else"))
		a.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1}`)
		a.refused("internal_error")
		w.engine.set(nil)
		a.push("1", "realtime:x", "broadcast", `{"event":"hi","payload":1}`)
		a.ok()
		b.want("broadcast")
	})
}

func TestPresence(t *testing.T) {
	metas := func(t *testing.T, side any, key string) map[string]any {
		t.Helper()
		entry, _ := side.(map[string]any)[key].(map[string]any)
		list, _ := entry["metas"].([]any)
		if len(list) != 1 {
			t.Fatalf("%v has %d metas for %s", side, len(list), key)
		}
		return list[0].(map[string]any)
	}
	config := func(key string) string { return `{"presence":{"key":"` + key + `"}}` }
	t.Run("[P1] [P2] [P3] track, change, repeat, leave", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", config("ada"))
		a.want("presence_state")
		b.join("realtime:x", config("ben"))
		b.want("presence_state")

		a.push("1", "realtime:x", "presence", `{"type":"presence","event":"TRACK","payload":{"at":"home"}}`)
		a.want("presence_diff")
		a.ok()
		first := metas(t, b.want("presence_diff")["joins"], "ada")
		if first["at"] != "home" || first["phx_ref"] == nil {
			t.Error(first)
		}
		a.push("1", "realtime:x", "presence", `{"event":"track","payload":{"at":"home"}}`)
		a.ok() // nothing changed: no diff
		a.push("1", "realtime:x", "presence", `{"event":"track","payload":{"at":"work"}}`)
		a.want("presence_diff")
		a.ok()
		diff := b.want("presence_diff")
		joined, left := metas(t, diff["joins"], "ada"), metas(t, diff["leaves"], "ada")
		if joined["phx_ref_prev"] != first["phx_ref"] || left["phx_ref"] != first["phx_ref"] || joined["phx_ref"] == first["phx_ref"] {
			t.Error(diff)
		}
		late := w.connect("cyd")
		late.join("realtime:x", config("cyd"))
		if got := metas(t, any(late.want("presence_state")), "ada"); got["at"] != "work" {
			t.Error(got)
		}
		a.Session.Close()
		if got := metas(t, b.want("presence_diff")["leaves"], "ada"); got["phx_ref"] != joined["phx_ref"] {
			t.Error(got)
		}
	})
	t.Run("[P3] diffs go to those who take part, or track themselves", func(t *testing.T) {
		w := newWorld(t)
		a, silent := w.connect("ada"), w.connect("ben")
		a.join("realtime:x", config("ada"))
		a.want("presence_state")
		silent.join("realtime:x", plain)
		a.push("1", "realtime:x", "presence", `{"event":"track","payload":{}}`)
		a.want("presence_diff")
		a.ok()
		silent.quiet()
		silent.push("1", "realtime:x", "presence", `{"event":"track","payload":{}}`)
		silent.want("presence_diff")
		silent.ok()
		a.want("presence_diff")
	})
	t.Run("what is no presence is said", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", plain)
		c.push("1", "realtime:x", "presence", `{"event":"track","payload":"me"}`)
		if r := c.refused("invalid_payload"); r["reason"] != "Presence track payload must be a map" {
			t.Error(r)
		}
		c.push("1", "realtime:x", "presence", `{"event":"track","payload":{"x":"`+strings.Repeat("x", 20_000)+`"}}`)
		c.refused("payload_size_exceeded")
		c.push("1", "realtime:x", "presence", `{"event":"dance"}`)
		c.refused("invalid_payload")
		c.push("1", "realtime:x", "presence", `{}`)
		c.ok()
	})
}
