package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

func aStream(t *testing.T, e *endpoint) *streamPeer {
	t.Helper()
	p, ok := dialStream(t, e, "").(*streamPeer)
	if !ok || p.id == "" {
		t.Fatal("no stream was opened")
	}
	return p
}

func TestPosts(t *testing.T) {
	t.Run("[H2] [R1] a POST that overtakes another waits for it", func(t *testing.T) {
		p := aStream(t, newEndpoint(t, Options{}))
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			if status := p.post(t, 2, "["+heartbeat(2)+"]"); status != http.StatusNoContent {
				t.Errorf("the second: %d", status)
			}
		})
		if status := p.post(t, 1, "["+heartbeat(1)+"]"); status != http.StatusNoContent {
			t.Errorf("the first: %d", status)
		}
		for ref := 1; ref <= 2; ref++ {
			if got := p.next(t); got.data != answer(ref) {
				t.Errorf("got %+v", got)
			}
		}
	})
	t.Run("[H2] [R4] a POST that is sent again is answered again, and handled once", func(t *testing.T) {
		p := aStream(t, newEndpoint(t, Options{}))
		for range 3 {
			if status := p.post(t, 1, "["+heartbeat(1)+"]"); status != http.StatusNoContent {
				t.Errorf("got %d", status)
			}
		}
		p.post(t, 2, "["+heartbeat(2)+"]")
		for ref := 1; ref <= 2; ref++ {
			if got := p.next(t); got.data != answer(ref) {
				t.Errorf("got %+v", got)
			}
		}
	})
	t.Run("[H2] of a body that broke off nothing is handled, and its number is still due", func(t *testing.T) {
		p := aStream(t, newEndpoint(t, Options{}))
		whole := "[" + heartbeat(1) + "," + heartbeat(2) + "]"
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.web, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		head := "POST /realtime/v1/sse/" + p.id + "?n=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n"
		if _, err := conn.Write([]byte(head + whole[:len(whole)-5])); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if status := p.post(t, 1, whole); status != http.StatusNoContent {
			t.Errorf("got %d", status)
		}
		for ref := 1; ref <= 2; ref++ {
			if got := p.next(t); got.data != answer(ref) {
				t.Errorf("got %+v", got)
			}
		}
	})
	t.Run("[H3] [R7] what is no POST of frames is refused, and the stream stays", func(t *testing.T) {
		p := aStream(t, newEndpoint(t, Options{}))
		for i, body := range []string{"", "{}", `[[null,"1"`, `"[]"`, "[] []"} {
			if status := p.post(t, i+1, body); status != http.StatusBadRequest {
				t.Errorf("%q: %d", body, status)
			}
		}
		for _, n := range []int{0, -1} {
			if status := p.post(t, n, "[]"); status != http.StatusBadRequest {
				t.Errorf("n=%d: %d", n, status)
			}
		}
		p.post(t, 6, " \n["+heartbeat(1)+"]")
		if got := p.next(t); got.data != answer(1) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("[H3] [R7] without the name of a stream nothing is taken", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		p := aStream(t, e)
		secret := p.id
		p.id = strings.Repeat("A", len(secret))
		if status := p.post(t, 1, "["+heartbeat(1)+"]"); status != http.StatusNotFound {
			t.Errorf("a guess: %d", status)
		}
		p.leave()
		eventually(t, "the session to end", func() bool { return e.server.Conns() == 0 })
		p.id = secret
		eventually(t, "the name to be forgotten", func() bool { return p.post(t, 1, "[]") == http.StatusNotFound })
	})
	t.Run("[H3] a stream that is closing takes nothing", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		p := aStream(t, e)
		st := e.server.streams.get(p.id)
		st.mu.Lock()
		st.closing = true // and run does not know of it: the moment between the two
		st.mu.Unlock()
		if status := p.post(t, 1, "["+heartbeat(1)+"]"); status != http.StatusGone {
			t.Errorf("got %d", status)
		}
	})
}

func TestStream(t *testing.T) {
	t.Run("[H4] without chorale=1 a refusal is an HTTP answer", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		for query, want := range map[string]int{"vsn=2.0.0&apikey=expired": 401, "vsn=3.0.0&apikey=x": 403} {
			res := get(t, e.web+"/socket/sse?"+query)
			if res.StatusCode != want || res.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %d %v", query, res.StatusCode, res.Header)
			}
		}
	})
	t.Run("nothing on the way may keep it or hold it back", func(t *testing.T) {
		res := get(t, newEndpoint(t, Options{}).web+"/socket/sse?vsn=2.0.0&apikey=x")
		for name, want := range map[string]string{"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
	})
	t.Run("[H4] pages of other origins may call, with headers as well", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		req, err := http.NewRequest(http.MethodOptions, e.web+"/realtime/v1/sse/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		res := do(t, http.DefaultClient, req)
		if res.StatusCode != http.StatusNoContent || !strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "x-api-key") {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("what is lent is written as it was", func(t *testing.T) {
		st := newStream("x", nil, 1<<20, time.Now)
		room := make([]byte, 0, 128)
		for _, ref := range []string{"1", "2"} {
			st.Send(protocol.LendReply(room, protocol.V2, "", ref, "phoenix", true, []byte("{}")))
		}
		if got, _ := st.next(nil); !strings.Contains(string(got), answer(1)) || !strings.Contains(string(got), answer(2)) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("[H5] a stream that is silent says so every 15 s", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		res := get(t, e.web+"/socket/sse?vsn=2.0.0&apikey=x")
		all := make([]byte, 0, 100)
		read := func(until string) {
			for !bytes.HasSuffix(all, []byte(until)) {
				n, err := res.Body.Read(all[len(all):cap(all)])
				if err != nil {
					t.Fatalf("%q, then %v", all, err)
				}
				all = all[:len(all)+n]
			}
		}
		read("\n\n")
		e.turn(17 * time.Second)
		read("\n\n:\n\n")
	})
	t.Run("it works over HTTP/2, one connection for both ways", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		mux := http.NewServeMux()
		e.server.Register(mux)
		web := httptest.NewUnstartedServer(mux)
		web.EnableHTTP2 = true
		web.StartTLS()
		t.Cleanup(web.Close)
		p := openStreamAt(t, web.URL, "", web.Client())
		t.Cleanup(p.leave)
		for n := range 20 {
			p.send(t, heartbeat(n))
			if got := p.next(t); got.data != answer(n) {
				t.Fatalf("got %+v", got)
			}
		}
	})
}

func get(t *testing.T, address string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, http.DefaultClient, req)
}

func do(t *testing.T, client *http.Client, req *http.Request) *http.Response {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestTurns(t *testing.T) {
	var forever chan struct{} // of a stream that does not end
	t.Run("[H2] what is missing is waited for, and then given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			turns := newTurns()
			begin := time.Now()
			if got := turns.await(t.Context(), forever, 2); got != turnMissing || time.Since(begin) != missingAfter {
				t.Errorf("got %v after %v", got, time.Since(begin))
			}
			if got := turns.await(t.Context(), forever, 1); got != turnDue {
				t.Errorf("got %v", got)
			}
		})
	})
	t.Run("what is slow is not missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			turns := newTurns()
			turns.await(t.Context(), forever, 1)
			got := make(chan turn, 2)
			go func() { got <- turns.await(t.Context(), forever, 1) }() // sent again meanwhile
			go func() { got <- turns.await(t.Context(), forever, 2) }()
			time.Sleep(time.Minute) // of a clock that stands still while anybody works
			if len(got) > 0 {
				t.Errorf("got %v", <-got)
			}
			turns.done(true)
			if a, b := <-got, <-got; a+b != turnRepeated+turnDue {
				t.Errorf("got %v and %v", a, b)
			}
		})
	})
	t.Run("[H3] [R7] no more than eight wait, and all go when the stream does", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			turns, gone := newTurns(), make(chan struct{})
			got := make(chan turn, maxWaiting)
			for i := range uint64(maxWaiting) {
				go func() { got <- turns.await(t.Context(), gone, i+2) }()
			}
			synctest.Wait()
			if crowded := turns.await(t.Context(), gone, 99); crowded != turnCrowded {
				t.Errorf("got %v", crowded)
			}
			close(gone)
			for range maxWaiting {
				if left := <-got; left != turnGone {
					t.Errorf("got %v", left)
				}
			}
			if turns.waiting != 0 {
				t.Errorf("%d are still counted", turns.waiting)
			}
		})
	})
	t.Run("whoever gives up waiting is not counted any more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			turns := newTurns()
			if got := turns.await(ctx, forever, 2); got != turnGone || turns.waiting != 0 {
				t.Errorf("got %v, %d waiting", got, turns.waiting)
			}
		})
	})
}

func FuzzPost(f *testing.F) {
	for _, seed := range []string{"[]", `[[null,"1","t","e",{}]]`, "[1, 2 ,\n3]", `["]",[[]],{"a":[1]}]`, "[", "{}", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !isArray(body) {
			return
		}
		var parts []string
		eachElement(body, func(element []byte) { parts = append(parts, string(element)) })
		var want, got bytes.Buffer
		if json.Compact(&want, body) != nil || json.Compact(&got, []byte("["+strings.Join(parts, ",")+"]")) != nil {
			t.Fatalf("%q is taken for an array, of %q", body, parts)
		}
		if want.String() != got.String() {
			t.Fatalf("%q became %q", body, parts)
		}
	})
}

// FuzzEvent: whatever a frame holds, it is one event.
func FuzzEvent(f *testing.F) {
	f.Add("", []byte(`{"a":"\n"}`))
	f.Add("close", []byte("{\r\n}\n\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if strings.ContainsAny(name, "\r\n") {
			return // names are ours
		}
		got := appendEvent(nil, name, data)
		lines := strings.FieldsFunc(string(got), func(r rune) bool { return r == '\r' || r == '\n' })
		want := 1
		if name != "" {
			want = 2
		}
		if len(lines) != want || !strings.HasSuffix(string(got), "\n\n") || len(lines[want-1]) != len("data: ")+len(data) {
			t.Fatalf("%q became %q", data, got)
		}
	})
}

// TestDrain: a POST that waits for its turn must not hold up a shutdown.
func TestDrain(t *testing.T) {
	t.Run("a POST that waits is answered when the stream ends", func(t *testing.T) {
		e := newEndpoint(t, Options{})
		p := aStream(t, e)
		turns := e.server.streams.get(p.id).turns
		status := make(chan int, 1)
		go func() {
			res, err := p.client.Post(p.web+"/realtime/v1/sse/"+url.PathEscape(p.id)+"?n=2", "text/plain", strings.NewReader("[]"))
			if err != nil {
				status <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			status <- res.StatusCode
		}()
		eventually(t, "the POST to wait", func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			return turns.waiting == 1
		})
		p.leave()
		if got := <-status; got != http.StatusGone {
			t.Errorf("got %d", got)
		}
	})
}
