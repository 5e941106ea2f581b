package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// centrifugo is Centrifugo 6 with its memory engine, spoken to in JSON. Its
// answers and deliveries come several in a frame, a line each.
type centrifugo struct {
	url    string
	tokens tokens
}

// planCentrifugo writes a configuration in which whoever has a token may subscribe
// and publish, without history, and with the buffers that its documentation
// recommends for many connections.
func planCentrifugo(p peerPlan) (command, func(string) subject, error) {
	address, err := freeAddress()
	if err != nil {
		return command{}, nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return command{}, nil, err
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"http_server": object{"address": host, "port": port},
		"log":         object{"level": "error"},
		"client":      object{"token": object{"hmac_secret_key": p.secret}, "allowed_origins": []string{"*"}},
		"channel":     object{"without_namespace": object{"allow_subscribe_for_client": true, "allow_publish_for_subscriber": true}},
		"websocket":   object{"use_write_buffer_pool": true},
	})
	if err != nil {
		return command{}, nil, err
	}
	file := filepath.Join(p.dir, "centrifugo.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return command{}, nil, fmt.Errorf("configure centrifugo: %w", err)
	}
	speak := func(url string) subject { return &centrifugo{url, p.tokens} }
	return command{path: p.path, args: []string{"-c", file}, address: address}, speak, nil
}

func (c *centrifugo) answers(Mode) bool { return false }

func (c *centrifugo) ear() ear { return centrifugoEar{} }

// address: its tokens travel in the first command, not in the address, which only
// carries it to join.
func (c *centrifugo) address(s seat) (string, error) {
	token, err := c.tokens(memberName(s))
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return strings.Replace(c.url, "http", "ws", 1) + "/connection/websocket#" + token, nil
}

func (c *centrifugo) join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error) {
	address, token, _ := strings.Cut(address, "#")
	return enter(ctx, address, s, func(sock *socket) (*pushWriter, error) {
		// Both commands at once: it takes them in order, and one round trip is saved.
		if err := sock.send([]byte(`{"id":1,"connect":{"token":"` + token + `"}}` + "\n" + `{"id":2,"subscribe":{"channel":"` + channelName(s) + `"}}`)); err != nil {
			return nil, err
		}
		if err := sock.expect(func(frame []byte) bool {
			return bytes.Contains(frame, []byte(`"id":2,"subscribe"`))
		}); err != nil {
			return nil, err
		}
		return foreignPush(s, `{"id":1`, `,"publish":{"channel":"`+channelName(s)+`","data":{"text":"`, `"}}}`), nil
	})
}

type centrifugoEar struct{}

func (centrifugoEar) hear(frame []byte, message func([]byte)) (answer []byte, err error) {
	for len(frame) > 0 {
		var line []byte
		line, frame, _ = bytes.Cut(frame, []byte("\n"))
		switch {
		case bytes.HasPrefix(line, []byte(`{"push":`)):
			message(line)
		case bytes.Equal(line, []byte(`{}`)):
			answer = []byte(`{}`)
		case bytes.Contains(line, []byte(`"error":`)):
			err = fmt.Errorf("refused: %s", line)
		}
	}
	return answer, err
}
