package auth

import (
	"fmt"
	"log/slog"
	"time"
)

// An Identity is who a verified token says its bearer is. It is shared by all
// sessions that showed the same token and must not be changed, Claims included.
type Identity struct {
	Subject string // claim sub; "" for anonymous keys
	Role    string // claim role; never "" from a Verifier
	TokenID string // claim jti; "" when there is none

	// ExpiresAt is the instant from which the token is refused: its exp and the
	// verifier's leeway.
	ExpiresAt time.Time
	IssuedAt  time.Time // claim iat; zero when there is none

	// Claims is the whole claim set, as rules see it. Whole numbers that fit are
	// int64, other numbers float64; the rest is what encoding/json makes of it.
	Claims map[string]any
}

// Expired returns a *TokenError with CodeTokenExpired when the identity's token
// is not good any more at now, else nil. Sessions ask this when their timer for
// ExpiresAt fires, so that they need not keep the token.
func (id *Identity) Expired(now time.Time) error {
	if now.Before(id.ExpiresAt) {
		return nil
	}
	return expiredError(now, id.ExpiresAt)
}

// String names the identity without its claims.
func (id *Identity) String() string {
	if id == nil {
		return "nobody"
	}
	return fmt.Sprintf("%q (%s)", id.Subject, id.Role)
}

// LogValue implements slog.LogValuer. Claims are left out: they may be private.
func (id *Identity) LogValue() slog.Value {
	if id == nil {
		return slog.StringValue("nobody")
	}
	return slog.GroupValue(
		slog.String("sub", id.Subject),
		slog.String("role", id.Role),
		slog.String("jti", id.TokenID),
		slog.Time("exp", id.ExpiresAt),
	)
}
