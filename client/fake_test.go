package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/chorale-rt/chorale/protocol"
)

// A fakeServer speaks the wire over pipes, so that time in a test is that of its
// synctest bubble. It answers heartbeats, joins, broadcasts and the rest as a
// server without a log would; hooks change that.
type fakeServer struct {
	t *testing.T

	mu     sync.Mutex // guards the following
	dials  []time.Time
	refuse error // of the next dials
	peers  []*peer
	got    []protocol.Frame
	at     []time.Time // when each of got came
	last   uint64      // offset of the log
	hook   func(p *peer, f *protocol.Frame) (handled bool)
	greet  func(p *peer) // runs right after the upgrade
}

// A peer is the server's side of one connection.
type peer struct {
	s    *fakeServer
	conn net.Conn
	mu   sync.Mutex // held while writing
	// deaf: nothing is answered any more, and nothing is closed: half-open.
	deaf bool
}

func (s *fakeServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	s.dials = append(s.dials, time.Now())
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	ours, theirs := net.Pipe()
	p := &peer{s: s, conn: ours}
	go p.serve()
	return theirs, nil
}

func (p *peer) serve() {
	defer func() { _ = p.conn.Close() }()
	if _, err := ws.Upgrade(p.conn); err != nil {
		return
	}
	p.s.mu.Lock()
	p.s.peers = append(p.s.peers, p)
	greet := p.s.greet
	p.s.mu.Unlock()
	if greet != nil {
		greet(p)
	}
	for {
		data, err := wsutil.ReadClientText(p.conn)
		if err != nil {
			return
		}
		f, err := protocol.DecodeText(protocol.V2, data)
		if err != nil {
			p.s.t.Errorf("the client sent %s: %v", data, err)
			return
		}
		p.s.mu.Lock()
		p.s.got, p.s.at = append(p.s.got, f), append(p.s.at, time.Now())
		hook, deaf := p.s.hook, p.deaf
		p.s.mu.Unlock()
		if !deaf && (hook == nil || !hook(p, &f)) {
			p.answer(&f)
		}
	}
}

func (p *peer) write(op ws.OpCode, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = ws.WriteFrame(p.conn, ws.NewFrame(op, true, payload)) // the client may be gone
}

func (p *peer) send(joinRef, ref, topic, event, payload string) {
	p.write(ws.OpText, protocol.EncodeText(protocol.V2, joinRef, ref, topic, event, []byte(payload)).Payload())
}

func (p *peer) close(code int, reason string) {
	p.write(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

func (p *peer) ok(f *protocol.Frame, response string) {
	p.send(f.JoinRef, f.Ref, f.Topic, protocol.EventReply, `{"status":"ok","response":`+response+`}`)
}

func (p *peer) refuse(f *protocol.Frame, e *protocol.Error) {
	p.send(f.JoinRef, f.Ref, f.Topic, protocol.EventReply, `{"status":"error","response":`+string(protocol.AppendError(nil, e))+`}`)
}

func (p *peer) answer(f *protocol.Frame) {
	switch f.Event {
	case protocol.EventJoin:
		p.join(f)
	case protocol.EventBroadcast:
		p.s.mu.Lock()
		p.s.last++
		offset := p.s.last
		p.s.mu.Unlock()
		p.ok(f, fmt.Sprintf(`{"id":"x","offset":%d}`, offset))
	case protocol.EventAccessToken, protocol.EventMutate:
	default:
		p.ok(f, "{}")
	}
}

func (p *peer) join(f *protocol.Frame) {
	j := protocol.ParseJoin(f.Payload)
	p.s.mu.Lock()
	last := p.s.last
	p.s.mu.Unlock()
	resumed, reason := j.Chorale.Resume != nil && j.Chorale.Resume.Epoch == "e1", "new"
	p.ok(f, fmt.Sprintf(`{"postgres_changes":[],"chorale":{"v":1,"epoch":"e1","offset":%d,"resumed":%v,"reason":%q,"collections":[],"sub":"ada","now":%d,"limits":{"frameBytes":5000000,"recordBytes":262144}}}`,
		last, resumed, reason, time.Now().UnixMilli()))
	for _, name := range j.Chorale.Collections {
		p.send("", "", f.Topic, protocol.EventRecords, fmt.Sprintf(`{"collection":%q,"reset":true,"offset":%d,"records":[],"more":false}`, name, last))
	}
	p.send("", "", f.Topic, protocol.EventSynced, fmt.Sprintf(`{"epoch":"e1","offset":%d,"last":0,"outcomes":[]}`, last))
}

func (s *fakeServer) setHook(hook func(p *peer, f *protocol.Frame) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// current is the newest connection.
func (s *fakeServer) current() *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) == 0 {
		return nil
	}
	return s.peers[len(s.peers)-1]
}

// frames are those with this event that the client has sent, and when.
func (s *fakeServer) frames(event string) (list []protocol.Frame, at []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.got {
		if f.Event == event {
			list, at = append(list, f), append(at, s.at[i])
		}
	}
	return list, at
}

func (s *fakeServer) dialled() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.dials...)
}

// bubble runs a test with a fake server, a client of it and fake time. roll is the
// client's chance.
func bubble(t *testing.T, o Options, act func(t *testing.T, s *fakeServer, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeServer{t: t}
		o := o
		o.DialContext = s.dial
		if o.Token == nil {
			o.Token = StaticToken("token")
		}
		if o.roll == nil {
			o.roll = func() float64 { return 0.5 }
		}
		c, err := New("http://server.test", &o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		act(t, s, c)
	})
}

func mustJoin(t *testing.T, c *Client, name string, o *ChannelOptions) *Channel {
	t.Helper()
	ch, err := c.Channel(name, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ch
}

func sameJSON(a, b string) bool {
	return isSameJSON(json.RawMessage(a), json.RawMessage(b))
}

var errRefused = errors.New("connection refused")
