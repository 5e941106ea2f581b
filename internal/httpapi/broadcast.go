package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

const (
	maxBody  = 8 << 20 // of a request
	maxBatch = 1000    // messages in one request
)

type batchMessage struct {
	Topic   string          `json:"topic"`
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
	Private privacy         `json:"private"`
	ID      string          `json:"id"`
}

// batch is POST /api/broadcast. It is all or nothing up to the first write:
// every message is checked before the first is published. Private ones that the
// caller may not write are passed over, as upstream does.
func (a *API) batch(w http.ResponseWriter, r *http.Request) {
	id := a.identify(w, r)
	if id == nil {
		return
	}
	var body struct {
		Messages []batchMessage `json:"messages"`
	}
	data, ok := readBody(w, r)
	if !ok {
		return
	}
	if err := json.Unmarshal(data, &body); err != nil {
		unprocessable(w, "messages", "cannot be read: "+jsonFault(err))
		return
	}
	if body.Messages == nil {
		unprocessable(w, "messages", "can't be blank")
		return
	}
	if len(body.Messages) > maxBatch {
		writeJSON(w, http.StatusTooManyRequests, upstreamError{
			Message: "Too many messages to broadcast, please reduce the batch size", Code: protocol.CodePayloadTooLarge,
		})
		return
	}
	for i, m := range body.Messages {
		if why := m.fault(); why != "" {
			unprocessable(w, "messages", fmt.Sprintf("%d: %s", i, why))
			return
		}
	}
	if excess := a.calls(r, id, len(body.Messages)); excess.Over() {
		answerExcess(w, excess, "", "")
		return
	}
	allowed := body.Messages[:0]
	for i, m := range body.Messages {
		name := m.channel()
		p := a.opts.Policy().Channel(name)
		if p.May(auth.Publish, id) != nil {
			continue
		}
		if excess := a.send(p, name, len(m.Payload)); excess.Over() {
			answerExcess(w, excess, "messages", fmt.Sprintf("%d: ", i))
			return
		}
		allowed = append(allowed, m)
	}
	for _, m := range allowed {
		write := engine.Write{Kind: engine.KindMessage, ID: orNew(m.ID), Data: protocol.NewBroadcast(m.Event, m.Payload).Body}
		if err := a.publish(r, m.channel(), write); err != nil {
			a.unavailable(w, err)
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

func (m *batchMessage) channel() protocol.Channel {
	return protocol.Channel{Name: m.Topic, Private: bool(m.Private)}
}

func (m *batchMessage) fault() string {
	var object map[string]json.RawMessage
	fault := protocol.CheckChannelName(m.Topic)
	switch {
	case fault != nil:
		return "topic: " + fault.Message
	case m.Event == "":
		return "event: can't be blank"
	case len(m.Event) > protocol.MaxEventBytes:
		return "event: is longer than 255 bytes"
	case json.Unmarshal(m.Payload, &object) != nil || object == nil:
		return "payload: must be an object"
	case len(m.ID) > protocol.MaxIDBytes:
		return fmt.Sprintf("id: is longer than %d bytes", protocol.MaxIDBytes)
	}
	return ""
}

func orNew(id string) string {
	if id == "" {
		return uuid.NewString()
	}
	return id
}

// single is POST /api/broadcast/{topic}/events/{event}.
func (a *API) single(w http.ResponseWriter, r *http.Request) {
	id := a.identify(w, r)
	if id == nil {
		return
	}
	name := protocol.Channel{Name: r.PathValue("topic"), Private: r.URL.Query().Get("private") == "true"}
	event := r.PathValue("event")
	if fault := protocol.CheckChannelName(name.Name); fault != nil {
		unprocessable(w, "topic", fault.Message)
		return
	}
	if len(event) > protocol.MaxEventBytes {
		unprocessable(w, "event", "is longer than 255 bytes")
		return
	}
	keep, why := persistFor(r.URL.Query(), name)
	if why != "" {
		unprocessable(w, "persist", why)
		return
	}
	write, ok := singleWrite(w, r, event)
	if !ok {
		return
	}
	if keep > 0 { // B6
		write.Keep, write.Durability = keep, engine.OS
	}
	rules := a.opts.Policy().Channel(name)
	if rules.May(auth.Publish, id) != nil || keep > 0 && rules.May(auth.Persist, id) != nil {
		writeJSON(w, http.StatusForbidden, upstreamError{Message: "Unauthorized"})
		return
	}
	excess := a.calls(r, id, 1)
	if !excess.Over() {
		excess = a.send(rules, name, len(write.Data)) // B7
	}
	if excess.Over() {
		answerExcess(w, excess, "payload", "")
		return
	}
	if err := a.publish(r, name, write); err != nil {
		a.unavailable(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// persistFor reads persist=true or persist[ttl]=60: how long the message is to be
// kept, 0 when that is not asked, or why it cannot be.
func persistFor(query url.Values, name protocol.Channel) (keep time.Duration, why string) {
	ttl, text := query["persist[ttl]"], query.Get("persist")
	switch {
	case len(ttl) == 0 && (text == "" || text == "false"):
		return 0, ""
	case !name.Private:
		return 0, "can only be used on private channels"
	case len(ttl) == 0 && text == "true":
		return protocol.DefaultPersist, ""
	}
	seconds, err := strconv.ParseInt(strings.Join(ttl, ","), 10, 64)
	keep, fault := protocol.PersistFor(seconds)
	if err != nil || fault != nil {
		return 0, fmt.Sprintf("must be true, or have a ttl of 1 to %d seconds", int64(protocol.MaxPersist/time.Second))
	}
	return keep, ""
}

// singleWrite reads the body by its content type, or answers why not.
func singleWrite(w http.ResponseWriter, r *http.Request, event string) (engine.Write, bool) {
	kind := "application/json"
	if header := r.Header.Get("Content-Type"); header != "" {
		kind, _, _ = mime.ParseMediaType(header) // a broken header is an unsupported type
	}
	switch kind {
	case "application/octet-stream":
		data, ok := readBody(w, r)
		return engine.Write{Kind: engine.KindBinary, ID: uuid.NewString(), Data: engine.JoinBinary(event, data)}, ok
	case "application/json":
		data, ok := readBody(w, r)
		if ok && !json.Valid(data) {
			unprocessable(w, "payload", "is not JSON")
			return engine.Write{}, false
		}
		return engine.Write{Kind: engine.KindMessage, ID: uuid.NewString(), Data: protocol.NewBroadcast(event, data).Body}, ok
	}
	writeJSON(w, http.StatusUnsupportedMediaType, map[string]string{
		"error": "Unsupported Media Type. Use application/json or application/octet-stream",
	})
	return engine.Write{}, false
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		tooLarge(w, "payload", "")
		return nil, false
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, upstreamError{Message: "the body could not be read"})
		return nil, false
	}
	return data, true
}

// An upstreamError is a refusal as clients of upstream read it. Ours are the code
// and the time after which it may pass.
type upstreamError struct {
	Message      string              `json:"message"`
	Errors       map[string][]string `json:"errors,omitempty"`
	Code         string              `json:"code,omitempty"`
	Retryable    bool                `json:"retryable,omitempty"`
	RetryAfterMs int64               `json:"retryAfterMs,omitempty"`
}

// unprocessable answers 422 in the shape that clients of upstream read.
func unprocessable(w http.ResponseWriter, field, why string) {
	invalid(w, field, why, protocol.CodeInvalidPayload)
}

// tooLarge answers 422 for a message that is larger than it may be, in upstream's
// words.
func tooLarge(w http.ResponseWriter, field, where string) {
	invalid(w, field, where+"Payload size exceeds tenant limit", protocol.CodePayloadTooLarge)
}

func invalid(w http.ResponseWriter, field, why, code string) {
	writeJSON(w, http.StatusUnprocessableEntity, upstreamError{Message: field + " " + why, Errors: map[string][]string{field: {why}}, Code: code})
}
