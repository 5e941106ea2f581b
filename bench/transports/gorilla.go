package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// serveGorilla has a goroutine per connection that reads; whoever delivers writes,
// and the frame is prepared once.
func serveGorilla(ctx context.Context, h *hall, ready func(net.Addr)) error {
	u := websocket.Upgrader{WriteBufferPool: &sync.Pool{}, CheckOrigin: func(*http.Request) bool { return true }}
	return serveHTTP(ctx, ready, func(w http.ResponseWriter, r *http.Request) {
		c, ok := h.admit(w, r)
		if !ok {
			return
		}
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		m := &gorillaMember{conn: conn, channel: c}
		go m.read() // so that the request's memory is given back; ends with the connection
	})
}

type gorillaMember struct {
	conn    *websocket.Conn
	channel *channel
	mu      sync.Mutex // of those who write
}

func (m *gorillaMember) read() {
	defer m.conn.Close()
	m.channel.enter(m)
	defer m.channel.leave(m)
	m.write(func() error { return m.conn.WriteMessage(websocket.TextMessage, []byte(joined)) })
	for {
		kind, text, err := m.conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage {
			m.channel.say(m, text)
		}
	}
}

// write is for one writer at a time. One that is gone is noticed by its reader.
func (m *gorillaMember) write(f func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = f()
}

func (m *gorillaMember) deliver(msg *message) {
	if msg.ready == nil {
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, append([]byte(nil), msg.text...))
		if err != nil {
			return // never: only options that are not used can fail
		}
		msg.ready = prepared
	}
	m.write(func() error { return m.conn.WritePreparedMessage(msg.ready.(*websocket.PreparedMessage)) })
}
