package session_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// burstWorld is a world whose clock stands still until a test moves it.
func burstWorld(t *testing.T) (w *world, clock *atomic.Int64) {
	w, clock = newWorld(t), new(atomic.Int64)
	begin := time.Now()
	w.deps.Now = func() time.Time { return begin.Add(time.Duration(clock.Load())) }
	return w, clock
}

const (
	burstRoom = "realtime:room:7"
	selfAck   = `{"presence":{"enabled":false},"broadcast":{"ack":true,"self":true}}`
)

func message(text string) string {
	return fmt.Sprintf(`{"type":"broadcast","event":"e","payload":%q}`, text)
}

func ephemeral(text string) string {
	return fmt.Sprintf(`{"type":"broadcast","event":"e","payload":%q,"meta":{"ephemeral":true}}`, text)
}

func TestBursts(t *testing.T) {
	t.Run("[R1] [B3] a burst reaches everybody at its end, in order, and its answers follow", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		ada.join(burstRoom, selfAck)
		ben.join(burstRoom, plain)
		ada.BeginBurst()
		for i := range 3 {
			ada.push("1", burstRoom, "broadcast", message(fmt.Sprint(i)))
		}
		ada.quiet()
		ben.quiet()
		ada.EndBurst()
		for i := range 3 {
			for _, c := range []*client{ada, ben} {
				if got := c.want("broadcast"); got["payload"] != fmt.Sprint(i) {
					t.Errorf("message %d is %v", i, got)
				}
			}
		}
		for i := range 3 {
			if f := ada.next(); f.event != "phx_reply" || f.ref != fmt.Sprint(2+i) {
				t.Errorf("answer %d is %s", i, f.raw)
			}
		}
		ben.quiet()
	})
	t.Run("what comes alone waits for nothing", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada := w.connect("ada")
		ada.join(burstRoom, selfAck)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("in a burst"))
		ada.EndBurst()
		ada.want("broadcast")
		ada.next()
		ada.push("1", burstRoom, "broadcast", message("alone"))
		ada.want("broadcast")
		ada.ok()
	})
	t.Run("[B3] what comes back of a message goes with the answer to it, in one piece", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada := w.connect("ada")
		ada.join(burstRoom, selfAck)
		ada.pieces = nil
		ada.push("1", burstRoom, "broadcast", message("alone"))
		ada.want("broadcast")
		ada.ok()
		if fmt.Sprint(ada.pieces) != "[2]" {
			t.Errorf("pieces of %v frames", ada.pieces)
		}
	})
	t.Run("[R1] [B3] what others write during a burst is delivered in the order of the log, and answered behind it", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben, cyd := w.connect("ada"), w.connect("ben"), w.connect("cyd")
		ada.join(burstRoom, plain)
		ben.join(burstRoom, selfAck)
		cyd.join(burstRoom, plain)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("first"))
		ben.push("1", burstRoom, "broadcast", message("second"))
		for _, want := range []string{"first", "second"} {
			if got := ben.want("broadcast"); got["payload"] != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
		ben.ok()
		ada.push("1", burstRoom, "broadcast", message("third"))
		ben.push("1", burstRoom, "broadcast", ephemeral("fourth"))
		for _, want := range []string{"third", "fourth"} {
			if got := ben.want("broadcast"); got["payload"] != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
		ben.ok()
		ada.EndBurst()
		for _, want := range []string{"first", "second", "third", "fourth"} {
			if got := cyd.want("broadcast"); got["payload"] != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
	})
	t.Run("[R6] a change comes before the answer to its mutation while another's burst goes on", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		const id, other = "01920000-0000-7000-8000-000000000001", "01920000-0000-7000-8000-000000000002"
		ada.joinRecords(id, "")
		ada.synced()
		ben.joinRecords(other, "")
		ben.synced()
		ada.BeginBurst()
		ada.push("1", interview, "mutate", mutation(id, 1, "put", "a", `,"fields":{"content":"x"}`))
		for n, fields := range []string{`{"content":"x"}`, `{"content":""}`} { // applied, and refused
			ben.push("1", interview, "mutate", mutation(other, n+1, "put", fmt.Sprintf("b%d", n), `,"fields":`+fields))
		}
		for _, want := range []string{"change", "change", "phx_reply", "change", "phx_reply"} {
			if f := ben.next(); f.event != want {
				t.Errorf("got %s, want %s", f.raw, want)
			}
		}
		ada.EndBurst()
	})
	t.Run("a burst that is served slowly lets others wait for a millisecond only", func(t *testing.T) {
		w, clock := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		ada.join(burstRoom, plain)
		ben.join(burstRoom, plain)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("quick"))
		ben.quiet()
		clock.Add(int64(time.Millisecond))
		ada.push("1", burstRoom, "broadcast", message("slow"))
		ben.want("broadcast")
		ben.want("broadcast")
		ada.EndBurst()
		ben.quiet()
	})
	t.Run("[B4] [P3] what is not logged does not wait for a burst whose append waits", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben, cyd := w.connect("ada"), w.connect("ben"), w.connect("cyd")
		ada.join(burstRoom, plain)
		ben.join(burstRoom, plain)
		cyd.join(burstRoom, `{"presence":{"enabled":true}}`)
		cyd.want("presence_state")
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("first"))
		ada.push("1", burstRoom, "broadcast", ephemeral("of the same burst"))
		gate := w.block("room:7")
		var waits sync.WaitGroup
		waits.Go(func() { ada.push("1", burstRoom, "broadcast", message("second")) })
		<-gate.entered
		cyd.quiet()
		ben.push("1", burstRoom, "broadcast", ephemeral("pointer"))
		ben.want("broadcast")
		ben.want("broadcast")
		ben.ok()
		for _, want := range []string{"first", "of the same burst", "pointer"} {
			if got := cyd.want("broadcast"); got["payload"] != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
		ben.push("1", burstRoom, "presence", `{"event":"track","payload":{}}`)
		ben.want("presence_diff")
		ben.ok()
		cyd.want("presence_diff")
		gate.release()
		waits.Wait()
		cyd.quiet()
		ada.EndBurst()
		cyd.want("broadcast")
	})
	t.Run("[J1] [J2] joins and leaves inside a burst come behind what was said before them", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada := w.connect("ada")
		ada.join(burstRoom, selfAck)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("before"))
		ada.push("", "realtime:room:8", "phx_join", `{"config":`+selfAck+`}`)
		ada.push("3", "realtime:room:8", "broadcast", message("in the other"))
		ada.push("1", burstRoom, "phx_leave", `{}`)
		ada.EndBurst()
		var got []string
		for range 7 {
			f := ada.next()
			got = append(got, f.event+" "+f.ref)
		}
		want := "[broadcast  phx_reply 2 phx_reply 3 broadcast  phx_reply 4 phx_reply 5 phx_close 1]"
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
	t.Run("[R3] who joins during a burst gets what it wrote once", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		ada.join(burstRoom, plain)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("one"))
		at := ben.join(burstRoom, `{"presence":{"enabled":false},"chorale":{"v":1}}`)
		ada.push("1", burstRoom, "broadcast", message("two"))
		ada.EndBurst()
		if at["offset"] != 1.0 {
			t.Fatalf("joined at %v", at)
		}
		for {
			f := ben.next()
			if f.event == "synced" {
				continue
			}
			if f.event != "broadcast" || f.payload["payload"] != "two" {
				t.Errorf("got %s", f.raw)
			}
			break
		}
		ben.quiet()
	})
	t.Run("[B3] [B4] an ephemeral message comes before the answer to it, in one burst during another", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		ada.join(burstRoom, plain)
		ben.join(burstRoom, selfAck)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("first"))
		ben.BeginBurst()
		ben.push("1", burstRoom, "broadcast", ephemeral("second"))
		ben.EndBurst()
		ben.want("broadcast")
		ben.want("broadcast")
		ben.ok()
		ada.EndBurst()
	})
	t.Run("[R6] changes of a burst come before the answers to its mutations", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada := w.connect("ada")
		id := "01920000-0000-7000-8000-000000000001"
		ada.joinRecords(id, "")
		ada.synced()
		ada.BeginBurst()
		for n := range 2 {
			ada.push("1", interview, "mutate", mutation(id, n+1, "put", fmt.Sprintf("r%d", n), `,"fields":{"content":"x"}`))
		}
		ada.quiet()
		ada.EndBurst()
		for _, want := range []string{"change", "change", "phx_reply", "phx_reply"} {
			if f := ada.next(); f.event != want {
				t.Errorf("got %s, want %s", f.raw, want)
			}
		}
	})
	t.Run("a session that ends in a burst holds nobody up", func(t *testing.T) {
		w, _ := burstWorld(t)
		ada, ben := w.connect("ada"), w.connect("ben")
		ada.join(burstRoom, plain)
		ben.join(burstRoom, plain)
		ada.BeginBurst()
		ada.push("1", burstRoom, "broadcast", message("last"))
		ada.Session.Close()
		ben.want("broadcast")
		ada.EndBurst()
	})
}
