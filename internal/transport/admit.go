package transport

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/protocol"
)

// refused is an answer before the upgrade, and the close code for clients that
// cannot read it (C1).
type refused struct {
	status       int
	text         string
	code         int
	retryAfterMs int64      // 0 when waiting does not help
	limit        limit.Name // that is reached; "" for a token
}

// address is where a request comes from, for the limits.
func (s *Server) address(r *http.Request) netip.Addr {
	return s.opts.Proxies.Client(r.RemoteAddr, r.Header.Values("X-Forwarded-For"))
}

// admit checks the token and counts the connection in. Who has no valid token is
// refused before anything is counted, so that strangers cannot use up what an
// identity may have. The caller counts the ticket out.
func (s *Server) admit(token string, address netip.Addr) (limit.Ticket, *refused) {
	ticket, refused := s.letIn(token, address)
	if refused != nil && refused.limit != "" {
		s.opts.Deps.Metrics.Limited(string(refused.limit))
	}
	return ticket, refused
}

// letIn is admit for who is asked once more when he is refused, and counted then.
func (s *Server) letIn(token string, address netip.Addr) (limit.Ticket, *refused) {
	identity, err := s.opts.Deps.Verifier.Verify(token)
	if err != nil {
		text := "Error connecting to Realtime"
		if fault, ok := errors.AsType[*auth.TokenError](err); ok {
			text = fault.HTTPText()
		}
		return limit.Ticket{}, &refused{status: http.StatusUnauthorized, text: text, code: protocol.CloseTokenRefused}
	}
	ticket, excess := s.limits.Connect(identity.Subject, address)
	if excess.Over() {
		return limit.Ticket{}, &refused{
			status: http.StatusTooManyRequests, text: excess.Sentence(), code: protocol.CloseTooMany,
			retryAfterMs: excess.RetryAfterMs(), limit: excess.Limit,
		}
	}
	return ticket, nil
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why *refused, chorale bool) {
	if chorale {
		if conn, err := upgrade(w, r); err == nil {
			sock, link := newConnSocket(conn, s.terms)
			link.dismiss(sock, why.code, why.text)
		}
		return
	}
	why.answer(w)
}

// answer writes it as an HTTP answer: `error` alone, as upstream has it, and for a
// limit when to come back (L5).
func (why *refused) answer(w http.ResponseWriter) {
	body := struct {
		Error        string `json:"error"`
		Code         string `json:"code,omitempty"`
		Retryable    bool   `json:"retryable,omitempty"`
		RetryAfterMs int64  `json:"retryAfterMs,omitempty"`
	}{Error: why.text}
	w.Header().Set("Content-Type", "application/json")
	if why.retryAfterMs > 0 {
		body.Code, body.Retryable, body.RetryAfterMs = protocol.CodeTooManyConnections, true, why.retryAfterMs
		w.Header().Set("Retry-After", strconv.FormatInt((why.retryAfterMs+999)/1000, 10))
	}
	w.WriteHeader(why.status)
	_ = json.NewEncoder(w).Encode(body) // nobody to tell
}

// requestToken is the token that a connection is opened with. key is the request's
// header X-Api-Key.
func requestToken(key string, query url.Values) string {
	if key != "" {
		return key
	}
	return query.Get("apikey")
}

// nobody is the user of a socket that was refused.
type nobody struct{}

func (nobody) Receive(bool, []byte) {}
func (nobody) Announce()            {}
func (nobody) Cancel()              {}
func (nobody) Close()               {}
