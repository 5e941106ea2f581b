package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// natsSubject is nats-server's own WebSocket. Its frames carry a stream of
// protocol lines, cut anywhere.
type natsSubject struct {
	url   string
	token string
}

// planNATS writes a configuration with a token that all members share.
func planNATS(p peerPlan) (command, func(string) subject, error) {
	address, err := freeAddress()
	if err != nil {
		return command{}, nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return command{}, nil, err
	}
	file := filepath.Join(p.dir, "nats.conf")
	config := fmt.Sprintf("listen: \"127.0.0.1:-1\"\nlog_file: %q\nauthorization { token: %q }\nwebsocket { host: %q, port: %s, no_tls: true }\n",
		filepath.Join(p.dir, "nats.log"), p.secret, host, port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return command{}, nil, fmt.Errorf("configure nats-server: %w", err)
	}
	speak := func(url string) subject { return &natsSubject{url, p.secret} }
	return command{path: p.path, args: []string{"-c", file}, address: address}, speak, nil
}

func (n *natsSubject) answers(Mode) bool { return false }

func (n *natsSubject) ear() ear { return &natsEar{} }

// address: its token travels in the first command, not in the address, which only
// carries it to join.
func (n *natsSubject) address(seat) (string, error) {
	return strings.Replace(n.url, "http", "ws", 1) + "#" + n.token, nil
}

func (n *natsSubject) join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error) {
	address, token, _ := strings.Cut(address, "#")
	return enter(ctx, address, s, func(sock *socket) (*pushWriter, error) {
		if err := sock.expect(func(frame []byte) bool { return bytes.HasPrefix(frame, []byte("INFO ")) }); err != nil {
			return nil, err
		}
		if err := sock.send([]byte(`CONNECT {"verbose":false,"pedantic":false,"echo":false,"auth_token":"` + token + "\"}\r\n" +
			"SUB " + channelName(s) + " 1\r\nPING\r\n")); err != nil {
			return nil, err
		}
		if err := sock.expect(func(frame []byte) bool { return bytes.Contains(frame, []byte("PONG\r\n")) }); err != nil {
			return nil, err
		}
		const open, end = `{"text":"`, `"}`
		size := len(open) + max(s.textSize, stampLen) + len(end)
		return foreignPush(s, "", "PUB "+channelName(s)+" "+strconv.Itoa(size)+"\r\n"+open, end+"\r\n"), nil
	})
}

// A natsEar puts together what frames have cut.
type natsEar struct {
	rest []byte // the beginning of a line or message
}

func (e *natsEar) hear(frame []byte, message func([]byte)) (answer []byte, err error) {
	data := frame
	if len(e.rest) > 0 {
		e.rest = append(e.rest, frame...)
		data = e.rest
	}
	for {
		line, after, ok := bytes.Cut(data, []byte("\r\n"))
		if !ok {
			break
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			size, bad := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			if bad != nil || size < 0 {
				e.rest = e.rest[:0]
				return answer, fmt.Errorf("not a message of NATS: %q", line)
			}
			if len(after) < size+2 {
				e.keep(data)
				return answer, err
			}
			message(after[:size])
			after = after[size+2:]
		case bytes.Equal(line, []byte("PING")):
			answer = []byte("PONG\r\n")
		case bytes.HasPrefix(line, []byte("-ERR")):
			err = fmt.Errorf("refused: %s", line)
		}
		data = after
	}
	e.keep(data)
	return answer, err
}

// keep copies what is not complete: it may be the end of rest itself.
func (e *natsEar) keep(data []byte) { e.rest = append(e.rest[:0], data...) }
