package bench

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/internal/server"
	"github.com/chorale-rt/chorale/protocol"
	"github.com/chorale-rt/chorale/web/notes"
)

// liar stands before a real server and spoils what it sends.
type liar struct {
	url string

	mu    sync.Mutex                     // guards the following
	event string                         // of the frames that it spoils
	n     int                            // of those, to all members
	spoil func(n int, f []byte) [][]byte // frames instead of the n-th
	joins int                            // answers to joins of those who compare
	turns []int                          // which of them become a refusal for the moment
}

// startLiar starts a real server, with the rules of the notes app, behind a liar.
func startLiar(t *testing.T, secret []byte, spoil func(n int, f []byte) [][]byte) *liar {
	t.Helper()
	rules, err := writeRules(t.TempDir(), notes.Rules())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Secret: secret, RulesFile: rules})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{url: "http://" + listener.Addr().String(), spoil: spoil, event: protocol.EventBroadcast}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { l.accept(listener, s.Addr().String(), &wg) })
	t.Cleanup(func() {
		listener.Close()
		stop()
		wg.Wait()
	})
	return l
}

func (l *liar) accept(from net.Listener, to string, wg *sync.WaitGroup) {
	for {
		client, err := from.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			client.Close()
			continue
		}
		wg.Go(func() {
			_, _ = io.Copy(upstream, client)
			upstream.Close()
		})
		wg.Go(func() {
			l.pass(client, upstream)
			client.Close()
		})
	}
}

// pass hands on what a server sends: the handshake as it is, then frame by frame.
func (l *liar) pass(client io.Writer, upstream io.Reader) {
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := upstream.Read(one); err != nil {
			return
		}
		head = append(head, one[0])
	}
	if _, err := client.Write(head); err != nil {
		return
	}
	for {
		f, err := ws.ReadFrame(upstream)
		if err != nil {
			return
		}
		for _, payload := range l.lie(f.Payload) {
			f.Payload, f.Header.Length = payload, int64(len(payload))
			if err := ws.WriteFrame(client, f); err != nil {
				return
			}
		}
	}
}

func (l *liar) lie(payload []byte) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, err := protocol.DecodeText(protocol.V2, payload); err == nil && f.Event == protocol.EventReply && f.Ref == "join" {
		if l.joins++; slices.Contains(l.turns, l.joins) {
			refusal := &protocol.Error{Code: protocol.CodeUnavailable, Message: "not now", Retryable: true, RetryAfterMs: 1}
			return [][]byte{protocol.EncodeReply(protocol.V2, f.JoinRef, f.Ref, f.Topic, false, protocol.AppendError(nil, refusal)).Payload()}
		}
	}
	if l.spoil == nil || !bytes.Contains(payload, []byte(`"`+l.event+`"`)) || bytes.Contains(payload, []byte(`"replayed":true`)) {
		return [][]byte{payload}
	}
	l.n++
	return l.spoil(l.n, payload)
}

func TestOrder(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	order := Order{Channels: 3, Writers: 2, Readers: 2, Rate: 600, Duration: 700e6, Away: 200e6, TextSize: 20, Durable: true}
	of := func(t *testing.T, l *liar, o Order) Figures {
		s, err := newChorale([]string{l.url, l.url}, mint(secret))
		if err != nil {
			t.Fatal(err)
		}
		figures, err := o.run(t.Context(), site{subject: s, run: "t", patience: enough})
		if err != nil {
			t.Fatal(err)
		}
		return figures[0]
	}
	on := func(t *testing.T, o Order, spoil func(n int, f []byte) [][]byte, turns ...int) Figures {
		l := startLiar(t, secret, spoil)
		l.turns = turns
		return of(t, l, o)
	}

	t.Run("[R1] [R2] [R3] [R4] [R5] everybody leaves and resumes, and nothing is missing, twice or out of order", func(t *testing.T) {
		for name, durable := range map[string]bool{"durable": true, "public": false} {
			t.Run(name, func(t *testing.T) {
				o := order
				o.Durable = durable
				got := on(t, o, nil)
				if got.Errors+got.Lost+got.Duplicated+got.OutOfOrder != 0 {
					t.Errorf("%d errors, %d lost, %d duplicated, %d out of order; %s", got.Errors, got.Lost, got.Duplicated, got.OutOfOrder, got.FirstError)
				}
				f := got.Followed
				if f == nil || f.Reconnects == 0 || f.Resumed < f.Reconnects || f.Resyncs != 0 || f.Acknowledged == 0 || f.Deliveries < f.Acknowledged {
					t.Errorf("figures %+v", f)
				}
			})
		}
	})

	t.Run("[R7] who is not let in says why, and is not waited for", func(t *testing.T) {
		l := startLiar(t, secret, nil)
		s, err := newChorale([]string{l.url}, func(string) (string, error) { return "nonsense", nil })
		if err != nil {
			t.Fatal(err)
		}
		_, err = order.run(t.Context(), site{subject: s, run: "t", patience: enough})
		if err == nil || !strings.Contains(err.Error(), "needs-auth") {
			t.Errorf("%v", err)
		}
	})

	quiet := order
	quiet.Away, quiet.Channels = 0, 1
	t.Run("who comes new to compare, and is refused for the moment, comes again", func(t *testing.T) {
		got := on(t, quiet, nil, 1, 2)
		if got.Errors+got.Lost+got.Duplicated+got.OutOfOrder != 0 || got.Followed.Retried != 2 {
			t.Errorf("%d errors, %d lost; %s; %+v", got.Errors, got.Lost, got.FirstError, got.Followed)
		}
	})
	for name, c := range map[string]struct {
		spoil func(n int, f []byte) [][]byte
		of    func(f Figures) int64
		says  string
	}{
		"a delivery that is left out is lost": {
			func(n int, f []byte) [][]byte {
				if n == 50 {
					return nil
				}
				return [][]byte{f}
			},
			func(f Figures) int64 { return f.Lost }, "never got offset",
		},
		"a delivery that comes twice is a duplicate": {
			func(n int, f []byte) [][]byte {
				if n == 50 {
					return [][]byte{f, f}
				}
				return [][]byte{f}
			},
			func(f Figures) int64 { return f.Duplicated }, "twice",
		},
		"a frame that no client can read is an error": {
			func(n int, f []byte) [][]byte {
				if n == 50 {
					return [][]byte{f, []byte("nonsense")}
				}
				return [][]byte{f}
			},
			func(f Figures) int64 { return f.Errors }, "a frame was dropped",
		},
		"one message in the place of another is disorder": {
			func(n int, f []byte) [][]byte {
				if n == 50 {
					at := bytes.Index(f, []byte(`"id":"`)) + len(`"id":"`)
					f[at] ^= 1 // another id, and the same offset
				}
				return [][]byte{f}
			},
			func(f Figures) int64 { return f.OutOfOrder }, "others have",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := on(t, quiet, c.spoil)
			if c.of(got) == 0 || !strings.Contains(got.FirstError, c.says) {
				t.Errorf("%d errors, %d lost, %d duplicated, %d out of order; %s", got.Errors, got.Lost, got.Duplicated, got.OutOfOrder, got.FirstError)
			}
		})
	}

	for name, c := range map[string]struct {
		instead func(f []byte) [][]byte
		of      func(f Figures) int64
		says    string
	}{
		"a change that is left out is lost, although the records are the same in the end": {
			func([]byte) [][]byte { return nil }, func(f Figures) int64 { return f.Lost }, "never got offset",
		},
		"a change that comes twice is a duplicate": {
			func(f []byte) [][]byte { return [][]byte{f, f} }, func(f Figures) int64 { return f.Duplicated }, "twice",
		},
	} {
		t.Run(name, func(t *testing.T) {
			isSpoilt := false
			l := startLiar(t, secret, func(n int, f []byte) [][]byte {
				// What was not applied only its author hears of.
				if n < 50 || isSpoilt || !bytes.Contains(f, []byte(`"status":"applied"`)) {
					return [][]byte{f}
				}
				isSpoilt = true
				return c.instead(f)
			})
			l.event = protocol.EventChange
			got := of(t, l, quiet)
			if c.of(got) == 0 || !strings.Contains(got.FirstError, c.says) {
				t.Errorf("%d errors, %d lost, %d duplicated, %d out of order; %s", got.Errors, got.Lost, got.Duplicated, got.OutOfOrder, got.FirstError)
			}
		})
	}

	t.Run("parameters that check nothing are refused by name", func(t *testing.T) {
		for want, s := range map[string]Scenario{
			"channel":    Order{Writers: 1, Readers: 1, Rate: 1, Duration: 1},
			"writer":     Order{Channels: 1, Readers: 2, Rate: 1, Duration: 1},
			"two member": Order{Channels: 1, Writers: 1, Rate: 1, Duration: 1},
			"rate":       Order{Channels: 1, Writers: 1, Readers: 1, Duration: 1},
			"duration":   Order{Channels: 1, Writers: 1, Readers: 1, Rate: 1},
			"multiple":   Reconnect{Clients: 5, Channels: 2, Rate: 1, Before: 1, After: 1},
			"traffic":    Reconnect{Clients: 4, Channels: 2, Rate: 1},
		} {
			if err := s.validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", s, err, want)
			}
		}
	})
}
