package transport

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"

	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// Router takes routes; http.ServeMux is one.
type Router interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Where a client finds the server: upstream's path behind its gateway, and without one.
var prefixes = [...]string{"/socket", "/realtime/v1"}

const (
	socketPath = "/websocket"
	lanesPath  = "/lanes"
)

// socketAt says whether a path is that of a socket, and whether that has lanes.
func socketAt(path string) (isShared, ok bool) {
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == socketPath || rest == lanesPath) {
			return rest == lanesPath, true
		}
	}
	return false, false
}

// Register adds the routes of clients: the WebSocket, the one that several
// sessions share (W1 to W5), and the fallback for networks that block both (H1 to H5).
func (s *Server) Register(mux Router) {
	for _, prefix := range prefixes {
		mux.HandleFunc("GET "+prefix+socketPath, s.ServeHTTP)
		mux.HandleFunc("GET "+prefix+lanesPath, s.serveLanes)
		mux.HandleFunc("GET "+prefix+"/sse", s.serveStream)
		mux.HandleFunc("POST "+prefix+"/sse/{id}", s.servePost)
		mux.HandleFunc("OPTIONS "+prefix+"/sse/", preflight)
	}
}

// streams finds the fallback's streams by their secret names. The zero value is
// ready.
type streams struct {
	mu   sync.Mutex // guards the following
	byID map[string]*openStream
}

// openStream is a stream with its session.
type openStream struct {
	*stream
	session *session.Session
	turns   *turns
}

func (t *streams) add(o *openStream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = make(map[string]*openStream)
	}
	t.byID[o.id] = o
}

func (t *streams) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byID, id)
}

func (t *streams) get(id string) *openStream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// serveStream opens a session whose frames go down as events until the response
// ends; they come up by servePost.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w.Header())
	query := r.URL.Query()
	version, ok := protocol.ParseVersion(query.Get("vsn"))
	if !ok {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	token := requestToken(r.Header.Get("X-Api-Key"), query)
	ticket, refused := s.admit(token, s.address(r))
	if refused != nil {
		refuseStream(w, r, refused)
		return
	}
	s.enter()
	// The name is all that a POST needs, so it is 130 random bits, is never logged,
	// and is worth nothing when the stream has ended.
	st := newStream(rand.Text(), http.NewResponseController(w), s.opts.QueueBytes, s.opts.Deps.Now)
	sess := session.New(s.opts.Deps, st, version, token)
	known := s.add(st, sess)
	if known {
		defer s.wg.Done()
	}
	defer s.leave(st, ticket)
	defer sess.Close()
	if !known {
		st.Close(protocol.CloseRestart, s.farewell())
	} else {
		s.streams.add(&openStream{stream: st, session: sess, turns: newTurns()})
		defer s.streams.remove(st.id)
	}
	eventHeaders(w, r)
	st.run(r.Context(), w)
}

// refuseStream answers like the WebSocket endpoint: with a status, or for
// clients that say chorale=1 with the close code as the one event (C1), which an
// EventSource can read as well.
func refuseStream(w http.ResponseWriter, r *http.Request, why *refused) {
	if r.URL.Query().Get("chorale") != "1" {
		why.answer(w)
		return
	}
	eventHeaders(w, r)
	_, _ = w.Write(appendClose(nil, why.code, why.text)) // nobody to tell
}

// eventHeaders begin a response of events that nothing on the way may hold back.
func eventHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	if r.ProtoMajor == 1 {
		// The stream's deadlines are those of its connection, so no other request
		// may follow on it. In HTTP/2 this header would end the POSTs' connection.
		h.Set("Connection", "close")
	}
}

// anyOrigin lets pages of any origin call: tokens and secret names are what
// counts here, and no cookie does.
func anyOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After")
}

// preflight answers for clients that send headers; ours need none.
func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	anyOrigin(h)
	h.Set("Access-Control-Allow-Headers", "content-type, x-api-key, x-client-info, cache-control")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
