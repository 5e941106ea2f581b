package sim

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/protocol"
)

// client is one simulated tab: it speaks as docs/protocol.md says a client may
// rely on speaking, and nothing in it looks into the server.
type client struct {
	world       *World
	index       int
	sub         string
	version     protocol.Version
	skew        time.Duration // of its clock
	link        *link         // nil while it has no connection
	token       string
	refs        int
	memberships []*membership
}

func newClient(w *World, index int) *client {
	c := &client{world: w, index: index, sub: "u" + strconv.Itoa(index%4), version: protocol.V2, skew: time.Duration(index%5-2) * 7 * time.Second}
	if index%3 == 2 {
		c.version = protocol.V1
	}
	c.forget()
	return c
}

// forget makes a client new, with an id of its own in each channel.
func (c *client) forget() {
	c.memberships = nil
	for i := range channels {
		c.memberships = append(c.memberships, newMembership(c, &channels[i]))
	}
}

// reload is what a page does that is loaded again: what it knew and wanted is
// gone, and some of it is still on its way.
func (c *client) reload() {
	c.link.gone = true
	c.link.cut()
	c.link = nil
	c.forget()
}

// connect opens a connection to a server that is alive.
func (c *client) connect(s *server) {
	c.link = c.world.dial(c, s)
	if c.link == nil {
		return
	}
	for _, m := range c.memberships {
		m.join()
	}
}

// goodToken is the client's token, or a new one when it has none.
func (c *client) goodToken() string {
	if c.token == "" {
		c.token = c.world.mint(c.sub)
	}
	return c.token
}

// refresh gets a new token and tells every channel.
func (c *client) refresh() {
	c.token = ""
	payload := append([]byte(`{"access_token":`), protocol.AppendString(nil, c.goodToken())...)
	for _, m := range c.memberships {
		if m.joined {
			c.push(m.joinRef, m.topic(), protocol.EventAccessToken, append(payload, '}'))
		}
	}
}

// down is what the client does when its connection is gone.
func (c *client) down() {
	c.link = nil
	for _, m := range c.memberships {
		m.down()
	}
}

// push sends a frame, and returns its ref.
func (c *client) push(joinRef, topic, event string, payload []byte) string {
	c.refs++
	ref := strconv.Itoa(c.refs)
	if event == protocol.EventJoin {
		joinRef = ref
	}
	quote := func(s string) string { return string(protocol.AppendString(nil, s)) }
	var frame string
	if c.version == protocol.V1 {
		frame = `{"topic":` + quote(topic) + `,"event":` + quote(event) + `,"payload":` + string(payload) + `,"ref":` + quote(ref) + `,"join_ref":` + quote(joinRef) + `}`
	} else {
		frame = `[` + quote(joinRef) + `,` + quote(ref) + `,` + quote(topic) + `,` + quote(event) + `,` + string(payload) + `]`
	}
	c.link.up = append(c.link.up, []byte(frame))
	return ref
}

// receive handles one frame of the server.
func (c *client) receive(data []byte) {
	f, err := protocol.DecodeText(c.version, data)
	if err != nil {
		c.world.fail("client %s was sent %q: %v", c.sub, data, err)
		return
	}
	for _, m := range c.memberships {
		if m.topic() == f.Topic {
			m.receive(&f)
		}
	}
}

// closed hears that the server has closed the connection.
func (c *client) closed(code int) {
	if code == protocol.CloseTokenRefused {
		c.token = ""
	}
	c.down()
}

// mint makes a token that expires in a second that no other token expires in, so
// that no two sessions' timers are due at once.
func (w *World) mint(sub string) string {
	at := w.now().Add(time.Duration(60+w.rng.IntN(120)) * time.Second).Unix()
	for w.expiries[at] {
		at++
	}
	w.expiries[at] = true
	token, err := auth.Mint(secret, auth.MintOptions{Subject: sub, Now: w.now, TTL: time.Duration(at-w.now().Unix()) * time.Second})
	if err != nil {
		w.fail("mint: %v", err)
	}
	return token
}

// reply is a phx_reply, as far as clients read it.
type reply struct {
	Status   string `json:"status"`
	Response struct {
		protocol.Outcome
		Error     json.RawMessage     `json:"error"` // a refusal to keep a message has its code here
		Code      string              `json:"code"`
		Reason    string              `json:"reason"`
		Retryable bool                `json:"retryable"`
		Expect    uint64              `json:"expect"`
		ID        string              `json:"id"`
		Chorale   *protocol.JoinReply `json:"chorale"`
	} `json:"response"`
}

func decode[T any](w *World, payload json.RawMessage) (v T) {
	if err := json.Unmarshal(payload, &v); err != nil {
		w.fail("payload %s: %v", payload, err)
	}
	return v
}
