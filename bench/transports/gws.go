package main

import (
	"context"
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

// serveGws has a goroutine per connection that reads. Whoever delivers to one
// member writes itself; to several it uses the library's broadcaster, which frames
// once and writes in a goroutine per member.
func serveGws(ctx context.Context, h *hall, ready func(net.Addr)) error {
	u := gws.NewUpgrader(gwsEvents{}, &gws.ServerOption{CheckUtf8Enabled: false})
	return serveHTTP(ctx, ready, func(w http.ResponseWriter, r *http.Request) {
		c, ok := h.admit(w, r)
		if !ok {
			return
		}
		conn, err := u.Upgrade(w, r)
		if err != nil {
			return // it has been answered
		}
		conn.Session().Store("member", &gwsMember{conn, c})
		go conn.ReadLoop() // so that the request's memory is given back; ends with the connection
	})
}

type gwsMember struct {
	conn    *gws.Conn
	channel *channel
}

func (m *gwsMember) deliver(msg *message) {
	if msg.heard == 1 {
		_ = m.conn.WriteMessage(gws.OpcodeText, msg.text) // one that is gone is noticed by its reader
		return
	}
	if msg.ready == nil {
		// Its writers outlive the text, which is the reader's.
		all := gws.NewBroadcaster(gws.OpcodeText, append([]byte(nil), msg.text...))
		msg.ready, msg.close = all, func() { _ = all.Close() }
	}
	_ = msg.ready.(*gws.Broadcaster).Broadcast(m.conn)
}

type gwsEvents struct{ gws.BuiltinEventHandler }

func gwsMemberOf(conn *gws.Conn) *gwsMember {
	m, _ := conn.Session().Load("member")
	return m.(*gwsMember)
}

func (gwsEvents) OnOpen(conn *gws.Conn) {
	m := gwsMemberOf(conn)
	m.channel.enter(m)
	_ = conn.WriteString(joined)
}

func (gwsEvents) OnMessage(conn *gws.Conn, msg *gws.Message) {
	defer msg.Close()
	m := gwsMemberOf(conn)
	if msg.Opcode == gws.OpcodeText {
		m.channel.say(m, msg.Bytes())
	}
}

func (gwsEvents) OnClose(conn *gws.Conn, _ error) {
	m := gwsMemberOf(conn)
	m.channel.leave(m)
}
