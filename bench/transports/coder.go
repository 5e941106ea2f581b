package main

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// serveCoder has a goroutine per connection that reads; whoever delivers writes,
// and the frame is made for each.
func serveCoder(ctx context.Context, h *hall, ready func(net.Addr)) error {
	return serveHTTP(ctx, ready, func(w http.ResponseWriter, r *http.Request) {
		c, ok := h.admit(w, r)
		if !ok {
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			return // it has been answered
		}
		m := &coderMember{conn: conn, ctx: context.WithoutCancel(ctx)}
		defer conn.CloseNow()
		c.enter(m)
		defer c.leave(m)
		m.deliver(&message{text: []byte(joined)})
		for {
			kind, text, err := conn.Read(m.ctx)
			if err != nil {
				return
			}
			if kind == websocket.MessageText {
				c.say(m, text)
			}
		}
	})
}

type coderMember struct {
	conn *websocket.Conn
	ctx  context.Context
}

func (m *coderMember) deliver(msg *message) {
	_ = m.conn.Write(m.ctx, websocket.MessageText, msg.text) // one that is gone is noticed by its reader
}
