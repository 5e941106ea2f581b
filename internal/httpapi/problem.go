package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// A problem is why a request failed, as RFC 9457 has it, with the members that
// an error reply has on the socket: code and retryable. Its type is about:blank.
type problem struct {
	Title        string           `json:"title"`
	Status       int              `json:"status"`
	Detail       string           `json:"detail"`
	Code         string           `json:"code"` // docs/errors.md lists them
	Retryable    bool             `json:"retryable"`
	RetryAfterMs int64            `json:"retryAfterMs,omitempty"`
	Path         string           `json:"path,omitempty"` // JSON pointer into the body or the record, or ?parameter
	Record       *protocol.Record `json:"record,omitempty"`

	allow string // of a 405: the header Allow
}

// refuse makes a problem of a refusal, with the status that belongs to its code.
func refuse(e *protocol.Error) *problem {
	status := statusOf(e.Code)
	return &problem{
		Title: http.StatusText(status), Status: status, Detail: e.Message, Code: e.Code,
		Retryable: e.Retryable, RetryAfterMs: e.RetryAfterMs, Path: e.Path,
	}
}

func statusOf(code string) int {
	switch code {
	case protocol.CodeInvalidPayload, protocol.CodeTopicRequired:
		return http.StatusBadRequest
	case protocol.CodeUnauthorized, protocol.CodeForbidden, protocol.CodeForbiddenClient:
		return http.StatusForbidden
	case protocol.CodeNotFound, protocol.CodeUnknownCollection, protocol.CodeRecordUnknown:
		return http.StatusNotFound
	case protocol.CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case protocol.CodeRecordExists, protocol.CodeOutOfOrder, protocol.CodeClientUnknown, protocol.CodeTooManyRevocations:
		return http.StatusConflict
	case protocol.CodeTruncated, protocol.CodeEpoch, protocol.CodeFuture, protocol.CodeRecordDeleted:
		return http.StatusGone
	case protocol.CodeVersionConflict:
		return http.StatusPreconditionFailed
	case protocol.CodePayloadTooLarge, protocol.CodeRecordTooLarge:
		return http.StatusRequestEntityTooLarge
	case protocol.CodeRateLimited:
		return http.StatusTooManyRequests
	case protocol.CodeUnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case protocol.CodeInvalidMutation, protocol.CodeSchemaViolation, protocol.CodePersistPublic:
		return http.StatusUnprocessableEntity
	case protocol.CodeOverloaded, protocol.CodeUnavailable, protocol.CodeShuttingDown:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// unreadable is the problem of a body or a parameter that is not as described.
func unreadable(path, format string, args ...any) *problem {
	return refuse(&protocol.Error{Code: protocol.CodeInvalidPayload, Path: path, Message: fmt.Sprintf(format, args...)})
}

// tokenProblem says why a token was refused.
func tokenProblem(err error) *problem {
	p := &problem{
		Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized,
		Detail: "The token cannot be checked at the moment", Code: protocol.CodeTokenRefused, Retryable: true,
	}
	if fault, ok := errors.AsType[*auth.TokenError](err); ok {
		p.Detail, p.Code, p.Retryable = fault.HTTPText(), fault.Code, fault.Retryable()
	}
	return p
}

// engineProblem is for what the engine did not do. What it does not declare is
// logged here, since the answer does not carry it.
func (a *API) engineProblem(op string, err error) *problem {
	e := &protocol.Error{Retryable: true}
	switch {
	case errors.Is(err, engine.ErrTruncated):
		e = &protocol.Error{Code: protocol.CodeTruncated, Message: "What came after this position is no longer kept: load anew, from no position"}
	case errors.Is(err, engine.ErrEpoch):
		e = &protocol.Error{Code: protocol.CodeEpoch, Message: "The position belongs to another log, which is no more: load anew, from no position"}
	case errors.Is(err, engine.ErrFuture):
		e = &protocol.Error{Code: protocol.CodeFuture, Message: "The position is ahead of the log, which has lost data: load anew, from no position"}
	case errors.Is(err, engine.ErrOverloaded):
		e.Code, e.Message, e.RetryAfterMs = protocol.CodeOverloaded, "The server is busy; try again", 250
	case errors.Is(err, engine.ErrUnavailable):
		e.Code, e.Message, e.RetryAfterMs = protocol.CodeUnavailable, "The server cannot store anything at the moment; nothing was written", 2000
	case errors.Is(err, engine.ErrClosed), errors.Is(err, context.Canceled):
		e.Code, e.Message, e.RetryAfterMs = protocol.CodeShuttingDown, "The server is restarting", 1000
	default:
		a.opts.Logger.Error("request failed", "op", op, "error", err)
		e.Code, e.Message, e.RetryAfterMs = protocol.CodeInternal, "The server failed; try again", 1000
	}
	return refuse(e)
}

func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfterMs > 0 {
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMs+999)/1000, 10))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone; there is nobody to tell
}
