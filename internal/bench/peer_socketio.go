package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
)

// socketIO is a Socket.IO server, version 4 of both protocols, without long
// polling first. Members join a room with an event, acknowledged, and push an
// event that the server sends on to the others of the room.
type socketIO struct {
	url    string
	tokens tokens
}

// The packets that matter: Engine.IO's first digit, then Socket.IO's.
const (
	sioOpen    = "0"
	sioPing    = "2"
	sioPong    = "3"
	sioConnect = "40"
	sioEvent   = "42"
	sioAck     = "43"
	sioError   = "44"
)

func (s *socketIO) answers(Mode) bool { return false }

func (s *socketIO) ear() ear { return socketIOEar{} }

func (s *socketIO) address(at seat) (string, error) {
	token, err := s.tokens(memberName(at))
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return strings.Replace(s.url, "http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket&token=" + url.QueryEscape(token), nil
}

func (s *socketIO) join(ctx context.Context, address string, at seat) (*socket, *pushWriter, error) {
	return enter(ctx, address, at, func(sock *socket) (*pushWriter, error) {
		starts := func(what string) func([]byte) bool {
			return func(frame []byte) bool { return bytes.HasPrefix(frame, []byte(what)) }
		}
		if err := sock.expect(starts(sioOpen)); err != nil {
			return nil, err
		}
		if err := sock.send([]byte(sioConnect)); err != nil {
			return nil, err
		}
		if err := sock.expect(starts(sioConnect)); err != nil {
			return nil, err
		}
		if err := sock.send([]byte(sioEvent + `0["join","` + channelName(at) + `"]`)); err != nil {
			return nil, err
		}
		if err := sock.expect(starts(sioAck + "0")); err != nil {
			return nil, err
		}
		return foreignPush(at, "", sioEvent+`["note","`+channelName(at)+`",{"text":"`, `"}]`), nil
	})
}

type socketIOEar struct{}

func (socketIOEar) hear(frame []byte, message func([]byte)) (answer []byte, err error) {
	switch {
	case bytes.HasPrefix(frame, []byte(sioEvent)):
		message(frame)
	case bytes.Equal(frame, []byte(sioPing)):
		return []byte(sioPong), nil
	case bytes.HasPrefix(frame, []byte(sioError)):
		return nil, fmt.Errorf("refused: %s", frame)
	}
	return nil, nil
}
