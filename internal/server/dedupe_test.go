package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// stream is a session over the fallback: events down, POSTs up.
type stream struct {
	r      *running
	id     string
	posts  int
	events *bufio.Scanner
}

func (r *running) stream(sub string) *stream {
	r.t.Helper()
	res, err := http.Get("http://" + r.base + "/socket/sse?vsn=2.0.0&apikey=" + r.token(sub))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	s := &stream{r: r, events: bufio.NewScanner(res.Body)}
	var open struct{ ID string }
	if err := json.Unmarshal([]byte(s.until(`"id"`)), &open); err != nil {
		r.t.Fatal(err)
	}
	s.id = open.ID
	return s
}

func (s *stream) send(frame string) {
	s.r.t.Helper()
	s.posts++
	path := fmt.Sprintf("/socket/sse/%s?n=%d", s.id, s.posts)
	if status, body := s.r.request("POST", path, strings.NewReader("["+frame+"]")); status != http.StatusNoContent {
		s.r.t.Fatalf("%d %s", status, body)
	}
}

// until reads events up to one whose data contain all of what is given.
func (s *stream) until(parts ...string) string {
	s.r.t.Helper()
	for s.events.Scan() {
		data, ok := strings.CutPrefix(s.events.Text(), "data: ")
		if ok && !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(data, part) }) {
			return data
		}
	}
	s.r.t.Fatalf("the stream ended before %q: %v", parts, s.events.Err())
	return ""
}

func TestMessageIDs(t *testing.T) {
	const (
		topic  = "interview:1"
		config = `{"private":true,"broadcast":{"ack":true},"presence":{"enabled":false}}`
	)
	r := start(t, t.TempDir())
	listener := r.connect("ben")
	send(t, listener, join(topic, config))
	until(t, listener, "phx_reply")
	socket := r.connect("ada")
	send(t, socket, join(topic, config))
	until(t, socket, "phx_reply")
	events := r.stream("ada")
	events.send(join(topic, config))
	events.until("phx_reply")

	bearer := []string{"Authorization", "Bearer " + r.token("ada")}
	push := func(id string) string {
		return fmt.Sprintf(`["1",%q,"realtime:interview:1","broadcast",{"type":"broadcast","event":"e","payload":{"n":1},"meta":{"id":%q}}]`, id, id)
	}
	// Each way publishes under an id, and returns the offset that it was answered
	// with; -1 for the one whose answers have none.
	ways := map[string]func(id string) int{
		"WebSocket": func(id string) int {
			send(t, socket, push(id))
			return offsetIn(t, until(t, socket, "phx_reply", id))
		},
		"SSE": func(id string) int {
			events.send(push(id))
			return offsetIn(t, events.until("phx_reply", id))
		},
		"REST": func(id string) int {
			status, body := r.request("POST", "/api/v1/channels/interview:1/messages", strings.NewReader(fmt.Sprintf(`{"event":"e","payload":{"n":1},"id":%q}`, id)), bearer...)
			if status != http.StatusCreated {
				t.Fatalf("%d %s", status, body)
			}
			return offsetIn(t, body)
		},
		"REST as Supabase has it": func(id string) int {
			status, body := r.request("POST", "/api/broadcast", strings.NewReader(fmt.Sprintf(`{"messages":[{"topic":%q,"event":"e","payload":{"n":1},"private":true,"id":%q}]}`, topic, id)), bearer...)
			if status != http.StatusAccepted {
				t.Fatalf("%d %s", status, body)
			}
			return -1
		},
	}
	names := []string{"WebSocket", "SSE", "REST", "REST as Supabase has it"}
	var ids []string
	for first := range names {
		order := append(slices.Clone(names[first:]), names[:first]...)
		t.Run("[B2] [R1] what was published over "+order[0]+" is known over every other way, and answered with its position", func(t *testing.T) {
			id := fmt.Sprint("id-", first)
			ids = append(ids, id)
			want := -1
			for _, way := range order {
				got := ways[way](id)
				if want == -1 {
					want = got
				}
				if got != -1 && got != want {
					t.Errorf("%s answers with %d, the first position is %d", way, got, want)
				}
			}
			if want != first+1 {
				t.Errorf("it is at %d, want %d", want, first+1)
			}
		})
	}
	t.Run("[B2] each was delivered once, and is in the log once", func(t *testing.T) {
		for i, id := range ids {
			if got := until(t, listener, `"broadcast"`); !strings.Contains(got, fmt.Sprintf(`"id":%q,"offset":%d`, id, i+1)) {
				t.Errorf("message %d is %s", i+1, got)
			}
		}
		status, body := r.request("GET", "/api/v1/channels/interview:1/messages", nil, bearer...)
		if status != http.StatusOK || strings.Count(body, `"id":`) != len(ids) {
			t.Errorf("%d %s", status, body)
		}
	})
}

func offsetIn(t *testing.T, answer string) (offset int) {
	t.Helper()
	if _, err := fmt.Sscanf(between(t, answer, `"offset":`, "@"), "%d", &offset); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return offset
}
