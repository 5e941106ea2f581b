package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// serveGnet has the library's event loops, one per CPU, with upgrade and frames of
// gobwas/ws. Messages are handled in the loop: a handler must not wait, or all of
// the loop's sockets wait with it.
func serveGnet(ctx context.Context, h *hall, ready func(net.Addr)) error {
	loops := &gnetLoops{hall: h, booted: make(chan gnet.Engine, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- gnet.Run(loops, "tcp://127.0.0.1:0", gnet.WithMulticore(true), gnet.WithLogger(zap.NewNop().Sugar()))
	}()
	select {
	case err := <-ended:
		return err
	case engine := <-loops.booted:
		at, err := gnetAddress(engine)
		if err != nil {
			return errors.Join(err, engine.Stop(ctx), <-ended)
		}
		ready(at)
		<-ctx.Done()
		return errors.Join(engine.Stop(context.WithoutCancel(ctx)), <-ended)
	}
}

// gnetAddress asks the kernel, because the library keeps what it was told.
func gnetAddress(engine gnet.Engine) (net.Addr, error) {
	fd, err := engine.Dup()
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	in, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, errors.New("not an address of IPv4")
	}
	return &net.TCPAddr{IP: in.Addr[:], Port: in.Port}, nil
}

type gnetLoops struct {
	gnet.BuiltinEventEngine
	hall   *hall
	booted chan gnet.Engine
}

// gnetMember is one socket; before the upgrade it has no channel.
type gnetMember struct {
	conn    gnet.Conn
	loop    gnet.EventLoop
	channel *channel
}

func (l *gnetLoops) OnBoot(engine gnet.Engine) gnet.Action {
	l.booted <- engine
	return gnet.None
}

func (l *gnetLoops) OnOpen(conn gnet.Conn) ([]byte, gnet.Action) {
	conn.SetContext(&gnetMember{conn: conn, loop: conn.EventLoop()})
	return nil, gnet.None
}

func (l *gnetLoops) OnClose(conn gnet.Conn, _ error) gnet.Action {
	if m := conn.Context().(*gnetMember); m.channel != nil {
		m.channel.leave(m)
	}
	return gnet.None
}

func (l *gnetLoops) OnTraffic(conn gnet.Conn) gnet.Action {
	m := conn.Context().(*gnetMember)
	if m.channel == nil {
		return l.upgrade(m)
	}
	data, err := conn.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	used, ok := eachText(data, func(text []byte) { m.channel.say(m, text) })
	if used > 0 {
		_, _ = conn.Discard(used) // as much as was peeked at
	}
	if !ok {
		return gnet.Close
	}
	return gnet.None
}

func (l *gnetLoops) upgrade(m *gnetMember) gnet.Action {
	data, err := m.conn.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if !bytes.Contains(data, []byte("\r\n\r\n")) {
		return gnet.None // the rest comes
	}
	u := ws.Upgrader{OnRequest: func(uri []byte) error {
		at, err := url.ParseRequestURI(string(uri))
		if err != nil {
			return err
		}
		c, ok := l.hall.channelOf(at)
		if !ok {
			return ws.RejectConnectionError(ws.RejectionStatus(http.StatusUnauthorized))
		}
		m.channel = c
		return nil
	}}
	if _, err := u.Upgrade(m.conn); err != nil {
		m.channel = nil
		return gnet.Close
	}
	m.channel.enter(m)
	if _, err := m.conn.Write(wire([]byte(joined))); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// deliver is called in the loop of whoever speaks. Another loop's sockets are that
// loop's to write to.
func (m *gnetMember) deliver(msg *message) {
	if m.loop == msg.from.(*gnetMember).loop {
		_, _ = m.conn.Write(msg.wire()) // one that is gone is noticed by its loop
		return
	}
	_ = m.conn.AsyncWrite(msg.wire(), nil)
}

// eachText calls text for each whole text frame at the front of data, which is
// unmasked in place. ok is false behind a close frame, and after what no client of
// the benchmarks sends.
func eachText(data []byte, text func([]byte)) (used int, ok bool) {
	for {
		src := bytes.NewReader(data[used:])
		h, err := ws.ReadHeader(src)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return used, true
		}
		if err != nil || !h.Masked || !h.Fin || h.Length > maxText || h.OpCode == ws.OpClose {
			return used, false
		}
		if int64(src.Len()) < h.Length {
			return used, true
		}
		begin := len(data) - src.Len()
		used = begin + int(h.Length)
		ws.Cipher(data[begin:used], h.Mask, 0)
		if h.OpCode == ws.OpText {
			text(data[begin:used])
		}
	}
}

// maxText bounds what a socket may make us keep of one frame, in bytes.
const maxText = 64 << 10
