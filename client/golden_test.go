package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// TestClientsHalf plays the conversations in which a client of this package
// speaks: what its program does is done, what it says is compared frame by frame,
// and what the server says in them is said to it. internal/session plays the same
// files to the server, so each half is judged by what the other was seen to say.
func TestClientsHalf(t *testing.T) {
	played := 0
	for _, file := range conversations(t) {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first := regexp.MustCompile(`(?m)^([a-z]+) does `).FindStringSubmatch(string(script))
		if first == nil {
			continue // its clients are nobody's programs
		}
		played++
		t.Run("[J1] [M1] [R6] [S1] "+file, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
				s.setHook(func(*peer, *protocol.Frame) bool { return true })
				c.mu.Lock()
				c.id = first[1] + "-1" // as the file has it
				c.mu.Unlock()
				h := &half{t: t, name: first[1], s: s, c: c, dials: len(s.dialled()), made: map[string]string{}}
				h.play(string(script))
			})
		})
	}
	if played == 0 {
		t.Error("no conversation has a program")
	}
}

// half is one client's side of a conversation.
type half struct {
	t    *testing.T
	name string
	s    *fakeServer
	c    *Client

	ch    *Channel
	heard *Stream[Message]
	read  int               // of what it has said
	lost  bool              // the connection
	dials int               // that the conversation knows of
	made  map[string]string // ids that it has made, by their names in the file: w1, w2, …
}

func (h *half) play(script string) {
	for i, line := range strings.Split(script, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if fault := h.step(word, rest); fault != "" {
			h.t.Fatalf("line %d: %s\n%s", i+1, line, fault)
		}
		synctest.Wait()
	}
	if left := h.unread(); len(left) > 0 {
		h.t.Errorf("it also says %s", left)
	}
}

func (h *half) step(word, rest string) string {
	switch {
	case word == "advance":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err.Error()
		}
		time.Sleep(d)
	case word == "disconnect" && rest == h.name:
		h.lost = true
		_ = h.s.current().conn.Close() // a pipe, which has no fault to tell
	case word == "connect" && rest == h.name:
		n := len(h.s.dialled())
		if h.lost && n == h.dials {
			return "it has not come back by itself"
		}
		h.lost, h.dials = false, n
	case word == h.name:
		verb, what, _ := strings.Cut(rest, " ")
		return h.speak(verb, what)
	}
	return ""
}

func (h *half) speak(verb, what string) string {
	switch verb {
	case "does":
		if left := h.unread(); len(left) > 0 {
			return "before that it says " + strings.Join(left, "\n")
		}
		return h.do(strings.SplitN(what, " ", 4))
	case ">":
		said := h.unread()
		if len(said) == 0 {
			return "it says nothing"
		}
		h.read++
		if want := anyToken.ReplaceAllString(what, "token"); !sameJSON(said[0], want) {
			return "it says " + said[0]
		}
	case "<":
		for name, id := range h.made {
			what = strings.ReplaceAll(what, `"`+name+`"`, `"`+id+`"`)
		}
		h.s.current().write(ws.OpText, []byte(what))
	case "shows":
		words := strings.SplitN(what, " ", 3)
		got := "nothing"
		if r := h.ch.Collection(words[0]).Get(words[1]); r != nil {
			got = string(mustMarshal(r.Values))
		}
		if !sameJSON(got, words[2]) {
			return "it shows " + got
		}
	case "hears":
		event, payload, _ := strings.Cut(what, " ")
		m, err := h.heard.Next(h.t.Context())
		if err != nil || m.Event != event || !sameJSON(string(m.Payload), payload) {
			return fmt.Sprintf("it hears %s %s, %v", m.Event, m.Payload, err)
		}
	}
	return ""
}

// do is what a program does: join CHANNEL COLLECTION, publish EVENT JSON,
// put COLLECTION ID JSON, patch COLLECTION ID JSON, delete COLLECTION ID, release.
func (h *half) do(words []string) string {
	var err error
	switch words[0] {
	case "join":
		if h.ch, err = h.c.Channel(words[1], &ChannelOptions{Collections: words[2:]}); err == nil {
			h.heard = h.ch.Subscribe()
		}
	case "publish":
		go func() { _, _ = h.ch.Publish(h.t.Context(), words[1], json.RawMessage(words[2])) }() // it ends with the client
	case "put":
		_, err = h.ch.Collection(words[1]).Put(words[2], json.RawMessage(words[3]))
	case "patch":
		_, err = h.ch.Collection(words[1]).Patch(words[2], json.RawMessage(words[3]))
	case "delete":
		_, err = h.ch.Collection(words[1]).Delete(words[2])
	case "release":
		h.ch.Release()
	default:
		return "no program does that"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

var (
	anyToken = regexp.MustCompile(`\{token [^}]*\}`)
	madeID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// unread is what the client has said and was not compared, with names for the ids
// that it has made.
func (h *half) unread() (out []string) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	for _, f := range h.s.got[h.read:] {
		raw := string(encodeFrame(f.JoinRef, f.Ref, f.Topic, f.Event, f.Payload))
		out = append(out, madeID.ReplaceAllStringFunc(raw, h.named))
	}
	return out
}

func (h *half) named(id string) string {
	for _, name := range slices.Sorted(maps.Keys(h.made)) {
		if h.made[name] == id {
			return name
		}
	}
	name := fmt.Sprintf("w%d", len(h.made)+1)
	h.made[name] = id
	return name
}
