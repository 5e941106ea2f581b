package server_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// shared is a shared socket whose first lane is sub's.
func (r *running) shared(sub string) net.Conn {
	r.t.Helper()
	conn, early, _, err := ws.Dial(r.t.Context(), "ws://"+r.base+"/socket/lanes?vsn=2.0.0&apikey="+r.token(sub))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	if early != nil {
		return &buffered{conn, early}
	}
	return conn
}

func TestLanes(t *testing.T) {
	r := start(t, t.TempDir())
	const here = `{"private":true,"presence":{"enabled":true,"key":%q},"chorale":{"v":1,"client":%q}}`
	joinAs := func(key, client string) string { return join("interview:1", fmt.Sprintf(here, key, client)) }
	conn := r.shared("ada")
	t.Run("[W1] two lanes are two members of one channel, with a presence and a position each", func(t *testing.T) {
		send(t, conn, "1"+joinAs("first", "0192f0c1-2b3c-7000-8000-000000000001"))
		until(t, conn, "1[", "phx_reply", `"ok"`)
		send(t, conn, "2+"+r.token("ben"))
		send(t, conn, "2"+joinAs("second", "0192f0c1-2b3c-7000-8000-000000000002"))
		until(t, conn, "2[", "phx_reply", `"sub":"ben"`)
		send(t, conn, `2["1","2","realtime:interview:1","presence",{"type":"presence","event":"track","payload":{"n":2}}]`)
		until(t, conn, "1[", "presence_diff", `"joins":{"second"`)
		send(t, conn, `1["1","3","realtime:interview:1","broadcast",{"type":"broadcast","event":"e","payload":{"from":1}}]`)
		until(t, conn, "2[", `"from":1`)
		send(t, conn, `2["1","4","realtime:interview:1","broadcast",{"type":"broadcast","event":"e","payload":{"from":2}}]`)
		if got := until(t, conn, `"from":`); !strings.HasPrefix(got, "1[") || !strings.Contains(got, `"from":2`) {
			t.Errorf("a lane heard itself: %s", got)
		}
	})
	t.Run("[W3] [A5] a revoked token ends its lane, and what it held ends with it", func(t *testing.T) {
		if status, body := r.admin("POST", "/admin/revocations", `{"sub":"ben"}`); status != 201 {
			t.Fatal(status, body)
		}
		until(t, conn, "1[", "presence_diff", `"leaves":{"second"`)
		send(t, conn, "1"+heartbeat)
		until(t, conn, "1[", `"h"`)
	})
	t.Run("[W3] [P3] a lane that is closed leaves its channels", func(t *testing.T) {
		send(t, conn, "3+"+r.token("carl"))
		send(t, conn, "3"+joinAs("third", "0192f0c1-2b3c-7000-8000-000000000003"))
		send(t, conn, `3["1","2","realtime:interview:1","presence",{"type":"presence","event":"track","payload":{}}]`)
		until(t, conn, "1[", "presence_diff", `"joins":{"third"`)
		send(t, conn, "3-")
		until(t, conn, "1[", "presence_diff", `"leaves":{"third"`)
	})
	t.Run("[W4] [S1] [R3] lanes that were cut off with their socket resume on another, each from its position", func(t *testing.T) {
		r := start(t, t.TempDir())
		position := func(reply string) string {
			return `{"epoch":"` + between(t, reply, `"epoch":"`, `"`) + `","offset":` + between(t, reply, `"offset":`, ",") + `}`
		}
		resume := func(at string) string {
			return join("interview:1", `{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"resume":`+at+`}}`)
		}
		first := r.shared("ada")
		send(t, first, "1"+join("interview:1", `{"private":true,"presence":{"enabled":false},"chorale":{"v":1}}`))
		at := position(until(t, first, "1[", "phx_reply", `"ok"`))
		_ = first.Close()
		other := r.connect("ben")
		send(t, other, join("interview:1", `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true}}`))
		until(t, other, "phx_reply", `"ok"`)
		send(t, other, `["1","2","realtime:interview:1","broadcast",{"type":"broadcast","event":"e","payload":"missed"}]`)
		until(t, other, "phx_reply", `"2"`)
		second := r.shared("ada")
		send(t, second, "2+"+r.token("ada"))
		for _, n := range []string{"2", "1"} {
			send(t, second, n+resume(at))
			until(t, second, n+"[", "phx_reply", `"resumed":true`)
			until(t, second, n+"[", `"missed"`, `"replayed":true`)
		}
	})
}
