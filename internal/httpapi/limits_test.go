package httpapi

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
)

// counts is what was counted by limit.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) Limited(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[name]++
}

// limitedRig is a rig whose clock for limits stands still.
func limitedRig(t *testing.T, s limit.Settings) (*rig, *counts) {
	t.Helper()
	r, c, now := newRig(t), &counts{}, time.Now()
	r.api.opts.Limits = limit.New(s, func() time.Time { return now })
	r.api.opts.Metrics = c
	return r, c
}

func TestRESTLimits(t *testing.T) {
	const one = `{"messages":[{"topic":"x","event":"e","payload":{}}]}`
	t.Run("[L2] a channel's limit counts over REST, for every door, and answers as each one's clients read it", func(t *testing.T) {
		r, c := limitedRig(t, limit.Settings{ChannelMessages: limit.Rate{PerSecond: 1, Burst: 1}})
		token := r.token("ada", "service_role")
		r.do("POST", "/api/broadcast", token, one).want(202)
		refused := r.do("POST", "/api/broadcast", token, one).want(429)
		want := map[string]any{
			"message": "Too many messages per second in this channel: 1 a second are allowed, and 1 at once",
			"code":    "rate_limit_reached", "retryable": true, "retryAfterMs": 1000.0,
		}
		if refused.header.Get("Retry-After") != "1" || !maps.Equal(into[map[string]any](refused), want) {
			t.Errorf("%v %s", refused.header, refused.body)
		}
		r.do("POST", "/realtime/v1/api/broadcast/x/events/e", token, "{}").want(429)
		r.do("POST", "/api/v1/channels/room:1/messages", token, `{"event":"e","payload":1}`).want(201)
		p := r.do("POST", "/api/v1/channels/room:1/messages", token, `{"event":"e","payload":1}`).problem(429, "rate_limit_reached")
		if !p.Retryable || p.RetryAfterMs != 1000 {
			t.Errorf("%+v", p)
		}
		r.do("PUT", "/api/v1/channels/interview:1/collections/notes/records/r1", token, `{"content":"one"}`).want(201)
		r.do("PUT", "/api/v1/channels/interview:1/collections/notes/records/r2", token, `{"content":"two"}`).problem(429, "rate_limit_reached")
		r.do("POST", "/api/v1/channels/interview:1/mutations", token,
			`{"client":"c","n":1,"id":"c-1","at":"0192f0c12b3c0001","op":"put","collection":"notes","record":"r3","fields":{"content":"three"}}`).problem(429, "rate_limit_reached")
		if c.of["channel_messages"] != 5 {
			t.Errorf("counted %v", c.of)
		}
	})
	t.Run("[L2] a batch is refused whole, and nothing of it is written", func(t *testing.T) {
		r, _ := limitedRig(t, limit.Settings{ChannelMessages: limit.Rate{PerSecond: 1, Burst: 2}})
		three := `{"messages":[` + strings.Repeat(`{"topic":"room:1","private":true,"event":"e","payload":{}},`, 2) + `{"topic":"room:1","private":true,"event":"e","payload":{}}]}`
		token := r.token("ada", "service_role")
		r.do("POST", "/api/broadcast", token, three).want(429)
		if body := r.do("GET", "/api/v1/channels/room:1/messages", token, "").want(200).body; strings.Contains(body, `"event"`) {
			t.Error(body)
		}
	})
	t.Run("[L2] a caller is a sub, over all channels", func(t *testing.T) {
		r, c := limitedRig(t, limit.Settings{RESTMessages: limit.Rate{PerSecond: 1, Burst: 2}})
		ada, ben := r.token("ada", "member"), r.token("ben", "member")
		for _, channel := range []string{"x", "y"} {
			r.do("POST", "/api/broadcast/"+channel+"/events/e", ada, "{}").want(202)
		}
		r.do("POST", "/api/broadcast/z/events/e", ada, "{}").want(429)
		r.do("POST", "/api/broadcast/z/events/e", ben, "{}").want(202)
		if c.of["rest_messages"] != 1 {
			t.Errorf("counted %v", c.of)
		}
	})
	t.Run("[L2] whom the token does not name is an address, and on this machine nobody", func(t *testing.T) {
		r, _ := limitedRig(t, limit.Settings{RESTMessages: limit.Rate{PerSecond: 1, Burst: 1}})
		token := r.token("", "anon")
		post := func(want int, headers ...string) {
			t.Helper()
			r.do("POST", "/api/broadcast/x/events/e", token, "{}", headers...).want(want)
		}
		post(202, "X-Forwarded-For", "192.0.2.1")
		post(429, "X-Forwarded-For", "192.0.2.1")
		post(202, "X-Forwarded-For", "192.0.2.2")
		post(202)
		post(202)
	})
	t.Run("[L1] who may not publish uses up nothing of what others may", func(t *testing.T) {
		r, _ := limitedRig(t, limit.Settings{ChannelMessages: limit.Rate{PerSecond: 1, Burst: 1}})
		for range 3 {
			r.do("POST", "/api/broadcast/interview:1/events/e?private=true", r.token("eve", "reader"), "{}").want(403)
		}
		r.do("POST", "/api/broadcast/interview:1/events/e?private=true", r.token("ada", "member"), "{}").want(202)
	})
	t.Run("[B7] a broadcast that is too large is 422 where upstream's is, and 413 for backends", func(t *testing.T) {
		r, c := limitedRig(t, limit.Settings{PayloadBytes: 1000})
		token, large := r.token("ada", "service_role"), `{"text":"`+strings.Repeat("x", 1000)+`"}`
		r.do("POST", "/api/broadcast", token, `{"messages":[{"topic":"x","event":"e","payload":`+large+`}]}`).want(422)
		refused := r.do("POST", "/api/broadcast/x/events/e", token, large).want(422)
		if got := into[upstreamError](refused); got.Code != "payload_size_exceeded" || got.Retryable || got.Errors["payload"][0] != "Payload size exceeds tenant limit" {
			t.Errorf("%+v", got)
		}
		if p := r.do("POST", "/api/v1/channels/room:1/messages", token, `{"event":"e","payload":`+large+`}`).problem(413, "payload_size_exceeded"); p.Retryable || p.Path != "/payload" {
			t.Errorf("%+v", p)
		}
		if c.of["payload"] != 3 {
			t.Errorf("counted %v", c.of)
		}
	})
}
