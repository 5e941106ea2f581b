package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

const (
	// tokenTimeout is how long a provider has.
	tokenTimeout = 10 * time.Second
	// A token is replaced so long before it expires, or after four fifths of its
	// life, whichever is later.
	refreshBefore = time.Minute
	// tokenRetry is between a refresh that failed and the next; tokenLeast is
	// between any two, for somebody who is handed the same token again.
	tokenRetry = 5 * time.Second
	tokenLeast = time.Second
)

// tokens fetches tokens, keeps the newest while it is good, and hands one to
// whoever asks. It is guarded by Client.mu.
type tokens struct {
	c      *Client
	held   heldToken
	asking *tokenAsk
	asks   int
}

type heldToken struct {
	token     string    // "" for none
	refreshAt time.Time // zero: it never expires, or this clock cannot tell
	expiresAt time.Time // likewise
	ask       int       // which ask it is the answer to
}

type tokenAsk struct {
	number  int
	refused bool // the provider was told that the held one is
	waiting []func(string, error)
}

func (h *heldToken) isDue(now time.Time) bool {
	return h.token == "" || (!h.refreshAt.IsZero() && !h.refreshAt.After(now))
}

// isExpired says that there is no token that could be good.
func (h *heldToken) isExpired(now time.Time) bool {
	return h.token == "" || (!h.expiresAt.IsZero() && !h.expiresAt.After(now))
}

// get hands over the held token until it should be replaced, else a new one; none
// to be had, the held one serves until it expires. then may be called at once.
func (t *tokens) get(then func(string, error)) {
	if now := time.Now(); !t.held.isDue(now) {
		then(t.held.token, nil)
		return
	}
	t.fresh(false, func(token string, err error) {
		if err != nil && !t.held.isExpired(time.Now()) {
			token, err = t.held.token, nil
		}
		then(token, err)
	})
}

// instead hands over another token than one that the server refused: the held
// one if it has come since, else a new one.
func (t *tokens) instead(refused string, then func(string, error)) {
	if t.held.token != "" && t.held.token != refused {
		t.get(then)
		return
	}
	t.fresh(true, then)
}

// fresh hands over a new token. Those who ask while one is being fetched share
// it, unless they know of a refusal that its provider was not told of.
func (t *tokens) fresh(refused bool, then func(string, error)) {
	if a := t.asking; a != nil && (a.refused || !refused) {
		a.waiting = append(a.waiting, then)
		return
	}
	t.asks++
	a := &tokenAsk{number: t.asks, refused: refused, waiting: []func(string, error){then}}
	t.asking = a
	reason := TokenNeeded
	switch {
	case refused:
		reason = TokenRefused
	case t.held.token != "":
		reason = TokenExpiring
	}
	t.c.wg.Go(func() { t.ask(a, reason) })
}

// ask calls the provider, without the lock, and takes its answer.
func (t *tokens) ask(a *tokenAsk, reason TokenReason) {
	tooLate := &Error{Code: CodeTokenTimeout, Message: "the token provider did not answer within 10 s", Retryable: true}
	ctx, cancel := context.WithTimeoutCause(t.c.ctx, tokenTimeout, tooLate)
	defer cancel()
	type answer struct {
		token string
		err   error
	}
	answered := make(chan answer, 1)
	t.c.wg.Go(func() {
		token, err := t.c.opts.Token(ctx, reason)
		answered <- answer{token, err}
	})
	var token string
	var err error
	select {
	case a := <-answered:
		token, err = a.token, a.err
	case <-ctx.Done(): // it goes on without a provider that does not heed its context
		err = context.Cause(ctx)
	}
	if err == nil && token == "" {
		err = &Error{Code: CodeTokenMissing, Message: "the token provider returned no token", Retryable: true}
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.asking == a {
		t.asking = nil
	}
	if t.c.ctx.Err() != nil {
		return
	}
	if err != nil {
		token = ""
	} else {
		t.take(hold(token, time.Now(), a.number))
	}
	for _, then := range a.waiting {
		then(token, err)
	}
}

// take holds an answer. An older ask that is answered late does not take its place.
func (t *tokens) take(answer heldToken) {
	before := t.held
	if before.ask > answer.ask {
		return
	}
	t.held = answer
	if before.token != answer.token {
		t.c.tokenRenewed(answer.token)
	}
}

func hold(token string, now time.Time, ask int) heldToken {
	h := heldToken{token: token, ask: ask}
	expires, ok := expiryOf(token)
	life := expires.Sub(now)
	// A new token that seems to have expired says that this clock is wrong.
	// Whether it is good is for the server to say.
	if !ok || life <= 0 {
		return h
	}
	h.expiresAt, h.refreshAt = expires, expires.Add(-min(refreshBefore, life/5))
	return h
}

// expiryOf is when a JWT expires. The signature is the server's business.
func expiryOf(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(claims.Exp * 1000)), true
}
