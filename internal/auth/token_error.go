package auth

import (
	"fmt"
	"log/slog"
	"time"
)

// Codes of a TokenError. They are stable: clients and dashboards name them.
const (
	CodeAPIKeyMissing        = "api_key_missing"       // no token at all
	CodeTokenMalformed       = "token_malformed"       // not three base64url parts of JSON, or too long
	CodeAlgorithmUnsupported = "algorithm_unsupported" // `none`, or one that is not accepted
	CodeKeyUnknown           = "key_unknown"           // no key fits the token's kid and algorithm
	CodeKeysUnavailable      = "keys_unavailable"      // the key set could not be loaded yet; try again
	CodeSignatureInvalid     = "signature_invalid"     // no fitting key made this signature
	CodeClaimsMissing        = "claims_missing"        // no exp, or no role
	CodeExpirationInvalid    = "expiration_invalid"    // exp is not a number
	CodeClaimInvalid         = "claim_invalid"         // another claim has the wrong type
	CodeTokenExpired         = "token_expired"         // exp has passed
	CodeTokenNotYetValid     = "token_not_yet_valid"   // nbf is still to come
	CodeIssuerInvalid        = "issuer_invalid"        // iss is not the configured one
	CodeAudienceInvalid      = "audience_invalid"      // aud does not name the configured one
	CodeTokenRevoked         = "token_revoked"         // an administrator has taken it back
)

// A TokenError says why a token was refused. Its texts never contain the token
// or any of its claims.
type TokenError struct {
	Code    string // one of the Code constants
	Message string // for the operator's log: what exactly was wrong

	// ExpiredFor is how long ago the token expired; set with CodeTokenExpired only.
	ExpiredFor time.Duration
}

// Error implements error.
func (e *TokenError) Error() string { return e.Code + ": " + e.Message }

// LogValue implements slog.LogValuer.
func (e *TokenError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("code", e.Code), slog.String("message", e.Message))
}

// Retryable reports whether the same token may be accepted a moment later.
func (e *TokenError) Retryable() bool {
	return e.Code == CodeKeysUnavailable || e.Code == CodeTokenNotYetValid
}

// HTTPText is the `error` of the answer with status 401 to a refused upgrade,
// as Supabase Realtime words it.
func (e *TokenError) HTTPText() string {
	switch e.Code {
	case CodeAPIKeyMissing:
		return "API key is missing"
	case CodeTokenMalformed:
		return "The token provided is not a valid JWT"
	case CodeAlgorithmUnsupported, CodeKeyUnknown, CodeKeysUnavailable:
		return "Failed to generate JWT signer, check your JWT secret or JWKS configuration"
	case CodeSignatureInvalid:
		return "Failed to validate JWT signature"
	case CodeClaimsMissing:
		return "Fields `role` and `exp` are required in JWT"
	case CodeExpirationInvalid:
		return "Token expiration time is invalid"
	case CodeTokenExpired:
		return "Token has expired"
	default:
		return e.Message // no upstream text: ours is made for readers too
	}
}

// SystemText is the `message` of the system event that ends a channel.
func (e *TokenError) SystemText() string {
	if e.Code == CodeTokenExpired {
		return fmt.Sprintf("Token has expired %d seconds ago", int64(e.ExpiredFor/time.Second))
	}
	return e.HTTPText()
}

// Reason is the `reason` of the error reply to a join: a code that Supabase
// clients print, a colon and SystemText.
func (e *TokenError) Reason() string { return e.upstreamCode() + ": " + e.SystemText() }

func (e *TokenError) upstreamCode() string {
	switch e.Code {
	case CodeAPIKeyMissing:
		return "MissingAPIKey"
	case CodeTokenMalformed:
		return "MalformedJWT"
	case CodeAlgorithmUnsupported, CodeKeyUnknown, CodeKeysUnavailable:
		return "JwtSignerError"
	case CodeSignatureInvalid:
		return "JwtSignatureError"
	default:
		return "InvalidJWTToken"
	}
}

func tokenError(code, format string, args ...any) *TokenError {
	return &TokenError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// expiredError counts in whole seconds, as the texts do.
func expiredError(now, expiresAt time.Time) *TokenError {
	e := &TokenError{Code: CodeTokenExpired, ExpiredFor: max(now.Sub(expiresAt), 0)}
	e.Message = e.SystemText()
	return e
}
