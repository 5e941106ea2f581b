package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// bodyWithin is how long the body of a POST may take: as long as five million
// bytes need at 1.3 Mbit/s, and not so long that who sends a byte a minute keeps
// what others need.
const bodyWithin = 30 * time.Second

// servePost hands frames to a stream's session: a JSON array of text frames,
// with its number in the order, 1, 2, 3… It answers when they have been handled,
// so whoever has one POST under way at a time is read as fast as it is served.
// A number that was handled is answered again and not handled again, so whoever
// got no answer may ask once more.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	anyOrigin(w.Header())
	st := s.streams.get(r.PathValue("id"))
	if st == nil {
		postFault(w, http.StatusNotFound, "there is no such stream; open another")
		return
	}
	n, err := strconv.ParseUint(r.URL.Query().Get("n"), 10, 63)
	if err != nil || n == 0 {
		postFault(w, http.StatusBadRequest, "n must be the number of this POST: 1, 2, 3…")
		return
	}
	switch st.turns.await(r.Context(), st.gone, n) {
	case turnDue:
		status, why := s.post(w, r, st)
		st.turns.done(status != http.StatusRequestTimeout)
		postFault(w, status, why)
	case turnRepeated:
		w.WriteHeader(http.StatusNoContent)
	case turnMissing:
		postFault(w, http.StatusConflict, "a POST with a lower number is missing")
	case turnCrowded:
		w.Header().Set("Retry-After", "1")
		postFault(w, http.StatusTooManyRequests, "too many POSTs of this stream are waiting for their turn")
	case turnGone:
		postFault(w, http.StatusGone, "the stream has ended; open another")
	}
}

// post handles the body whose turn it is, and returns the answer's status with
// its sentence. A body that did not arrive whole (408) keeps its turn: nothing of
// it was handled.
func (s *Server) post(w http.ResponseWriter, r *http.Request, st *openStream) (int, string) {
	if st.isClosing() {
		return http.StatusGone, "the stream has ended; open another"
	}
	// The brackets are not the frame's.
	bound := s.limits.Settings().FrameBytes
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin)) // where there is none, the server's own counts
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(bound)+2))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.opts.Deps.Metrics.Limited(string(limit.Frame))
		why := "a POST is larger than " + strconv.Itoa(bound) + " bytes"
		st.Close(protocol.CloseTooLarge, why)
		return http.StatusRequestEntityTooLarge, why
	}
	if err != nil {
		return http.StatusRequestTimeout, "the body did not arrive whole; send it again under the same number"
	}
	if !isArray(body) {
		st.session.Receive(false, nil) // is no frame either: it is counted, and costs its sender what garbage costs
		st.pause()
		return http.StatusBadRequest, "the body must be a JSON array of frames"
	}
	read := 0
	eachElement(body, func(frame []byte) {
		st.heard.Store(st.now().UnixMilli())
		st.session.Receive(false, frame)
		if read += len(frame); read >= readSize { // as often as the reader of a socket does
			read = 0
			st.pause()
		}
	})
	st.heard.Store(st.now().UnixMilli())
	st.pause()
	return http.StatusNoContent, ""
}

// pause waits for as long as the session wants not to be handed more.
func (o *openStream) pause() {
	d := o.session.Pause()
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-o.gone:
	}
}

// postFault answers a POST. why is empty for those that succeed.
func postFault(w http.ResponseWriter, status int, why string) {
	if why == "" {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) // nobody to tell
}

// isArray says whether data is a JSON array.
func isArray(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")) && json.Valid(data)
}

// eachElement calls do with each element of a JSON array, one after the other:
// a body of brackets and commas must not become millions of slices. The bytes
// are do's until it returns.
func eachElement(array []byte, do func([]byte)) {
	dec := json.NewDecoder(bytes.NewReader(array))
	if _, err := dec.Token(); err != nil {
		return // it is no array
	}
	var element json.RawMessage
	for dec.More() {
		if err := dec.Decode(&element); err != nil {
			return
		}
		do(element)
	}
}
