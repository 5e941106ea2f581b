package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// jwt is a token that expires so long from now; nobody checks its signature here.
func jwt(name string, ttl time.Duration) string {
	claims := fmt.Sprintf(`{"name":%q,"exp":%d}`, name, time.Now().Add(ttl).Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestConnection(t *testing.T) {
	t.Run("a server that cannot be reached is asked ever more slowly", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			s.refuse = errRefused
			s.current().close(1000, "")
			time.Sleep(5 * time.Minute)
			dials := s.dialled()
			before := time.Duration(0)
			for i := 2; i < len(dials); i++ {
				gap := dials[i].Sub(dials[i-1])
				if gap < before {
					t.Errorf("attempt %d after %v, the one before after %v", i, gap, before)
				}
				before = gap
			}
			if before != backoffLeast+backoffMost/2 {
				t.Errorf("in the end after %v", before)
			}
			if st := c.Status(); st.State != Reconnecting || st.Err == nil || st.RetryAt.IsZero() {
				t.Errorf("%+v", st)
			}
			s.mu.Lock()
			s.refuse = nil
			s.mu.Unlock()
			c.Reconnect()
			if err := c.WaitConnected(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a server that accepts and closes at once is not asked ever faster", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			s.mu.Lock()
			s.greet = func(p *peer) { p.close(1011, "out of order") }
			s.mu.Unlock()
			s.current().close(1011, "out of order")
			time.Sleep(5 * time.Minute)
			if n := len(s.dialled()); n > 30 {
				t.Errorf("%d attempts in 5 min", n)
			}
		})
	})
	t.Run("a half-open connection is given up within 25 s, and at once when somebody asks", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			deafen := func() {
				p := s.current()
				s.mu.Lock()
				defer s.mu.Unlock()
				p.deaf = true
			}
			deafen()
			begin := time.Now()
			for st := range c.Watch(t.Context()) {
				if st.State == Reconnecting {
					break
				}
			}
			if d := time.Since(begin); d > heartbeatEvery+answerWithin {
				t.Errorf("after %v", d)
			}
			if err := c.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			deafen()
			begin = time.Now()
			c.Reconnect()
			for st := range c.Watch(t.Context()) {
				if st.State == Reconnecting {
					break
				}
			}
			if d := time.Since(begin); d != probeWithin {
				t.Errorf("a connection that somebody doubts: after %v", d)
			}
		})
	})
	t.Run("[C2] heartbeats keep a quiet connection, and measure it", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			time.Sleep(10*time.Minute + time.Second)
			if n := len(s.dialled()); n != 1 {
				t.Errorf("%d connections", n)
			}
			if beats, _ := s.frames(protocol.EventHeartbeat); len(beats) != 41 {
				t.Errorf("%d heartbeats in 10 min", len(beats))
			}
			if c.Status().Latency == 0 {
				t.Error("no latency")
			}
		})
	})
	t.Run("[C1] a token that is refused is replaced once, and then a person is asked", func(t *testing.T) {
		var reasons []TokenReason
		provider := func(_ context.Context, why TokenReason) (string, error) {
			reasons = append(reasons, why)
			return "token", nil
		}
		bubble(t, Options{Token: provider}, func(t *testing.T, s *fakeServer, c *Client) {
			s.mu.Lock()
			s.greet = func(p *peer) { p.close(protocol.CloseTokenRefused, "expired") }
			s.mu.Unlock()
			s.current().close(protocol.CloseTokenRefused, "expired")
			time.Sleep(time.Hour)
			if st := c.Status(); st.State != NeedsAuth || len(s.dialled()) != 2 {
				t.Errorf("%+v after %d attempts", st, len(s.dialled()))
			}
			if len(reasons) != 2 || reasons[1] != TokenRefused {
				t.Errorf("asked for tokens as %v", reasons)
			}
			if err := c.WaitConnected(t.Context()); !errors.Is(err, &Error{Code: "close_4101"}) {
				t.Errorf("who waits is told %v", err)
			}
		})
	})
	t.Run("a server that refuses for good is not asked again", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			s.current().close(4003, "go away")
			time.Sleep(time.Hour)
			if st := c.Status(); st.State != Failed || len(s.dialled()) != 1 || !strings.Contains(st.Err.Error(), "go away") {
				t.Errorf("%+v after %d attempts", st, len(s.dialled()))
			}
		})
	})
	t.Run("a restart and a server without room are come back to as they ask", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, _ *Client) {
			for code, want := range map[int]time.Duration{protocol.CloseRestart: 4 * time.Second, protocol.CloseTooMany: backoffLeast + slowBase/2} {
				time.Sleep(stableAfter)
				before := len(s.dialled())
				s.current().close(code, "drainMs=8000")
				at := time.Now()
				time.Sleep(10 * time.Second)
				if after := s.dialled(); len(after) != before+1 || after[before].Sub(at) != want {
					t.Errorf("%d: %d attempts, want one after %v", code, len(after)-before, want)
				}
			}
		})
	})
	t.Run("frames that cannot be understood are dropped, and the connection stays", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			messages, events := ch.Subscribe(), c.Events()
			for _, raw := range []string{`{`, `[]`, `[null,null,"realtime:room","broadcast",7]`, `[null,null,"realtime:room","change",{}]`} {
				s.current().write(1, []byte(raw))
			}
			s.current().send("", "", "realtime:room", "broadcast", `{"event":"e","payload":1,"meta":{"id":"m","offset":1}}`)
			if m, err := messages.Next(t.Context()); err != nil || m.ID != "m" {
				t.Errorf("%+v, %v", m, err)
			}
			if e, err := events.Next(t.Context()); err != nil || e.(*Fault).Channel != "room" {
				t.Errorf("%v, %v", e, err)
			}
			if len(s.dialled()) != 1 {
				t.Error("it has come back")
			}
		})
	})
}

func TestTokens(t *testing.T) {
	t.Run("[J5] a token is replaced on the connection that stands, before it expires", func(t *testing.T) {
		n := 0
		provider := func(context.Context, TokenReason) (string, error) {
			n++
			return jwt(fmt.Sprint(n), 10*time.Minute), nil
		}
		bubble(t, Options{Token: provider}, func(t *testing.T, s *fakeServer, c *Client) {
			mustJoin(t, c, "room", nil)
			begin := time.Now()
			time.Sleep(time.Hour)
			pushes, at := s.frames(protocol.EventAccessToken)
			if len(s.dialled()) != 1 || len(pushes) == 0 {
				t.Fatalf("%d connections, %d tokens", len(s.dialled()), len(pushes))
			}
			last := begin
			for _, when := range at {
				if gap := when.Sub(last); gap >= 10*time.Minute {
					t.Errorf("a token was pushed after %v", gap)
				}
				last = when
			}
		})
	})
	t.Run("a provider that fails is asked again, and one that hangs is given up after 10 s", func(t *testing.T) {
		var mu sync.Mutex // a provider that hangs and the next one may overlap
		var asked []time.Time
		provider := func(ctx context.Context, _ TokenReason) (string, error) {
			mu.Lock()
			asked = append(asked, time.Now())
			n := len(asked)
			mu.Unlock()
			switch n {
			case 1:
				return "", errors.New("the backend is down")
			case 2:
				<-ctx.Done()
				return "", ctx.Err()
			case 3:
				return "", nil
			}
			return "token", nil
		}
		bubble(t, Options{Token: provider}, func(t *testing.T, _ *fakeServer, c *Client) {
			var said []string
			for st := range c.Watch(t.Context()) {
				if st.Err != nil {
					said = append(said, st.Err.Error())
				}
				if st.State == Connected {
					break
				}
			}
			all := strings.Join(said, "\n")
			for _, want := range []string{"the backend is down", "did not answer within 10 s", "returned no token"} {
				if !strings.Contains(all, want) {
					t.Errorf("nobody said %q:\n%s", want, all)
				}
			}
			if d := asked[2].Sub(asked[1]); d < tokenTimeout {
				t.Errorf("given up after %v", d)
			}
		})
	})
	t.Run("a provider that says that only a person can help ends the tries, until somebody asks for another", func(t *testing.T) {
		signedIn := false
		provider := func(context.Context, TokenReason) (string, error) {
			if !signedIn {
				return "", &Error{Code: "signed_out", Message: "sign in first"}
			}
			return "token", nil
		}
		bubble(t, Options{Token: provider}, func(t *testing.T, s *fakeServer, c *Client) {
			time.Sleep(time.Hour)
			if st := c.Status(); st.State != NeedsAuth || !strings.Contains(st.Err.Error(), "sign in first") {
				t.Errorf("%+v", st)
			}
			signedIn = true
			c.Reconnect()
			if err := c.WaitConnected(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a static token is used until it expires, and then a person is asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeServer{t: t}
			c, err := New("http://server.test", &Options{Token: StaticToken(jwt("one", time.Hour)), DialContext: s.dial})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			mustJoin(t, c, "room", nil)
			time.Sleep(59 * time.Minute)
			if st := c.Status(); st.State != Connected {
				t.Errorf("before it expires: %+v", st)
			}
			time.Sleep(2 * time.Minute)
			if st := c.Status(); st.State != NeedsAuth || !strings.Contains(st.Err.Error(), "the token expired at") {
				t.Errorf("after: %+v", st)
			}
		})
	})
	t.Run("a join that is refused because of its token is made again with another", func(t *testing.T) {
		n := 0
		provider := func(_ context.Context, why TokenReason) (string, error) {
			n++
			return fmt.Sprintf("token-%d", n), nil
		}
		bubble(t, Options{Token: provider}, func(t *testing.T, s *fakeServer, c *Client) {
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event != protocol.EventJoin || protocol.ParseJoin(f.Payload).Token != "token-1" {
					return false
				}
				p.refuse(f, &protocol.Error{Code: protocol.CodeTokenExpired, Message: "Token has expired"})
				return true
			})
			mustJoin(t, c, "room", nil)
			joins, _ := s.frames(protocol.EventJoin)
			if got := protocol.ParseJoin(joins[len(joins)-1].Payload).Token; got != "token-2" || len(s.dialled()) != 1 {
				t.Errorf("joined with %s over %d connections", got, len(s.dialled()))
			}
		})
	})
	t.Run("closing does not wait for time to pass", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := New("http://server.test", &Options{Token: func(ctx context.Context, _ TokenReason) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			}})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			c.Close()
			c.Close()
			if time.Since(begin) != 0 {
				t.Errorf("it took %v", time.Since(begin))
			}
			if err := c.WaitConnected(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("who waits is told %v", err)
			}
			if _, err := c.Channel("room", nil); !errors.Is(err, ErrClosed) {
				t.Errorf("a channel of a closed client: %v", err)
			}
		})
	})
}

func TestJoins(t *testing.T) {
	t.Run("a join that is not answered is made again", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			n := 0
			s.setHook(func(_ *peer, f *protocol.Frame) bool {
				if f.Event == protocol.EventJoin {
					n++
				}
				return f.Event == protocol.EventJoin && n == 1
			})
			begin := time.Now()
			mustJoin(t, c, "room", nil)
			if d := time.Since(begin); d < joinWithin || d > joinWithin+time.Second {
				t.Errorf("joined after %v", d)
			}
		})
	})
	t.Run("[J4] a refusal is told at once and asked about again every 30 s", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event != protocol.EventJoin {
					return false
				}
				p.refuse(f, &protocol.Error{Code: protocol.CodeUnauthorized, Message: "No rule"})
				return true
			})
			ch, err := c.Channel("room", nil)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			unauthorized := &Error{Code: protocol.CodeUnauthorized}
			if err := ch.Ready(t.Context()); !errors.Is(err, unauthorized) || time.Since(begin) > 0 {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			if _, err := ch.Publish(t.Context(), "e", 1); !errors.Is(err, unauthorized) {
				t.Errorf("publishing: %v", err)
			}
			if _, err := ch.Collection("notes").Put("", nil); !errors.Is(err, unauthorized) {
				t.Errorf("writing: %v", err)
			}
			s.setHook(nil)
			for st := range ch.Watch(t.Context()) {
				if st.State == Joined {
					break
				}
			}
			if d := time.Since(begin); d != refusedRetry {
				t.Errorf("joined after %v", d)
			}
		})
	})
	t.Run("[J5] a channel that the server closes is joined again, also one that it knows nothing of", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			joins, _ := s.frames(protocol.EventJoin)
			ref := joins[0].Ref
			for i, end := range []func(){
				func() { s.current().send(ref, ref, "realtime:room", protocol.EventClose, "{}") },
				func() { s.current().send(ref, ref, "realtime:room", protocol.EventError, "{}") },
				func() {
					s.setHook(func(p *peer, f *protocol.Frame) bool {
						if f.Event != protocol.EventBroadcast {
							return false
						}
						s.setHook(nil)
						p.refuse(f, &protocol.Error{Code: protocol.CodeUnmatchedTopic, Message: "unmatched topic"})
						return true
					})
					if _, err := ch.Publish(t.Context(), "e", 1); err != nil {
						t.Errorf("published over two joins: %v", err)
					}
				},
			} {
				end()
				time.Sleep(time.Minute)
				if err := ch.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				joins, _ = s.frames(protocol.EventJoin)
				if ref = joins[len(joins)-1].Ref; len(joins) != i+2 {
					t.Errorf("end %d: %d joins", i, len(joins))
				}
			}
		})
	})
	t.Run("[R4] what comes twice is handed on once, and counted", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", &ChannelOptions{Collections: []string{"notes"}})
			messages, changes := ch.Subscribe(), ch.Collection("notes").Diffs()
			say := func(p *peer, offset int, id string) {
				p.send("", "", "realtime:room", protocol.EventBroadcast, fmt.Sprintf(`{"type":"broadcast","event":"e","payload":1,"meta":{"id":%q,"offset":%d}}`, id, offset))
			}
			put := func(p *peer, offset int) {
				p.send("", "", "realtime:room", protocol.EventChange, fmt.Sprintf(`{"offset":%d,"collection":"notes","record":"r","op":"put","status":"applied","client":"x","n":1,"id":"m1","by":"ben","state":{"id":"r","version":%d,"fields":{},"stamps":{}}}`, offset, offset))
			}
			for _, id := range []string{"a", "a"} { // the same place
				say(s.current(), 1, id)
			}
			say(s.current(), 2, "a") // another place for the same message
			put(s.current(), 3)
			put(s.current(), 3)
			synctest.Wait()
			if n := c.Stats().Repeats; n != 3 {
				t.Errorf("%d counted", n)
			}
			// A catch-up that is cut short is begun again.
			n := 0
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event != protocol.EventJoin {
					return false
				}
				p.ok(f, `{"chorale":{"v":1,"epoch":"e1","offset":4,"resumed":true,"limits":{}}}`)
				say(p, 4, "b")
				if n++; n == 1 {
					p.close(1001, "")
				} else {
					p.send("", "", f.Topic, protocol.EventSynced, `{"epoch":"e1","offset":4,"last":0,"outcomes":[]}`)
				}
				return true
			})
			s.current().close(1001, "")
			time.Sleep(time.Minute)
			for _, want := range []string{"a", "b"} {
				if m, err := messages.Next(t.Context()); err != nil || m.ID != want {
					t.Errorf("%+v, %v; want %s", m, err, want)
				}
			}
			for _, isLoaded := range []bool{true, false} {
				if d, err := changes.Next(t.Context()); err != nil || d.Loaded != isLoaded {
					t.Errorf("%+v, %v", d, err)
				}
			}
			if got, want := c.Stats(), (Stats{Connects: 3, Joins: 2, Resumes: 1, Repeats: 3}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	})
	t.Run("claims share a membership, which ends with the last of them", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			one, two := mustJoin(t, c, "room", nil), mustJoin(t, c, "room", nil)
			if _, err := c.Channel("room", &ChannelOptions{Public: true}); !errors.Is(err, &Error{Code: CodeChannelKind}) {
				t.Errorf("public and private: %v", err)
			}
			one.Release()
			one.Release()
			if _, err := one.Publish(t.Context(), "e", 1); !errors.Is(err, ErrReleased) {
				t.Errorf("through a released claim: %v", err)
			}
			if _, err := two.Publish(t.Context(), "e", 1); err != nil {
				t.Errorf("through the other: %v", err)
			}
			two.Release()
			synctest.Wait()
			joins, _ := s.frames(protocol.EventJoin)
			leaves, _ := s.frames(protocol.EventLeave)
			if len(joins) != 1 || len(leaves) != 1 {
				t.Errorf("%d joins, %d leaves", len(joins), len(leaves))
			}
		})
	})
	t.Run("names that cannot be a channel's are refused", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, _ *fakeServer, c *Client) {
			for _, name := range []string{"", "a\x00b", strings.Repeat("x", 247)} {
				if _, err := c.Channel(name, nil); !errors.Is(err, &Error{Code: protocol.CodeTopicRequired}) {
					t.Errorf("%.10q: %v", name, err)
				}
			}
		})
	})
}

func TestPublishing(t *testing.T) {
	t.Run("[B2] what has no answer is sent again, unchanged and in order", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			s.setHook(func(_ *peer, f *protocol.Frame) bool { return f.Event == protocol.EventBroadcast })
			done := make(chan error, 3)
			for i := range 3 {
				go func() {
					_, err := ch.Publish(t.Context(), "e", i)
					done <- err
				}()
				synctest.Wait()
			}
			s.setHook(nil)
			s.current().close(1006, "")
			for range 3 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			sent, _ := s.frames(protocol.EventBroadcast)
			if len(sent) != 6 {
				t.Fatalf("%d pushes", len(sent))
			}
			for i := range 3 {
				if string(sent[i].Payload) != string(sent[i+3].Payload) || !strings.Contains(string(sent[i].Payload), fmt.Sprintf(`"payload":%d`, i)) {
					t.Errorf("push %d: %s, then %s", i, sent[i].Payload, sent[i+3].Payload)
				}
			}
		})
	})
	t.Run("[L2] a refusal that passes is waited out, and nothing overtakes", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event != protocol.EventBroadcast {
					return false
				}
				s.setHook(nil)
				p.refuse(f, &protocol.Error{Code: protocol.CodeRateLimited, Message: "slow down", Retryable: true, RetryAfterMs: 3000})
				return true
			})
			begin := time.Now()
			if _, err := ch.Publish(t.Context(), "e", 1); err != nil || time.Since(begin) != 3*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	})
	t.Run("a refusal is the caller's error", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event == protocol.EventBroadcast {
					p.refuse(f, &protocol.Error{Code: protocol.CodeUnauthorized, Message: "No rule"})
				}
				return f.Event == protocol.EventBroadcast
			})
			_, err := ch.Publish(t.Context(), "e", 1)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != protocol.CodeUnauthorized || e.Message != "No rule" || e.Retryable {
				t.Errorf("%v", err)
			}
			if _, err := ch.Publish(t.Context(), "e", func() {}); err == nil {
				t.Error("a function is JSON")
			}
			if _, err := ch.Publish(t.Context(), strings.Repeat("e", 256), 1); err == nil {
				t.Error("an event of 256 bytes")
			}
			if _, err := ch.Publish(t.Context(), "e", strings.Repeat("x", 5_000_000)); !errors.Is(err, &Error{Code: protocol.CodePayloadTooLarge}) {
				t.Errorf("more than a frame holds: %v", err)
			}
		})
	})
	t.Run("what waits is bounded, and who stops waiting takes it back", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			ch := mustJoin(t, c, "room", nil)
			s.mu.Lock()
			s.refuse = errRefused
			s.mu.Unlock()
			s.current().close(1006, "")
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, maxPublishes)
			for range maxPublishes {
				go func() {
					_, err := ch.Publish(ctx, "e", 1)
					done <- err
				}()
			}
			synctest.Wait()
			if _, err := ch.Publish(t.Context(), "e", 1); !errors.Is(err, ErrQueueFull) {
				t.Errorf("one more: %v", err)
			}
			if _, err := ch.Publish(t.Context(), "e", 1, Ephemeral()); err == nil {
				t.Error("an ephemeral message is kept while there is no connection")
			}
			cancel()
			for range maxPublishes {
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			s.mu.Lock()
			s.refuse = nil
			s.mu.Unlock()
			if _, err := ch.Publish(t.Context(), "e", 2); err != nil {
				t.Error(err)
			}
			if sent, _ := s.frames(protocol.EventBroadcast); len(sent) != 1 {
				t.Errorf("%d pushes", len(sent))
			}
		})
	})
}

func TestPresenceTiming(t *testing.T) {
	t.Run("[P2] who tracks fast has the newest said ten times a second, and it is said again after a reconnect", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			p := mustJoin(t, c, "room", &ChannelOptions{Presence: true}).Presence()
			for i := range 100 {
				if err := p.Track(map[string]int{"x": i}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Second)
			said, _ := s.frames(protocol.EventPresence)
			if len(said) > 11 || !strings.Contains(string(said[len(said)-1].Payload), `"x":99`) {
				t.Errorf("%d tracks, the last %s", len(said), said[len(said)-1].Payload)
			}
			s.current().close(1006, "")
			time.Sleep(time.Minute)
			if again, _ := s.frames(protocol.EventPresence); len(again) != len(said)+1 {
				t.Errorf("%d tracks after a reconnect", len(again)-len(said))
			}
			if err := p.Track(strings.Repeat("x", 5)); err == nil {
				t.Error("a string is a state")
			}
			if err := p.Track(map[string]string{"x": strings.Repeat("x", protocol.MaxPresenceBytes)}); !errors.Is(err, &Error{Code: protocol.CodePayloadTooLarge}) {
				t.Errorf("a large state: %v", err)
			}
		})
	})
}

func TestMutationsTiming(t *testing.T) {
	t.Run("[L3] a refusal that passes is waited out, and the same bytes are sent again", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			notes := mustJoin(t, c, "room", &ChannelOptions{Collections: []string{"notes"}}).Collection("notes")
			n := 0
			s.setHook(func(p *peer, f *protocol.Frame) bool {
				if f.Event != protocol.EventMutate {
					return false
				}
				if n++; n == 1 {
					p.refuse(f, &protocol.Error{Code: protocol.CodeRateLimited, Message: "slow down", Retryable: true, RetryAfterMs: 3000})
					return true
				}
				p.send("", "", f.Topic, protocol.EventChange, fmt.Sprintf(`{"offset":1,"collection":"notes","record":"n1","op":"put","status":"rejected","client":%q,"n":1,"by":"ada","time":1,"error":{"code":"schema_violation","message":"no","path":"/content"}}`, c.ID()))
				p.ok(f, `{"n":1,"offset":1,"status":"rejected","error":{"code":"schema_violation","message":"no","path":"/content"}}`)
				return true
			})
			begin := time.Now()
			m, err := notes.Put("n1", map[string]string{"content": "x"})
			if err != nil {
				t.Fatal(err)
			}
			if notes.Get("n1") == nil {
				t.Error("the write is not shown")
			}
			o, err := m.Wait(t.Context())
			if err != nil || o.Status != Rejected || o.Err.Path != "/content" || time.Since(begin) != 3*time.Second {
				t.Errorf("%+v, %v after %v", o, err, time.Since(begin))
			}
			if notes.Get("n1") != nil {
				t.Error("the refused write is shown")
			}
			if sent, _ := s.frames(protocol.EventMutate); len(sent) != 2 || string(sent[0].Payload) != string(sent[1].Payload) {
				t.Errorf("%d pushes, not the same", len(sent))
			}
		})
	})
	t.Run("writes that wait are bounded, squashed where nobody can tell, and end as unknown with the client", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeServer, c *Client) {
			s.mu.Lock()
			s.refuse = errRefused
			s.mu.Unlock()
			s.current().close(1006, "")
			synctest.Wait()
			ch, err := c.Channel("room", nil)
			if err != nil {
				t.Fatal(err)
			}
			notes := ch.Collection("notes")
			first, err := notes.Put("n", map[string]any{"content": ""})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				if _, err := notes.Patch("n", map[string]any{"content": strings.Repeat("x", i)}); err != nil {
					t.Fatal(err)
				}
			}
			if ch.Pending() != 2 {
				t.Errorf("%d writes wait", ch.Pending())
			}
			for i := range maxPending - 2 {
				if _, err := notes.Put(fmt.Sprint(i), nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := notes.Put("", nil); !errors.Is(err, ErrQueueFull) {
				t.Errorf("one more: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("flush without a connection: %v", err)
			}
			c.Close()
			if o := first.Outcome(); o.Status != Unknown || o.AsError() == nil {
				t.Errorf("%+v", o)
			}
		})
	})
}
