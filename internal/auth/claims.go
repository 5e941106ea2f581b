package auth

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// lastSecond is 9999-12-31T23:59:59Z in Unix seconds: times beyond it cannot be
// written as JSON, and a token that outlives it is simply clamped.
const lastSecond = 253402300799

// identify checks the claims of a token whose signature is good, at now, and
// makes them an Identity. The order of the checks is upstream's: an expired
// token is told so even if it lacks a role.
func (v *Verifier) identify(claims map[string]any, now time.Time) (*Identity, *TokenError) {
	exp, ok := claims["exp"]
	if !ok || exp == nil {
		return nil, tokenError(CodeClaimsMissing, "claim `exp` is missing")
	}
	expiresAt, ok := numericDate(exp)
	if !ok {
		return nil, tokenError(CodeExpirationInvalid, "claim `exp` is not a number")
	}
	expiresAt = expiresAt.Add(v.leeway)
	if !now.Before(expiresAt) {
		return nil, expiredError(now, expiresAt)
	}
	issuedAt, err := v.checkWindow(claims, now)
	if err != nil {
		return nil, err
	}
	if err := v.checkParties(claims); err != nil {
		return nil, err
	}
	role, _ := claims["role"].(string)
	if role == "" {
		return nil, tokenError(CodeClaimsMissing, "claim `role` is missing")
	}
	subject, ok := optionalString(claims, "sub")
	if !ok {
		return nil, tokenError(CodeClaimInvalid, "Claim `sub` must be a string")
	}
	tokenID, ok := optionalString(claims, "jti")
	if !ok {
		return nil, tokenError(CodeClaimInvalid, "Claim `jti` must be a string")
	}
	return &Identity{
		Subject: subject, Role: role, TokenID: tokenID,
		ExpiresAt: expiresAt, IssuedAt: issuedAt,
		Claims: plainNumbers(claims).(map[string]any),
	}, nil
}

// checkWindow checks nbf and iat, which a token need not have. An iat in the
// future is taken: clocks differ, and exp is what bounds a token.
func (v *Verifier) checkWindow(claims map[string]any, now time.Time) (issuedAt time.Time, _ *TokenError) {
	if nbf, ok := claims["nbf"]; ok {
		notBefore, ok := numericDate(nbf)
		if !ok {
			return time.Time{}, tokenError(CodeClaimInvalid, "Claim `nbf` must be a number")
		}
		if now.Before(notBefore.Add(-v.leeway)) {
			return time.Time{}, tokenError(CodeTokenNotYetValid, "Token is not valid yet")
		}
	}
	if iat, ok := claims["iat"]; ok {
		if issuedAt, ok = numericDate(iat); !ok {
			return time.Time{}, tokenError(CodeClaimInvalid, "Claim `iat` must be a number")
		}
	}
	return issuedAt, nil
}

// checkParties checks iss and aud when the verifier was told what to expect.
func (v *Verifier) checkParties(claims map[string]any) *TokenError {
	if v.issuer != "" && claims["iss"] != any(v.issuer) {
		return tokenError(CodeIssuerInvalid, "Token is from another issuer")
	}
	if v.audience == "" {
		return nil
	}
	switch aud := claims["aud"].(type) {
	case string:
		if aud == v.audience {
			return nil
		}
	case []any:
		if slices.Contains(aud, any(v.audience)) {
			return nil
		}
	}
	return tokenError(CodeAudienceInvalid, "Token is for another audience")
}

// numericDate reads seconds since 1970, possibly with decimals, to the
// millisecond. Absurd values are clamped rather than wrapped around.
func numericDate(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil && !math.IsInf(seconds, 0) { // infinite: too large for a float64
		return time.Time{}, false
	}
	seconds = min(max(seconds, 0), lastSecond)
	return time.UnixMilli(int64(math.Round(seconds * 1000))), true
}

// optionalString reads a claim that, when it is there and not null, must be a string.
func optionalString(claims map[string]any, name string) (string, bool) {
	v, there := claims[name]
	if !there || v == nil {
		return "", true
	}
	s, ok := v.(string)
	return s, ok
}

// plainNumbers replaces each json.Number in v, in place where v is a container,
// by the int64 it is, or else by a float64, so that rules can compare it and
// large ids keep all their digits.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // ±Inf when out of range, which compares as it should
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
		return v
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
		return v
	default:
		return v
	}
}
