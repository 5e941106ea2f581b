package session_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
)

// inBubble runs a test with fake time.
func inBubble(t *testing.T, s limit.Settings, test func(t *testing.T, w *world, c *counted)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &counted{Engine: w.deps.Engine}
		w.deps.Engine = c
		w.deps.Limits = limit.New(s, time.Now)
		test(t, w, c)
	})
}

func TestPresenceSlots(t *testing.T) {
	settings := limit.Settings{Presence: limit.Rate{PerSecond: 10, Burst: 1}, Messages: limit.Rate{PerSecond: 1000, Burst: 1000}}
	track := func(c *client, x int) {
		c.push("1", "realtime:x", "presence", fmt.Sprintf(`{"type":"presence","event":"track","payload":{"x":%d}}`, x))
		c.okAfterDiffs()
	}
	// seen is what the next diff says joined.
	seen := func(c *client) string {
		c.t.Helper()
		return fmt.Sprint(c.want("presence_diff")["joins"])
	}
	t.Run("[L4] sixty moves in a second are answered at once, and seen as ten and where they ended", func(t *testing.T) {
		inBubble(t, settings, func(t *testing.T, w *world, c *counted) {
			ada, ben := w.connect("ada"), w.connect("ben")
			ada.join("realtime:x", noAck)
			ben.join("realtime:x", fmt.Sprintf(lively, "ben"))
			ben.want("presence_state")
			for i := range 60 {
				track(ada, i)
				skipDiffs(ada)
				time.Sleep(time.Second / 60)
			}
			time.Sleep(time.Minute) // and nothing comes after that
			synctest.Wait()
			if n := c.leases.Load(); n < 10 || n > 12 {
				t.Errorf("seen %d times", n)
			}
			last := ""
			for ben.waiting() {
				last = seen(ben)
			}
			if !strings.Contains(last, "x:59") {
				t.Errorf("came to rest at %s", last)
			}
		})
	})
	t.Run("[L4] [P2] a state that was skipped leaves no trace: each diff names what the others saw before", func(t *testing.T) {
		inBubble(t, settings, func(t *testing.T, w *world, _ *counted) {
			ada, ben := w.connect("ada"), w.connect("ben")
			ada.join("realtime:x", noAck)
			ben.join("realtime:x", fmt.Sprintf(lively, "ben"))
			ben.want("presence_state")
			track(ada, 1)
			skipDiffs(ada)
			first := refs(t, ben.want("presence_diff")["joins"])
			track(ada, 2)
			track(ada, 3)
			time.Sleep(time.Second)
			synctest.Wait()
			diff := ben.want("presence_diff")
			if got := refs(t, diff["leaves"]); got["phx_ref"] != first["phx_ref"] {
				t.Errorf("%v leaves, %v joined before", got, first)
			}
			if got := refs(t, diff["joins"]); got["phx_ref_prev"] != first["phx_ref"] || got["x"] != 3.0 {
				t.Errorf("%v joins", got)
			}
			ben.quiet()
		})
	})
	t.Run("[L4] untrack takes back what still waits", func(t *testing.T) {
		inBubble(t, settings, func(t *testing.T, w *world, c *counted) {
			ada := w.connect("ada")
			ada.join("realtime:x", noAck)
			track(ada, 1)
			skipDiffs(ada)
			track(ada, 2)
			ada.push("1", "realtime:x", "presence", `{"event":"untrack"}`)
			ada.okAfterDiffs()
			time.Sleep(time.Second)
			synctest.Wait()
			if n := c.leases.Load(); n != 1 {
				t.Errorf("%d leases were put", n)
			}
		})
	})
	t.Run("[L4] [P3] what waits when the session ends is not delivered", func(t *testing.T) {
		inBubble(t, settings, func(t *testing.T, w *world, c *counted) {
			ada := w.connect("ada")
			ada.join("realtime:x", noAck)
			track(ada, 1)
			skipDiffs(ada)
			track(ada, 2)
			ada.Session.Close()
			time.Sleep(time.Second)
			synctest.Wait()
			if n := c.leases.Load(); n != 1 {
				t.Errorf("%d leases were put", n)
			}
		})
	})
	t.Run("[L4] what is no object is refused also when it would wait", func(t *testing.T) {
		inBubble(t, settings, func(t *testing.T, w *world, _ *counted) {
			ada := w.connect("ada")
			ada.join("realtime:x", noAck)
			track(ada, 1)
			skipDiffs(ada)
			ada.push("1", "realtime:x", "presence", `{"event":"track","payload":[1]}`)
			ada.refused("invalid_payload")
		})
	})
}

// waiting says whether something was sent that was not read.
func (c *client) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read < len(c.in)
}

// okAfterDiffs reads the reply to the newest push, and the diffs before it that a
// member sees since it tracks itself.
func (c *client) okAfterDiffs() {
	c.t.Helper()
	f := c.next()
	for f.event == "presence_diff" {
		f = c.next()
	}
	if f.event != "phx_reply" || f.payload["status"] != "ok" || f.ref != fmt.Sprint(c.ref) {
		c.t.Fatalf("got %s", f.raw)
	}
}

// skipDiffs reads the diffs that a member sees since it tracks itself.
func skipDiffs(c *client) {
	c.t.Helper()
	synctest.Wait()
	for c.waiting() {
		c.want("presence_diff")
	}
}

// refs is the only meta in a part of a diff.
func refs(t *testing.T, part any) map[string]any {
	t.Helper()
	for _, key := range part.(map[string]any) {
		return key.(map[string]any)["metas"].([]any)[0].(map[string]any)
	}
	t.Fatalf("nobody in %v", part)
	return nil
}
