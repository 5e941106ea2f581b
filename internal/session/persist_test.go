package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

const (
	keep        = "realtime:keep:1"
	keepJoin    = `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true}}`
	keepReplay  = `{"private":true,"presence":{"enabled":false},"broadcast":{"replay":{"since":0,"limit":1000}}}`
	keepPersist = `{"event":"e","payload":"%","meta":{"persist":true}}`
)

func replayed(t *testing.T, c *client, n int) []string {
	t.Helper()
	var out []string
	for range n {
		p := c.want("broadcast")
		if meta, _ := p["meta"].(map[string]any); meta["replayed"] != true || meta["id"] == nil {
			t.Errorf("meta %v, want replayed and an id", meta)
		}
		out = append(out, p["payload"].(string))
	}
	c.quiet()
	return out
}

func TestPersist(t *testing.T) {
	say := func(c *client, text string) {
		t.Helper()
		c.push("1", keep, "broadcast", `{"event":"e","payload":"`+text+`"}`)
		c.ok()
	}
	t.Run("[B6] a persisted message stays although its channel drops the others", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		a.join(keep, keepJoin)
		a.push("1", keep, "broadcast", strings.Replace(keepPersist, "%", "stays", 1))
		if r := a.ok(); r["id"] == nil || r["offset"] != 1.0 {
			t.Error(r)
		}
		for range 5 { // the rule keeps two
			say(a, "goes")
		}
		b := w.connect("ben")
		b.join(keep, keepReplay)
		if got := strings.Join(replayed(t, b, 3), " "); got != "stays goes goes" {
			t.Error(got)
		}
	})
	t.Run("[B6] [F3] persist is metadata of a kind 3 as well", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		a.join(keep, keepJoin)
		a.Receive(true, []byte("\x03\x01\x01\x0f\x01\x16\x01"+"19"+keep+"e"+`{"persist":{"ttl":60}}`+`"stays"`))
		if f := a.next(); f.ref != "9" || f.payload["status"] != "ok" {
			t.Fatal(f.raw)
		}
		for range 5 {
			say(a, "goes")
		}
		b := w.connect("ben")
		b.join(keep, keepReplay)
		if got := strings.Join(replayed(t, b, 3), " "); got != "stays goes goes" {
			t.Error(got)
		}
	})
	for name, tt := range map[string]struct{ sub, topic, join, payload, code string }{
		"whom the rule does not let":     {"guest", keep, keepJoin, keepPersist, "unauthorized"},
		"in a public channel":            {"ada", "realtime:x", plain, keepPersist, "persist_needs_private"},
		"with a ttl of nothing":          {"ada", keep, keepJoin, strings.Replace(keepPersist, "true", `{"ttl":0}`, 1), "invalid_payload"},
		"with a ttl of a year":           {"ada", keep, keepJoin, strings.Replace(keepPersist, "true", `{"ttl":31536000}`, 1), "invalid_payload"},
		"with a wish nobody understands": {"ada", keep, keepJoin, strings.Replace(keepPersist, "true", `"please"`, 1), "invalid_payload"},
		"and ephemeral":                  {"ada", keep, keepJoin, strings.Replace(keepPersist, "true", `true,"ephemeral":true`, 1), "invalid_payload"},
	} {
		t.Run("[B6] persist is refused, with the code where clients look for it, "+name, func(t *testing.T) {
			w := newWorld(t)
			c, other := w.connect(tt.sub), w.connect("ben")
			c.join(tt.topic, tt.join)
			other.join(tt.topic, tt.join)
			c.push("1", tt.topic, "broadcast", tt.payload)
			if r := c.refused(tt.code); r["error"] != tt.code {
				t.Errorf("response.error is %v", r["error"])
			}
			other.quiet() // nothing half done
		})
	}
	t.Run("[B6] [R2] a log that cannot be written says so in the same place", func(t *testing.T) {
		w := newWorld(t)
		c := w.connect("ada")
		c.join(keep, keepJoin)
		w.engine.set(engine.ErrUnavailable)
		c.push("1", keep, "broadcast", keepPersist)
		if r := c.refused("storage_unavailable"); r["error"] != "storage_unavailable" || r["retryable"] != true {
			t.Error(r)
		}
	})
	t.Run("[B7] a message that is too large is refused, and the session goes on", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", `{"presence":{"enabled":false}}`)
		large := strings.Repeat("x", protocol.MaxMessageBytes)
		c.push("1", "realtime:x", "broadcast", `{"event":"e","payload":"`+large+`"}`)
		c.refused("payload_size_exceeded")
		c.Receive(true, []byte("\x03\x01\x01\x0a\x01\x00\x00"+"19realtime:xe"+large+"x"))
		if f := c.next(); f.payload["status"] != "error" {
			t.Error(f.event)
		}
		c.push("", "phoenix", "heartbeat", "{}")
		c.ok()
	})
}

func TestReplay(t *testing.T) {
	t.Run("changes between messages do not count against the limit", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		a.joinRecords("a", "")
		a.synced()
		for _, text := range []string{"one", "two", "three"} {
			a.push("1", interview, "broadcast", `{"event":"e","payload":"`+text+`"}`)
			a.ok()
		}
		a.put("a", 1, "r")
		for n := 2; n <= 20; n++ {
			a.push("1", interview, "mutate", mutation("a", n, "patch", "r", `,"fields":{"content":"again"}`))
			a.want("change")
			a.ok()
		}
		b := w.connect("ben")
		b.join(interview, strings.Replace(keepReplay, "1000", "2", 1))
		if got := strings.Join(replayed(t, b, 2), " "); got != "two three" {
			t.Error(got)
		}
	})
	t.Run("it may begin a minute ahead, and not later", func(t *testing.T) {
		w := newWorld(t)
		now := time.UnixMilli(1_800_000_000_000)
		w.deps.Now = func() time.Time { return now }
		c := w.connect("ada")
		c.join("realtime:x", `{"presence":{"enabled":false},"broadcast":{"replay":{"since":1800000060000}}}`)
		c.push("", "realtime:y", "phx_join", `{"config":{"broadcast":{"replay":{"since":1800000060001}}}}`)
		c.refused("unable_to_replay_messages")
	})
	t.Run("a limit is brought between 1 and 1,000; one that is no number is refused", func(t *testing.T) {
		for limit, want := range map[string]int{"-3": 1, "0": 1, "7": 7, "5000": 1000, "null": 25} {
			if r := protocol.ParseJoin([]byte(`{"config":{"broadcast":{"replay":{"since":0,"limit":` + limit + `}}}}`)).Replay; !r.Valid || r.Limit != want {
				t.Errorf("limit %s: %+v", limit, r)
			}
		}
		if r := protocol.ParseJoin([]byte(`{"config":{"broadcast":{"replay":{"since":0,"limit":"many"}}}}`)).Replay; r.Valid {
			t.Errorf("%+v", r)
		}
	})
}
