package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/chorale-rt/chorale/protocol"
)

// maxHistory bounds what is read of an answer, in bytes: the server ends one at
// 4 MiB, or after one record.
const maxHistory = 16 << 20

// History is what the channel's log still holds of a record (rule A6).
type History struct {
	// Complete is true when nothing came before the first change: it is how the
	// record was made.
	Complete bool
	// Changes are the record's applied changes, oldest first. One that made or
	// restored the record has all of it as State; that of a patch has what won.
	Changes []protocol.Change
}

// History asks the server who changed a record, what and when, also of a deleted
// one: at most limit changes, the newest. 0 means 100, and 1,000 is the most. How
// far it goes back is the rule's history. It is asked over HTTP, once, whether
// the client is connected or not.
//
// Errors are those of ctx and of the network, [ErrClosed], and an [*Error] with
// the server's code: [protocol.CodeRecordUnknown], [protocol.CodeUnauthorized].
func (co *Collection) History(ctx context.Context, id string, limit int) (History, error) {
	c := co.ch.m.c
	address := c.httpAddress() + "/api/v1/channels/" + url.PathEscape(co.ch.m.name) +
		"/collections/" + url.PathEscape(co.k.name) + "/records/" + url.PathEscape(id) + "/history"
	if limit != 0 {
		address += "?limit=" + strconv.Itoa(limit)
	}
	transport := &http.Transport{DialContext: c.opts.DialContext, TLSClientConfig: c.opts.TLSConfig, Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()

	refused := ""
	for {
		token, err := c.someToken(ctx, refused)
		if err != nil {
			return History{}, fmt.Errorf("client: history of %s: %w", id, err)
		}
		h, err := c.askHistory(ctx, transport, address, token)
		if e, ok := err.(*statusError); ok && e.status == http.StatusUnauthorized && refused == "" && token != "" {
			refused = token
			continue
		}
		if e, ok := err.(*statusError); ok {
			err = e.refusal
		}
		if err != nil {
			return History{}, fmt.Errorf("client: history of %s: %w", id, err)
		}
		return h, nil
	}
}

// A statusError is an answer that is none of the 2xx.
type statusError struct {
	status  int
	refusal *Error
}

func (e *statusError) Error() string { return e.refusal.Error() }

func (c *Client) askHistory(ctx context.Context, transport http.RoundTripper, address, token string) (History, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return History{}, err
	}
	if c.opts.Header != nil {
		req.Header = c.opts.Header.Clone()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return History{}, err
	}
	defer func() { _ = res.Body.Close() }() // it was read as far as it is wanted
	body := json.NewDecoder(io.LimitReader(res.Body, maxHistory))
	if res.StatusCode != http.StatusOK {
		var problem struct {
			Code, Detail string
			Retryable    bool
		}
		if body.Decode(&problem) != nil || problem.Code == "" {
			problem.Code, problem.Detail = CodeRefused, "the server answered "+res.Status
			problem.Retryable = res.StatusCode >= http.StatusInternalServerError
		}
		return History{}, &statusError{res.StatusCode, &Error{Code: problem.Code, Message: problem.Detail, Retryable: problem.Retryable}}
	}
	var h History
	if err := body.Decode(&h); err != nil {
		return History{}, &Error{Code: CodeProtocol, Message: "the server's history cannot be read", Err: err}
	}
	return h, nil
}

// someToken waits for a token, another than one that was refused.
func (c *Client) someToken(ctx context.Context, refused string) (string, error) {
	type answer struct {
		token string
		err   error
	}
	answered := make(chan answer, 1)
	then := func(token string, err error) { answered <- answer{token, err} }
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return "", ErrClosed
	}
	if refused == "" {
		c.tokens.get(then)
	} else {
		c.tokens.instead(refused, then)
	}
	c.mu.Unlock()
	select {
	case a := <-answered:
		return a.token, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-c.ctx.Done():
		return "", ErrClosed
	}
}

// httpAddress is where the node speaks HTTP that was connected to last, without a
// slash at the end.
func (c *Client) httpAddress() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	base, _, _ := strings.Cut(c.conn.address(), "/socket/websocket?")
	return "http" + strings.TrimPrefix(base, "ws")
}
