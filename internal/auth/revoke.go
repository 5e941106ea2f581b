package auth

import (
	"errors"
	"sync/atomic"
	"time"
)

// A Revocation says which tokens are no longer good although they have not
// expired. Exactly one of TokenID and Subject is set.
type Revocation struct {
	TokenID string // the token with this jti
	Subject string // all tokens of this sub, those still to be issued too

	// IssuedBefore narrows Subject to tokens with an iat before this instant, and
	// to those without one. Zero means no narrowing. An iat counts whole seconds,
	// so that a token issued in the same second, but later, is hit as well.
	IssuedBefore time.Time

	// ExpiresAt is when the revocation itself ends; zero means never. Give it
	// the last exp that such a token can have, and the list stays short.
	ExpiresAt time.Time
}

// Validate says what is wrong with a revocation, or nil.
func (r *Revocation) Validate() error {
	switch {
	case (r.TokenID == "") == (r.Subject == ""):
		return errors.New("give either jti or sub")
	case r.TokenID != "" && !r.IssuedBefore.IsZero():
		return errors.New("issuedBefore goes with sub: a jti names one token")
	}
	return nil
}

func (r *Revocation) endedAt(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// hits says whether an identity's token is meant. It does not ask whether the
// revocation has ended.
func (r *Revocation) hits(id *Identity) bool {
	if r.TokenID != "" {
		return r.TokenID == id.TokenID
	}
	return r.Subject == id.Subject && (r.IssuedBefore.IsZero() || id.IssuedAt.Before(r.IssuedBefore))
}

// Revocations is the set that a [Verifier] asks at every Verify. It costs two
// look-ups and no lock. All methods may be called from any goroutine; a nil
// *Revocations revokes nothing.
type Revocations struct {
	set atomic.Pointer[revocationSet]
}

// A revocationSet never changes.
type revocationSet struct {
	byTokenID, bySubject map[string][]Revocation
}

// Replace makes the set hold exactly these. Tokens are judged by it from the
// moment Replace returns.
func (r *Revocations) Replace(all []Revocation) {
	next := &revocationSet{byTokenID: make(map[string][]Revocation), bySubject: make(map[string][]Revocation)}
	for _, one := range all {
		if one.TokenID != "" {
			next.byTokenID[one.TokenID] = append(next.byTokenID[one.TokenID], one)
		} else {
			next.bySubject[one.Subject] = append(next.bySubject[one.Subject], one)
		}
	}
	r.set.Store(next)
}

// Check returns a *TokenError with CodeTokenRevoked when the identity's token
// is revoked at now, else nil.
func (r *Revocations) Check(id *Identity, now time.Time) error {
	if err := r.check(id, now); err != nil {
		return err
	}
	return nil
}

func (r *Revocations) check(id *Identity, now time.Time) *TokenError {
	if r == nil {
		return nil
	}
	set := r.set.Load()
	if set == nil {
		return nil
	}
	if id.TokenID != "" && anyHits(set.byTokenID[id.TokenID], id, now) ||
		id.Subject != "" && anyHits(set.bySubject[id.Subject], id, now) {
		return tokenError(CodeTokenRevoked, "Token was revoked")
	}
	return nil
}

func anyHits(some []Revocation, id *Identity, now time.Time) bool {
	for i := range some {
		if some[i].hits(id) && !some[i].endedAt(now) {
			return true
		}
	}
	return false
}
