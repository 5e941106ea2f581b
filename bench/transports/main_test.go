package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const testSecret = "a secret of the test"

// token is signed with the secret; expired ones have a time in the past.
func token(secret string, exp time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":"ada","exp":%d}`, exp.Unix()))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestLibraries(t *testing.T) {
	for name, serve := range libraries {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			ended, at := make(chan error, 1), make(chan net.Addr, 1)
			go func() { ended <- serve(ctx, newHall([]byte(testSecret)), func(a net.Addr) { at <- a }) }()
			t.Cleanup(func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			var url string
			select {
			case a := <-at:
				url = "ws://" + a.String()
			case err := <-ended:
				ended <- err
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			good := token(testSecret, time.Now().Add(time.Hour))
			join := func(room string) net.Conn {
				conn, early, _, err := ws.Dial(ctx, url+"/"+room+"?token="+good)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				g := &guest{Conn: conn, in: conn}
				if early != nil { // what came with the handshake
					g.in = io.MultiReader(early, conn)
				}
				hear(t, g, joined)
				return g
			}
			for why, bad := range map[string]string{
				"another's": token("another", time.Now().Add(time.Hour)), "expired": token(testSecret, time.Now().Add(-time.Hour)), "none": "",
			} {
				if conn, _, _, err := ws.Dial(ctx, url+"/a?token="+bad); err == nil {
					conn.Close()
					t.Errorf("a token was let in: %s", why)
				}
			}

			ada, bob, cem, eve := join("a"), join("a"), join("a"), join("b")
			say(t, ada, "one")
			hear(t, bob, "one")
			hear(t, cem, "one")
			say(t, bob, "two")
			hear(t, ada, "two") // and not what she said herself
			hear(t, cem, "two")
			if err := wsutil.WriteClientMessage(cem, ws.OpClose, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, cem); err != nil {
				t.Fatalf("the end of a socket: %v", err)
			}
			long := strings.Repeat("long ", 6000)
			inPieces(t, ada, long)
			hear(t, bob, long)
			eva := join("b")
			say(t, eve, "three")
			hear(t, eva, "three") // the first in that room
		})
	}
}

// guest is a socket, with what came early.
type guest struct {
	net.Conn
	in io.Reader
}

func (m *guest) Read(b []byte) (int, error) { return m.in.Read(b) }

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := wsutil.WriteClientText(conn, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// inPieces says a text such that none of its frame's pieces is whole.
func inPieces(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var frame bytes.Buffer
	if err := wsutil.WriteClientText(&frame, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for frame.Len() > 0 {
		if _, err := conn.Write(frame.Next(1000)); err != nil {
			t.Fatal(err)
		}
	}
}

// hear reads one frame, which must be the text.
func hear(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := wsutil.ReadServerText(conn)
	if err != nil || string(got) != text {
		t.Fatalf("heard %.40q (%v), want %.40q", got, err, text)
	}
}

func TestItSaysWhatItIsCalled(t *testing.T) {
	err := run(t.Context(), "transports", "secret")
	if err == nil || !strings.Contains(err.Error(), "coder, gnet, gorilla, gws, nbio, queue") {
		t.Errorf("error %v", err)
	}
}
