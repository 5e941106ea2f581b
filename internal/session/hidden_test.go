package session_test

import "testing"

func TestHiddenCollections(t *testing.T) {
	t.Run("[M8] [R7] who may write a collection and not read it is told no records, in no outcome", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: 'interview:{id}', join: 'true', collections: {notes: {read: 'claims.sub == \"ada\"', write: 'true'}}}]")
		a, b := w.connect("ada"), w.connect("ben")
		a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		b.join(interview, `{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"client":"b"}}`)
		b.synced()
		for i, rest := range []string{"", `,"ifVersion":7`} {
			b.push("1", interview, "mutate", mutation("b", i+1, "put", "r1", rest))
			if change := b.want("change"); change["state"] != nil {
				t.Errorf("the change has %v", change["state"])
			}
			if r := b.ok(); r["record"] != nil || r["error"] == nil {
				t.Errorf("the reply is %v", r)
			}
		}
	})
}
