package bench

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

// A seat is one member's place in a load: which channel, and who it is there.
type seat struct {
	mode     Mode
	run      string // keeps the channels of two runs apart
	channel  int
	index    int  // within the channel
	writes   bool // it will push
	textSize int
}

// A subject is what is under load. Its methods may be called concurrently.
type subject interface {
	// address is the URL that this seat's member connects to, token included.
	address(s seat) (string, error)
	// join connects, joins the seat's channel and, for writers, makes ready to
	// push. The socket's next frame is the first after that. Of the subject it uses
	// nothing but its type: newcomers join from another process.
	join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error)
	// answers says whether every push of this mode is answered.
	answers(m Mode) bool
}

// A sharer is a subject whose connections may be in several channels.
type sharer interface {
	// enter joins the seat's channel over a connection that is there.
	enter(sock *socket, s seat) (*pushWriter, error)
}

// A beater is a subject whose members say now and then that they are there.
type beater interface {
	// heartbeat is the text of that.
	heartbeat() []byte
}

// chorale is a Chorale server, or several that are one cluster.
type chorale struct {
	urls  []string // of the nodes' WebSocket endpoints, without query
	token func(sub string) (string, error)
}

// newChorale makes a subject of its nodes' addresses: http, https, ws or wss, with
// or without the path of the WebSocket endpoint.
func newChorale(addresses []string, token func(sub string) (string, error)) (*chorale, error) {
	c := &chorale{token: token}
	for _, address := range addresses {
		endpoint, err := endpointOf(address)
		if err != nil {
			return nil, err
		}
		c.urls = append(c.urls, endpoint)
	}
	return c, nil
}

func endpointOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("server's URL: %w", err)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", fmt.Errorf("server's URL %q: want ws://host:port", address)
	}
	if !strings.HasSuffix(u.Path, "/websocket") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/socket/websocket"
	}
	u.RawQuery = ""
	return u.String(), nil
}

// answers: mutations are always answered, broadcasts only when they are refused.
func (c *chorale) answers(m Mode) bool { return m == Notes }

// heartbeat is what the SDKs send.
func (c *chorale) heartbeat() []byte {
	return protocol.EncodeText(protocol.V2, "", "0", protocol.TopicPhoenix, protocol.EventHeartbeat, []byte("{}")).Payload()
}

// address: the members of a channel are spread over the nodes.
func (c *chorale) address(s seat) (string, error) { return c.addressAt(s, s.channel+s.index) }

// addressAt is the address of a seat's member at a node, counted round. Each
// member is a user of its own, or the server would verify one token and remember
// it for all.
func (c *chorale) addressAt(s seat, node int) (string, error) {
	token, err := c.token(s.sub())
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return c.urls[node%len(c.urls)] + "?vsn=2.0.0&apikey=" + url.QueryEscape(token), nil
}

// nodesOf are the nodes' addresses for a seat's client, the one first that address
// would take.
func (c *chorale) nodesOf(s seat) []string {
	first := (s.channel + s.index) % len(c.urls)
	return slices.Concat(c.urls[first:], c.urls[:first])
}

// provider provides the tokens of a seat's client.
func (c *chorale) provider(s seat) client.TokenProvider {
	return func(context.Context, client.TokenReason) (string, error) { return c.token(s.sub()) }
}

// sub is whom a seat's token is for.
func (s seat) sub() string { return fmt.Sprintf("bench-%d-%d", s.channel, s.index) }

func (c *chorale) join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error) {
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	w, err := c.enter(sock, s)
	if err != nil {
		sock.close()
		return nil, nil, fmt.Errorf("join channel %d: %w", s.channel, err)
	}
	return sock, w, nil
}

func (c *chorale) enter(sock *socket, s seat) (*pushWriter, error) {
	o := pushOptions{mode: s.mode, topic: s.mode.topic(s.run, s.channel), writer: s.index, textSize: s.textSize}
	config := `{"presence":{"enabled":false}}`
	switch s.mode {
	case Durable:
		config = `{"presence":{"enabled":false},"private":true}`
	case Notes:
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make a client id: %w", err)
		}
		o.client, o.record = id.String(), uuid.NewString()
		config = `{"presence":{"enabled":false},"private":true,"chorale":{"v":1,"client":"` + o.client + `","collections":["` + notesCollection + `"]}}`
	}
	if err := sock.send(frame("1", o.topic, protocol.EventJoin, `{"config":`+config+`}`)); err != nil {
		return nil, err
	}
	if err := accepted(sock, "1"); err != nil {
		return nil, err
	}
	w := &pushWriter{mode: s.mode, writer: uint32(s.index)}
	if s.writes {
		w = newPushWriter(o)
	}
	if s.mode != Notes {
		return w, nil
	}
	if _, err := sock.await(protocol.EventSynced, ""); err != nil || !s.writes {
		return w, err
	}
	return w, w.putNote(sock, o)
}

// putNote makes the record that the member will patch.
func (w *pushWriter) putNote(sock *socket, o pushOptions) error {
	var at []byte
	at = w.clock.append(at, unixMillis())
	payload := `{"client":"` + o.client + `","n":1,"id":"` + uuid.NewString() + `","at":"` + string(at) + `","base":0,` +
		`"op":"put","collection":"` + notesCollection + `","record":"` + o.record + `",` +
		`"fields":{"content":"not yet written","timestampMs":61000,"authorName":"Bench","kind":"note"},"sets":{"tags":{"pricing":true}}}`
	if err := sock.send(frame("put", o.topic, protocol.EventMutate, payload)); err != nil {
		return err
	}
	if err := accepted(sock, "put"); err != nil {
		return fmt.Errorf("put a note: %w", err)
	}
	return nil
}

// frame is the text of a push to a channel that was joined with ref 1.
func frame(ref, topic, event, payload string) []byte {
	return protocol.EncodeText(protocol.V2, "1", ref, topic, event, []byte(payload)).Payload()
}

// accepted waits for the reply to ref and makes an error of a refusal.
func accepted(sock *socket, ref string) error {
	f, err := sock.await(protocol.EventReply, ref)
	if err != nil {
		return err
	}
	if !replySucceeded(f.Payload) {
		return fmt.Errorf("refused: %s", f.Payload)
	}
	return nil
}

// floorSubject is the floor: the path of the upgrade names the channel, and there
// is nothing to join.
type floorSubject struct{ url string }

func (f *floorSubject) answers(Mode) bool { return false }

func (f *floorSubject) address(s seat) (string, error) {
	return fmt.Sprintf("%s/%s-%d", strings.Replace(f.url, "http", "ws", 1), s.run, s.channel), nil
}

func (f *floorSubject) join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error) {
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	// The same pushes as a server gets, so that the same bytes are moved.
	o := pushOptions{mode: s.mode, topic: s.mode.topic(s.run, s.channel), writer: s.index, textSize: s.textSize}
	o.client, o.record = uuid.NewString(), uuid.NewString()
	return sock, newPushWriter(o), nil
}
