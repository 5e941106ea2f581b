package session_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
)

const interview = "realtime:interview:1"

// synced reads everything up to synced, and returns the records' ids, the
// messages' payloads, and synced itself.
func (c *client) synced() (ids []string, messages []any, synced map[string]any) {
	c.t.Helper()
	for {
		switch f := c.next(); f.event {
		case "records":
			list, _ := f.payload["records"].([]any)
			for _, r := range list {
				record := r.(map[string]any)
				id := record["id"].(string)
				if record["deleted"] != nil {
					id = "-" + id
				}
				ids = append(ids, id)
			}
		case "broadcast":
			meta, _ := f.payload["meta"].(map[string]any)
			if meta["replayed"] != true {
				c.t.Errorf("a live message before synced: %s", f.raw)
			}
			messages = append(messages, f.payload["payload"])
		case "synced":
			return ids, messages, f.payload
		default:
			c.t.Fatalf("unexpected %s", f.raw)
		}
	}
}

func (c *client) joinRecords(clientID, resume string) map[string]any {
	c.t.Helper()
	return c.join(interview, fmt.Sprintf(records, clientID, resume))
}

func resume(chorale map[string]any, offset int) string {
	return fmt.Sprintf(`,"resume":{"epoch":%q,"offset":%d}`, chorale["epoch"], offset)
}

func (c *client) put(clientID string, n int, record string) {
	c.t.Helper()
	c.push("1", interview, "mutate", mutation(clientID, n, "put", record, `,"fields":{"content":"hello"}`))
	c.want("change")
	if r := c.ok(); r["status"] != "applied" {
		c.t.Fatal(r)
	}
}

func TestRecords(t *testing.T) {
	t.Run("[M7] a change reaches every member of the collection, before its own reply", func(t *testing.T) {
		w := newWorld(t)
		a, b, outside := w.connect("ada"), w.connect("ben"), w.connect("cyd")
		a.joinRecords("a", "")
		a.synced()
		b.joinRecords("b", "")
		b.synced()
		outside.join(interview, `{"private":true,"presence":{"enabled":false}}`)
		a.put("a", 1, "r1")
		if p := b.want("change"); p["offset"] != 1.0 || p["by"] != "ada" || p["state"] == nil {
			t.Error(p)
		}
		outside.quiet()
	})
	t.Run("[M5] [M8] a refusal is told to its author, with the path, and to nobody else", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.joinRecords("a", "")
		a.synced()
		b.joinRecords("b", "")
		b.synced()
		a.push("1", interview, "mutate", mutation("a", 1, "put", "r1", `,"fields":{"content":""}`))
		change := a.want("change")
		fault, _ := change["error"].(map[string]any)
		if change["status"] != "rejected" || fault["code"] != "schema_violation" || fault["path"] != "/content" {
			t.Error(change)
		}
		a.ok()
		a.push("1", interview, "mutate", strings.Replace(mutation("a", 2, "put", "r1", ""), "notes", "cats", 1))
		if change := a.want("change"); change["status"] != "rejected" {
			t.Error(change)
		}
		a.ok()
		b.quiet()
	})
	t.Run("[M5] [R7] the rule's condition sees the record", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.joinRecords("a", "")
		a.synced()
		b.joinRecords("b", "")
		b.synced()
		a.put("a", 1, "r1")
		b.want("change")
		b.push("1", interview, "mutate", mutation("b", 1, "patch", "r1", `,"fields":{"content":"mine"}`))
		if change := b.want("change"); change["status"] != "rejected" {
			t.Error(change)
		}
		if r := b.ok(); r["error"].(map[string]any)["code"] != "forbidden" {
			t.Error(r)
		}
	})
	t.Run("[R4] a repeat changes nothing and is answered with the first outcome, over whichever session", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		b.joinRecords("b", "")
		b.synced()
		a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		b.want("change")
		a.Session.Close()
		again := w.connect("ada")
		again.joinRecords("a", "")
		_, _, synced := again.synced()
		if synced["last"] != 1.0 || len(synced["outcomes"].([]any)) != 1 {
			t.Error(synced)
		}
		again.push("1", interview, "mutate", mutation("a", 1, "put", "r1", `,"fields":{"content":"hello"}`))
		if r := again.ok(); r["duplicate"] != true || r["status"] != "applied" || r["offset"] != 1.0 {
			t.Error(r)
		}
		b.quiet()
	})
	t.Run("[M1] out of order, somebody else's client id, and no mutation at all", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		a.push("1", interview, "mutate", mutation("a", 5, "put", "r2", ""))
		if r := a.refused("out_of_order"); r["expect"] != 2.0 {
			t.Error(r)
		}
		b.push("", interview, "phx_join", `{"config":`+fmt.Sprintf(records, "a", "")+`}`)
		b.refused("forbidden_client")
		a.push("1", interview, "mutate", `"what"`)
		a.refused("invalid_payload")
	})
	t.Run("[R2] a log that cannot be written consumes nothing; the same bytes pass later", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		a.joinRecords("a", "")
		a.synced()
		w.engine.set(engine.ErrUnavailable)
		a.push("1", interview, "mutate", mutation("a", 1, "put", "r1", `,"fields":{"content":"hello"}`))
		if r := a.refused("storage_unavailable"); r["retryable"] != true {
			t.Error(r)
		}
		w.engine.set(nil)
		a.put("a", 1, "r1")
	})
	t.Run("a channel without collections has none to write to", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", plain)
		c.push("1", "realtime:x", "mutate", mutation("a", 1, "put", "r1", ""))
		c.refused("unknown_collection")
	})
}

func TestResume(t *testing.T) {
	t.Run("[S1] [R3] what was missed comes once, in order, then what is live", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.connect("ada"), w.connect("ben")
		first := b.joinRecords("b", "")
		b.synced()
		a.joinRecords("a", "")
		a.synced()
		say := func(n int) {
			a.push("1", interview, "broadcast", fmt.Sprintf(`{"event":"e","payload":%d}`, n))
			a.ok()
		}
		say(1)
		b.want("broadcast")
		b.Session.Close()
		say(2)
		a.put("a", 1, "r1")
		say(3)
		back := w.connect("ben")
		chorale := back.joinRecords("b", resume(first, 1))
		ids, messages, _ := back.synced()
		if chorale["resumed"] != true || !slices.Equal(messages, []any{2.0, 3.0}) || !slices.Equal(ids, []string{"r1"}) {
			t.Errorf("%v: messages %v, records %v", chorale, messages, ids)
		}
		say(4)
		if p := back.want("broadcast"); p["payload"] != 4.0 {
			t.Error(p)
		}
	})
	t.Run("[S2] another epoch, a position ahead, and a log that was cut are said", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		first := a.joinRecords("a", "")
		a.synced()
		for i := range 150 { // the rule keeps 100
			a.push("1", interview, "broadcast", fmt.Sprintf(`{"event":"e","payload":%d}`, i))
			a.ok()
		}
		for _, tt := range []struct{ resume, reason string }{
			{"", "new"}, {`,"resume":{"epoch":"another","offset":1}`, "epoch"}, {resume(first, 9999), "future"}, {resume(first, 1), "truncated"},
		} {
			c := w.connect("ben")
			chorale := c.joinRecords("b", tt.resume)
			_, messages, _ := c.synced()
			if chorale["resumed"] != false || chorale["reason"] != tt.reason || len(messages) != 0 {
				t.Errorf("%s: %v with %d messages", tt.reason, chorale, len(messages))
			}
		}
	})
	t.Run("[S3] records resume by version, deletions included, although the log was cut", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		first := a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		a.put("a", 2, "r2")
		for i := range 150 {
			a.push("1", interview, "broadcast", fmt.Sprintf(`{"event":"e","payload":%d}`, i))
			a.ok()
		}
		a.push("1", interview, "mutate", mutation("a", 3, "delete", "r1", ""))
		a.want("change")
		a.ok()
		a.put("a", 4, "r3")
		c := w.connect("ben")
		chorale := c.joinRecords("b", resume(first, 2))
		ids, _, _ := c.synced()
		if chorale["reason"] != "truncated" || !slices.Equal(ids, []string{"-r1", "r3"}) {
			t.Errorf("%v: %v", chorale["reason"], ids)
		}
		fresh := w.connect("cyd")
		fresh.joinRecords("c", "")
		if ids, _, _ := fresh.synced(); !slices.Equal(ids, []string{"r2", "r3"}) {
			t.Error(ids)
		}
	})
	t.Run("[S3] a collection that was not held is sent whole", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		first := a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		a.put("a", 2, "r2")
		at := strings.TrimSuffix(resume(first, 2), "}")
		for held, want := range map[string][]string{`["notes"]`: nil, `[]`: {"r1", "r2"}} {
			c := w.connect("ben")
			chorale := c.joinRecords("b", at+`,"collections":`+held+"}")
			if ids, _, _ := c.synced(); chorale["resumed"] != true || !slices.Equal(ids, want) {
				t.Errorf("held %s: %v", held, ids)
			}
		}
	})
	t.Run("[S3] who was away for longer than deletions are remembered gets all records anew", func(t *testing.T) {
		var passed atomic.Int64
		w := newWorldOn(t, embedded.Options{
			TombstoneAge: time.Hour, SweepEvery: time.Hour,
			Clock: func() time.Time { return time.Unix(1_764_000_000, 0).Add(time.Duration(passed.Load())) },
		})
		a := w.connect("ada")
		first := a.joinRecords("a", "")
		a.synced()
		a.put("a", 1, "r1")
		a.put("a", 2, "r2")
		a.push("1", interview, "mutate", mutation("a", 3, "delete", "r1", ""))
		a.want("change")
		a.ok()
		for range 3 { // time passes, and appends notice what is too old
			passed.Add(int64(2 * time.Hour))
			a.push("1", interview, "broadcast", `{"event":"e","payload":1}`)
			a.ok()
		}
		c := w.connect("ben")
		c.push("", interview, "phx_join", `{"config":`+fmt.Sprintf(records, "b", resume(first, 2))+`}`)
		c.ok()
		page := c.want("records")
		if page["reset"] != true || len(page["records"].([]any)) != 1 {
			t.Errorf("%v", page)
		}
	})
	t.Run("replay brings stored messages to clients that know nothing of positions", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		a.join("realtime:x", plain)
		for i := range 40 {
			a.push("1", "realtime:x", "broadcast", fmt.Sprintf(`{"event":"e","payload":%d}`, i))
			a.ok()
		}
		c := w.connect("ben")
		c.join("realtime:x", `{"presence":{"enabled":false},"broadcast":{"replay":{"since":0,"limit":30}}}`)
		for i := 10; i < 40; i++ {
			if p := c.want("broadcast"); p["payload"] != float64(i) || p["meta"].(map[string]any)["replayed"] != true {
				t.Fatalf("%d: %v", i, p)
			}
		}
		c.quiet()
	})
	t.Run("[J1] [R3] who joins while others write has every record, once", func(t *testing.T) {
		w := newWorld(t)
		const writers, each = 4, 60
		var wg sync.WaitGroup
		for i := range writers {
			name := fmt.Sprintf("w%d", i)
			c := w.connect(name)
			c.joinRecords(name, "")
			wg.Go(func() {
				for n := 1; n <= each; n++ {
					c.push("1", interview, "mutate", mutation(name, n, "put", fmt.Sprintf("%s-%d", name, n), `,"fields":{"content":"x"}`))
					c.push("1", interview, "broadcast", fmt.Sprintf(`{"event":"e","payload":"%s-%d"}`, name, n))
				}
			})
		}
		joiners := make([]*client, 12)
		for i := range joiners {
			joiners[i] = w.connect(fmt.Sprintf("j%d", i))
			joiners[i].joinRecords(fmt.Sprintf("j%d", i), "")
		}
		wg.Wait()
		for _, c := range joiners {
			checkWhole(t, c, writers*each)
		}
	})
	t.Run("a token that expires ends its channels with the reason", func(t *testing.T) {
		w := newWorld(t)
		c := w.connectAs(2, token(t, "ada", time.Second))
		c.join("realtime:x", plain)
		if p := c.want("system"); p["status"] != "error" || !strings.HasPrefix(p["message"].(string), "Token has expired") {
			t.Error(p)
		}
		if f := c.next(); f.event != "phx_close" || f.ref != "1" {
			t.Error(f.raw)
		}
	})
	t.Run("a token that is refreshed keeps its channels; a bad one ends them", func(t *testing.T) {
		c := newWorld(t).connect("ada")
		c.join("realtime:x", plain)
		c.push("1", "realtime:x", "access_token", `{"access_token":"`+token(t, "ada", 2*time.Hour)+`"}`)
		c.push("1", "realtime:x", "access_token", `{"access_token":null}`)
		c.quiet()
		c.push("1", "realtime:x", "access_token", `{"access_token":"nonsense"}`)
		if p := c.want("system"); p["message"] != "The token provided is not a valid JWT" {
			t.Error(p)
		}
		c.want("phx_close")
	})
}

// checkWhole says that a joiner has seen each record exactly once, in its pages
// or live, and that offsets only grow.
func checkWhole(t *testing.T, c *client, want int) {
	t.Helper()
	seen := map[string]int{}
	var loaded, last float64
	for len(seen) < want {
		f := c.next()
		switch f.event {
		case "records":
			loaded = f.payload["offset"].(float64)
			for _, r := range f.payload["records"].([]any) {
				seen[r.(map[string]any)["id"].(string)]++
			}
		case "change", "broadcast":
			offset, _ := f.payload["offset"].(float64)
			if meta, ok := f.payload["meta"].(map[string]any); ok {
				offset = meta["offset"].(float64)
			}
			if offset <= last {
				t.Fatalf("offset %v after %v", offset, last)
			}
			last = offset
			if f.event == "change" {
				if offset <= loaded {
					t.Fatalf("change %v is in the records up to %v", offset, loaded)
				}
				seen[f.payload["record"].(string)]++
			}
		}
	}
	for id, n := range seen {
		if n != 1 {
			data, _ := json.Marshal(seen)
			t.Fatalf("%s seen %d times: %s", id, n, data)
		}
	}
}
