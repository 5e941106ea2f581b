package main

import (
	"context"
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// serveNbio has the library's own HTTP server and pollers; messages are handled by
// its pool of goroutines, so that a handler may wait. The frame is made once.
func serveNbio(ctx context.Context, h *hall, ready func(net.Addr)) error {
	logging.SetLevel(logging.LevelNone)
	u := websocket.NewUpgrader()
	u.KeepaliveTime = 0
	u.CheckOrigin = func(*http.Request) bool { return true }
	u.OnMessage(func(conn *websocket.Conn, kind websocket.MessageType, text []byte) {
		if m, ok := conn.SessionWithLock().(*nbioMember); ok && kind == websocket.TextMessage {
			m.channel.say(m, text)
		}
	})
	u.OnClose(func(conn *websocket.Conn, _ error) {
		if m, ok := conn.Session().(*nbioMember); ok {
			m.channel.leave(m)
		}
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{"127.0.0.1:0"}, ReleaseWebsocketPayload: true, SupportServerOnly: true,
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err == nil {
				ready(l.Addr())
			}
			return l, err
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, ok := h.admit(w, r)
			if !ok {
				return
			}
			conn, err := u.Upgrade(w, r, nil)
			if err != nil {
				return // it has been answered
			}
			m := &nbioMember{conn, c}
			conn.SetSession(m)
			c.enter(m)
			_ = conn.WriteMessage(websocket.TextMessage, []byte(joined))
		}),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	engine.Stop()
	return nil
}

type nbioMember struct {
	conn    *websocket.Conn
	channel *channel
}

func (m *nbioMember) deliver(msg *message) {
	_, _ = m.conn.Conn.Write(msg.wire()) // what the socket does not take is copied; one that is gone is noticed by its poller
}
