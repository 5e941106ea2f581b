package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// joined is what a member hears when it is in.
const joined = `{"joined":true}`

// A hall has channels, and lets in whoever has a token.
type hall struct {
	secret []byte

	mu       sync.Mutex // guards the following
	channels map[string]*channel
}

func newHall(secret []byte) *hall {
	return &hall{secret: secret, channels: make(map[string]*channel)}
}

// A member is one socket. It is compared with others of its channel, so it is a
// pointer.
type member interface {
	// deliver sends what another member said. It may be called by several goroutines.
	deliver(m *message)
}

// A channel is whose members hear each other. Who comes or goes makes the list of
// them anew, so that who speaks needs no lock.
type channel struct {
	mu      sync.Mutex // of those who come and go
	members atomic.Pointer[[]member]
}

// channelOf checks an upgrade's URL: its path names the channel.
func (h *hall) channelOf(u *url.URL) (*channel, bool) {
	if !valid(u.Query().Get("token"), h.secret, time.Now()) {
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[u.Path]
	if c == nil {
		c = &channel{}
		c.members.Store(new([]member))
		h.channels[u.Path] = c
	}
	return c, true
}

// admit is channelOf for servers of net/http: it answers who is not let in.
func (h *hall) admit(w http.ResponseWriter, r *http.Request) (*channel, bool) {
	c, ok := h.channelOf(r.URL)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
	return c, ok
}

func (c *channel) enter(m member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := append(slices.Clip(*c.members.Load()), m)
	c.members.Store(&now)
}

func (c *channel) leave(m member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := slices.DeleteFunc(slices.Clone(*c.members.Load()), func(o member) bool { return o == m })
	c.members.Store(&now)
}

// say hands a text to the others. The bytes are the caller's again when it
// returns.
func (c *channel) say(from member, text []byte) {
	members := *c.members.Load()
	m := message{from: from, text: text, heard: len(members) - 1}
	for _, to := range members {
		if to != from {
			to.deliver(&m)
		}
	}
	if m.close != nil {
		m.close()
	}
}

// A message is a text on its way to the members of a channel. What a library can
// make once for all of them is kept here by the first.
type message struct {
	from  member
	text  []byte // as it came
	heard int    // by so many
	frame []byte // see wire
	ready any    // of the library
	close func() // of the library; called behind the last delivery
}

// wire is the text as a server's frame, for libraries that take those. It is not
// written again.
func (m *message) wire() []byte {
	if m.frame == nil {
		m.frame = wire(m.text)
	}
	return m.frame
}

func wire(text []byte) []byte {
	return ws.MustCompileFrame(ws.NewTextFrame(text))
}

// valid checks a token (HS256), as every subject of the benchmarks does.
func valid(token string, secret []byte, now time.Time) bool {
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return false
	}
	_, body, ok := strings.Cut(token[:end], ".")
	got, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(token[:end]))
	if !hmac.Equal(got, mac.Sum(nil)) {
		return false
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	data, err := base64.RawURLEncoding.DecodeString(body)
	return err == nil && json.Unmarshal(data, &claims) == nil && claims.Exp > now.Unix()
}
