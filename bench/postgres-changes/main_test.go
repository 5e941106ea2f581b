package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const testSecret = "a secret of the test"

// token is signed for a member; expired ones have a time in the past.
func token(member string, exp time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, member, exp.Unix()))
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	good := token("ada", now.Add(time.Minute))
	if member, err := subject(good, []byte(testSecret), now); err != nil || member != "ada" {
		t.Errorf("%q, %v", member, err)
	}
	for why, bad := range map[string]string{
		"expired": token("ada", now), "nobody": token("", now.Add(time.Minute)), "cut": good[:len(good)-4], "empty": "", "no parts": "abc", "unsigned": strings.Join(strings.Split(good, ".")[:2], ".") + ".",
	} {
		if member, err := subject(bad, []byte(testSecret), now); err == nil {
			t.Errorf("%s: accepted as %q", why, member)
		}
	}
}

func TestChangesReachThoseWhoMaySeeThem(t *testing.T) {
	if _, err := find("postgres"); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pg, err := startPostgres(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.stop(); err != nil {
			t.Error(err)
		}
	})
	db, err := openDatabase(ctx, pg.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	s := newServer(db, []byte(testSecret))
	go func() { ended <- s.serve(serving, l, 10*time.Millisecond, 100) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	join := func(room, member string) net.Conn {
		conn, _, _, err := ws.Dial(ctx, "ws://"+l.Addr().String()+"/"+room+"?token="+token(member, time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		hear(t, conn, `{"joined":true}`)
		return conn
	}
	ada, bob, eve := join("a", "ada"), join("a", "bob"), join("b", "eve")
	// Eve asks for the changes of a room that she is no member of: the filter lets
	// her through, the policy does not.
	if _, err := db.pool.Exec(ctx, "insert into realtime.subscription values (1000, 'a', $1)", claims("eve")); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.members[1000] = s.members[3]
	s.mu.Unlock()

	say(t, ada, `{"text":"it's"}`)
	hear(t, bob, `"body":"{\"text\":\"it's\"}"`)
	hear(t, ada, `it's`)
	say(t, eve, `{"text":"b"}`)
	hear(t, eve, `{\"text\":\"b\"}`) // the first that she gets is her own
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := wsutil.WriteClientText(conn, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// hear reads one frame, which must contain the text.
func hear(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := wsutil.ReadServerText(conn)
	if err != nil || !strings.Contains(string(got), text) {
		t.Fatalf("heard %q (%v), want %q", got, err, text)
	}
}
