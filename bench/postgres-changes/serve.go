package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// writeTimeout is how long a member may take to take a change before it is given up.
const writeTimeout = 5 * time.Second

// A server has members, each in the room that its address names.
type server struct {
	db     *database
	secret []byte

	mu      sync.Mutex // guards the following
	members map[int64]net.Conn
	last    int64 // subscription
}

func newServer(db *database, secret []byte) *server {
	return &server{db: db, secret: secret, members: make(map[int64]net.Conn)}
}

// serve accepts members and pushes changes to them until ctx ends.
func (s *server) serve(ctx context.Context, l net.Listener, every time.Duration, most int) error {
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.accept(ctx, w, r) })}
	var loops sync.WaitGroup
	var polling error
	ctx, cancel := context.WithCancel(ctx)
	loops.Go(func() {
		polling = s.follow(ctx, every, most)
		web.Close()
		s.hangUp()
	})
	err := web.Serve(l)
	cancel()
	loops.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, polling)
}

// follow polls: again at once after changes, and a while later after none.
func (s *server) follow(ctx context.Context, every time.Duration, most int) error {
	for {
		changes, err := s.db.poll(ctx, most)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, c := range changes {
			if ctx.Err() != nil {
				return nil
			}
			if err := s.push(c); err != nil {
				return err
			}
		}
		if len(changes) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// push sends a change to those who may see it: encoded once, one write each.
func (s *server) push(c change) error {
	payload, err := json.Marshal(map[string]any{
		"event": "postgres_changes",
		"payload": map[string]any{"type": "INSERT", "schema": "public", "table": "notes",
			"record": map[string]any{"id": c.id, "room": c.room, "author": c.author, "body": c.body}},
	})
	if err != nil {
		return fmt.Errorf("encode a change: %w", err)
	}
	frame, err := ws.CompileFrame(ws.NewTextFrame(payload))
	if err != nil {
		return fmt.Errorf("encode a change: %w", err)
	}
	deadline := time.Now().Add(writeTimeout)
	for _, id := range c.visible {
		s.mu.Lock()
		conn := s.members[id]
		s.mu.Unlock()
		if conn == nil {
			continue // it has left
		}
		_ = conn.SetWriteDeadline(deadline) // a closed socket fails at the write
		if _, err := conn.Write(frame); err != nil {
			conn.Close() // its reader takes it out
		}
	}
	return nil
}

// accept lets a member in whose token is good, and writes down what it says until
// it leaves.
func (s *server) accept(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	member, err := subject(r.URL.Query().Get("token"), s.secret, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	room := strings.TrimPrefix(r.URL.Path, "/")
	conn, buffered, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // it has been answered
	}
	defer conn.Close()
	id := s.enter(conn)
	defer s.leave(ctx, id)
	if err := s.db.subscribe(ctx, id, room, member); err != nil {
		s.complain(conn, err)
		return
	}
	if wsutil.WriteServerText(conn, []byte(`{"joined":true}`)) != nil {
		return
	}
	in := struct { // what came with the handshake is in the buffer
		io.Reader
		io.Writer
	}{buffered, conn}
	for {
		body, err := wsutil.ReadClientText(in)
		if err != nil {
			return
		}
		if err := s.db.insert(ctx, room, member, string(body)); err != nil && ctx.Err() == nil {
			s.complain(conn, err)
			return
		}
	}
}

// enter gives a member's socket a number.
func (s *server) enter(conn net.Conn) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.members[s.last] = conn
	return s.last
}

func (s *server) leave(ctx context.Context, id int64) {
	s.mu.Lock()
	delete(s.members, id)
	s.mu.Unlock()
	if err := s.db.unsubscribe(ctx, id); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "postgres-changes:", err)
	}
}

// complain says what went wrong, on both sides.
func (s *server) complain(conn net.Conn, err error) {
	fmt.Fprintln(os.Stderr, "postgres-changes:", err)
	text, _ := json.Marshal(map[string]string{"error": err.Error()}) // strings always encode
	_ = wsutil.WriteServerText(conn, text)                           // it may be gone: then nobody needs to know
}

// hangUp ends all sockets, and with them their readers.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.members {
		conn.Close()
	}
}

var errToken = errors.New("the token is not valid")

// subject checks a token (HS256) and returns whose it is.
func subject(token string, secret []byte, now time.Time) (string, error) {
	signed, signature, ok := cutLast(token, ".")
	_, body, ok2 := strings.Cut(signed, ".")
	got, err := base64.RawURLEncoding.DecodeString(signature)
	if !ok || !ok2 || err != nil {
		return "", errToken
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	if !hmac.Equal(got, mac.Sum(nil)) {
		return "", errToken
	}
	var claims struct {
		Sub string `json:"sub"`
		Exp int64  `json:"exp"`
	}
	data, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.Sub == "" || claims.Exp <= now.Unix() {
		return "", errToken
	}
	return claims.Sub, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
