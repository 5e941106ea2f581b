package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/chorale-rt/chorale/protocol"
)

// fake speaks as much of the protocol as a load needs, and can be told to break
// its promises.
type fake struct {
	server *http.Server
	wg     sync.WaitGroup

	// What it does wrong; set before anybody connects.
	spoil     func(n int, frame []byte) [][]byte             // what a member is sent instead of its n-th delivery
	refuse    string                                         // code that refuses every push
	refuseIn  string                                         // code that refuses every join
	turnAway  func(conn net.Conn, frame protocol.Frame) bool // what it does with a join instead of letting in; false: it lets in
	hangUpAt  int                                            // push of a channel at which its pusher's socket is closed; 0: never
	deaf      bool                                           // it does not answer heartbeats
	listening string

	mu       sync.Mutex // guards the following, and writes to sockets
	channels map[string]*fakeChannel
	conns    map[net.Conn]bool
	tokens   map[string]bool
	beats    map[net.Conn]int // heartbeats
}

type fakeChannel struct {
	pushes  int
	offset  uint64
	members []*fakeMember
}

type fakeMember struct {
	conn      net.Conn
	delivered int
}

// startFake runs a fake until the test ends.
func startFake(t *testing.T, f *fake) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.start(l)
	t.Cleanup(f.close)
	return f
}

func newFake(l net.Listener) *fake {
	f := &fake{}
	f.start(l)
	return f
}

func (f *fake) start(l net.Listener) {
	f.channels, f.conns, f.tokens = make(map[string]*fakeChannel), make(map[net.Conn]bool), make(map[string]bool)
	f.beats = make(map[net.Conn]int)
	f.listening = "http://" + l.Addr().String()
	f.server = &http.Server{Handler: http.HandlerFunc(f.upgrade)}
	f.wg.Go(func() { _ = f.server.Serve(l) })
}

func (f *fake) close() {
	_ = f.server.Close()
	f.mu.Lock()
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fake) upgrade(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("apikey")
	if token == "" || r.URL.Path != "/socket/websocket" || r.URL.Query().Get("vsn") != "2.0.0" {
		http.Error(w, `{"error":"API key is missing"}`, http.StatusUnauthorized)
		return
	}
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.conns[conn], f.tokens[token] = true, true
	f.mu.Unlock()
	f.wg.Go(func() {
		defer conn.Close()
		for {
			data, err := wsutil.ReadClientText(conn)
			if err != nil {
				return
			}
			frame, err := protocol.DecodeText(protocol.V2, data)
			if err != nil {
				return
			}
			f.handle(conn, frame)
		}
	})
}

func (f *fake) handle(conn net.Conn, frame protocol.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if frame.Event == protocol.EventHeartbeat {
		if f.beats[conn]++; !f.deaf {
			write(conn, protocol.EncodeReply(protocol.V2, "", frame.Ref, frame.Topic, true, []byte("{}")))
		}
		return
	}
	c := f.channels[frame.Topic]
	if c == nil {
		c = &fakeChannel{}
		f.channels[frame.Topic] = c
	}
	if frame.Event == protocol.EventJoin {
		f.join(conn, c, frame)
		return
	}
	c.pushes++
	if c.pushes == f.hangUpAt {
		conn.Close()
		return
	}
	if f.refuse != "" {
		write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, false, protocol.AppendError(nil, &protocol.Error{Code: f.refuse})))
		return
	}
	c.offset++
	switch frame.Event {
	case protocol.EventBroadcast:
		b, _ := protocol.ParseBroadcast(&frame)
		f.deliver(c, conn, protocol.EncodeBroadcast(protocol.V2, frame.Topic, b.Body, protocol.BroadcastMeta{Offset: c.offset}))
	case protocol.EventMutate:
		var m protocol.Mutation
		if err := json.Unmarshal(frame.Payload, &m); err != nil {
			panic(err)
		}
		change, _ := json.Marshal(protocol.Change{Offset: c.offset, Collection: m.Collection, Record: m.Record, Op: m.Op, Status: protocol.StatusApplied, Client: m.Client, N: m.N, Fields: m.Fields})
		f.deliver(c, nil, protocol.EncodeText(protocol.V2, "", "", frame.Topic, protocol.EventChange, change))
		outcome, _ := json.Marshal(protocol.Outcome{N: m.N, Offset: c.offset, Status: protocol.StatusApplied})
		write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, true, outcome))
	}
}

func (f *fake) join(conn net.Conn, c *fakeChannel, frame protocol.Frame) {
	if f.refuseIn != "" {
		write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, false, protocol.AppendError(nil, &protocol.Error{Code: f.refuseIn})))
		return
	}
	if f.turnAway != nil && f.turnAway(conn, frame) {
		return
	}
	c.members = append(c.members, &fakeMember{conn: conn})
	write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, true, []byte(`{"postgres_changes":[]}`)))
	if j := protocol.ParseJoin(frame.Payload); j.Chorale != nil && j.Private {
		write(conn, protocol.EncodeText(protocol.V2, "", "", frame.Topic, protocol.EventRecords, []byte(`{"collection":"notes","reset":true,"records":[]}`)))
		write(conn, protocol.EncodeText(protocol.V2, "", "", frame.Topic, protocol.EventSynced, []byte(`{"last":0}`)))
	}
}

func (f *fake) deliver(c *fakeChannel, except net.Conn, m protocol.Message) {
	for _, member := range c.members {
		if member.conn == except {
			continue
		}
		member.delivered++
		frames := [][]byte{m.Wire()}
		if f.spoil != nil && bytes.Contains(m.Wire(), []byte(stampMarker)) {
			frames = f.spoil(member.delivered, m.Wire())
		}
		for _, frame := range frames {
			_, _ = member.conn.Write(frame)
		}
	}
}

func write(conn net.Conn, m protocol.Message) { _, _ = conn.Write(m.Wire()) }

// subject is the fake as a scenario sees it.
func (f *fake) subject(t *testing.T) subject {
	t.Helper()
	s, err := newChorale([]string{f.listening}, mint(bytes.Repeat([]byte("k"), 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plainServer answers every request with a status and a body.
func plainServer(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

var errTest = errors.New("a reason of the test")
