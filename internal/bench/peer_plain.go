package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// plainSubject is a program without a protocol of its own: the path names the
// channel, the query has the token, the first frame says that the member is in,
// and what one pushes the others get as it is.
type plainSubject struct {
	url    string
	tokens tokens
}

func (p *plainSubject) answers(Mode) bool { return false }

func (p *plainSubject) ear() ear { return plainEar{} }

func (p *plainSubject) address(s seat) (string, error) {
	token, err := p.tokens(memberName(s))
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return strings.Replace(p.url, "http", "ws", 1) + "/" + channelName(s) + "?token=" + url.QueryEscape(token), nil
}

func (p *plainSubject) join(ctx context.Context, address string, s seat) (*socket, *pushWriter, error) {
	return enter(ctx, address, s, func(sock *socket) (*pushWriter, error) {
		if err := sock.expect(func(frame []byte) bool { return bytes.Equal(frame, []byte(`{"joined":true}`)) }); err != nil {
			return nil, err
		}
		return foreignPush(s, "", `{"text":"`, `"}`), nil
	})
}

type plainEar struct{}

func (plainEar) hear(frame []byte, message func([]byte)) ([]byte, error) {
	message(frame)
	return nil, nil
}

// expect reads until a frame is the one that is waited for.
func (s *socket) expect(is func(frame []byte) bool) error {
	if err := s.conn.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	defer s.conn.SetReadDeadline(time.Time{}) // a closed socket fails at the next read
	for {
		frame, err := s.read()
		if err != nil {
			return fmt.Errorf("wait for an answer: %w", err)
		}
		if is(frame) {
			return nil
		}
		if bytes.Contains(frame, []byte("rror")) {
			return fmt.Errorf("refused: %s", frame)
		}
	}
}
