package session_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestBoundsOfAJoin(t *testing.T) {
	for _, tt := range []struct{ name, config, code string }{
		{"a presence key that everybody would be sent", `{"presence":{"key":"` + strings.Repeat("k", 300) + `"}}`, "invalid_payload"},
		{"more postgres_changes than anybody means", `{"postgres_changes":[` + strings.Repeat(`{},`, 200) + `{}]}`, "invalid_payload"},
		{"a payload of a megabyte", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, "payload_size_exceeded"},
	} {
		t.Run("[R7] refused: "+tt.name, func(t *testing.T) {
			c := newWorld(t).connect("ada")
			c.push("", "realtime:x", "phx_join", `{"config":`+tt.config+`}`)
			c.refused(tt.code)
		})
	}
	t.Run("[R7] a collection that is named often is sent once", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		chorale := a.join(interview, fmt.Sprintf(strings.Replace(records, `"notes"`, `"notes","notes","notes"`, 1), "a", ""))
		if got, _ := chorale["collections"].([]any); len(got) != 1 {
			t.Error(got)
		}
		a.want("records")
		a.want("synced")
	})
	t.Run("[F5] a ref that is longer than any client's is dropped", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.Receive(false, fmt.Appendf(nil, `[%q,"1","realtime:x","phx_join",{}]`, strings.Repeat("1", 1000)))
		c.quiet()
	})
}

func TestClientIDs(t *testing.T) {
	t.Run("[M1] a session writes with the client id that it joined with", func(t *testing.T) {
		a := newWorld(t).connect("ada")
		a.joinRecords("a", "")
		a.synced()
		a.push("1", interview, "mutate", mutation("another", 1, "put", "r1", `,"fields":{"content":"x"}`))
		a.refused("forbidden_client")
	})
	t.Run("[R7] [M8] who names another's client id is told none of its records", func(t *testing.T) {
		w := newWorld(t)
		a, eve := w.connect("ada"), w.connect("eve")
		eve.join(interview, fmt.Sprintf(strings.Replace(records, `"notes"`, ``, 1), "a", ""))
		eve.synced()
		a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		a.push("1", interview, "mutate", mutation("a", 2, "put", "r1", `,"fields":{"content":"again"}`))
		if change := a.want("change"); change["status"] != "exists" {
			t.Error(change)
		}
		a.ok()
		eve.quiet()
	})
}
