package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// Error is a refusal, by the server or by the client itself: a stable code from
// docs/errors.md, a sentence, and whether the same may succeed later.
//
// Two Errors match in [errors.Is] when their codes are equal:
//
//	errors.Is(err, &client.Error{Code: protocol.CodeUnauthorized})
type Error struct {
	Code       string
	Message    string
	Path       string        // where in a record, as a JSON pointer; "" otherwise
	Retryable  bool          // the same request may succeed later
	RetryAfter time.Duration // when; 0 when the server did not say
	Err        error         // what caused it, or nil
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is says that another Error is about the same: it has the same code.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Codes that the client itself raises; protocol has those of the server.
const (
	CodeClientClosed     = "client_closed"
	CodeChannelReleased  = "channel_released"
	CodeChannelKind      = "channel_kind"
	CodeQueueFull        = "queue_full"
	CodeNotJoined        = "not_joined"
	CodeTokenTimeout     = "token_timeout"
	CodeTokenMissing     = "token_missing"
	CodeTokenUnavailable = "token_unavailable"
	CodeJoinTimeout      = "join_timeout"
	CodeChannelError     = "channel_error"
	CodeChannelClosed    = "channel_closed"
	CodeProtocol         = "protocol_error"
	CodeRefused          = "refused"
)

// What callers branch on. Match with [errors.Is].
var (
	ErrClosed    = &Error{Code: CodeClientClosed, Message: "the client was closed"}
	ErrReleased  = &Error{Code: CodeChannelReleased, Message: "the channel was released"}
	ErrQueueFull = &Error{Code: CodeQueueFull, Message: "too much waits to be sent already", Retryable: true}
	ErrNotJoined = &Error{Code: CodeNotJoined, Message: "an ephemeral message is not kept until the channel is joined", Retryable: true}
)

// errStream is what a closed Stream says.
var errStream = errors.New("the stream was closed")

// refusal is an error of the wire in the words of this package.
func refusal(e *protocol.Error) *Error {
	if e == nil {
		return nil
	}
	return &Error{
		Code: e.Code, Message: e.Message, Path: e.Path, Retryable: e.Retryable,
		RetryAfter: time.Duration(e.RetryAfterMs) * time.Millisecond,
	}
}

func protocolFault(format string, args ...any) *Error {
	return &Error{Code: CodeProtocol, Message: fmt.Sprintf(format, args...)}
}

// asError gives an error a code when it has none. What is not an Error may
// succeed when it is tried again.
func asError(err error, code string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: code, Message: err.Error(), Retryable: true, Err: err}
}

// isFinal says that asking for a token again is of no use.
func isFinal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Retryable
}

// marshal is JSON without the escapes that only HTML needs.
func marshal(v any) (json.RawMessage, error) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSuffix(out.String(), "\n")), nil
}

// mustMarshal is marshal for values of this package, which JSON can always say.
func mustMarshal(v any) json.RawMessage {
	out, err := marshal(v)
	if err != nil {
		panic(fmt.Sprintf("client: %T is not JSON: %v", v, err))
	}
	return out
}
