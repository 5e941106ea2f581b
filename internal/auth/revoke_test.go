package auth

import (
	"testing"
	"time"
)

func TestRevocations(t *testing.T) {
	token := func(claims map[string]any) string { return sign(t, "HS256", testSecret, claimsWith(claims), nil) }
	for _, tt := range []struct {
		name       string
		revocation Revocation
		claims     map[string]any
		code       string
	}{
		{"the token with that jti", Revocation{TokenID: "t1"}, map[string]any{"jti": "t1"}, CodeTokenRevoked},
		{"not one with another jti", Revocation{TokenID: "t1"}, map[string]any{"jti": "t2"}, ""},
		{"not one without a jti", Revocation{TokenID: "t1"}, nil, ""},
		{"every token of that sub", Revocation{Subject: "user-7"}, map[string]any{"iat": noon.Add(time.Hour).Unix()}, CodeTokenRevoked},
		{"not one of another sub", Revocation{Subject: "user-8"}, nil, ""},
		{"not one without a sub", Revocation{Subject: "user-7"}, map[string]any{"sub": nil}, ""},
		{"one that was issued before", Revocation{Subject: "user-7", IssuedBefore: noon}, map[string]any{"iat": noon.Unix() - 1}, CodeTokenRevoked},
		{"not one that was issued then", Revocation{Subject: "user-7", IssuedBefore: noon}, map[string]any{"iat": noon.Unix()}, ""},
		{"one that does not say when it was issued", Revocation{Subject: "user-7", IssuedBefore: noon}, nil, CodeTokenRevoked},
		{"not after the revocation has ended", Revocation{Subject: "user-7", ExpiresAt: noon}, nil, ""},
		{"until the revocation has ended", Revocation{Subject: "user-7", ExpiresAt: noon.Add(1)}, nil, CodeTokenRevoked},
	} {
		t.Run("[R7] refused is "+tt.name, func(t *testing.T) {
			set := new(Revocations)
			v := newTestVerifier(t, func(o *VerifierOptions) { o.Revocations = set })
			tok := token(tt.claims)
			_, err := v.Verify(tok)
			wantCode(t, err, "")
			set.Replace([]Revocation{{TokenID: "another"}, tt.revocation, {Subject: "another"}})
			_, err = v.Verify(tok) // remembered
			wantCode(t, err, tt.code)
			_, err = newTestVerifier(t, func(o *VerifierOptions) { o.Revocations = set }).Verify(tok)
			wantCode(t, err, tt.code)
			set.Replace(nil)
			_, err = v.Verify(tok)
			wantCode(t, err, "")
		})
	}
	t.Run("clients read why", func(t *testing.T) {
		set := new(Revocations)
		set.Replace([]Revocation{{Subject: "user-7"}})
		_, err := newTestVerifier(t, func(o *VerifierOptions) { o.Revocations = set }).Verify(token(nil))
		fault := wantCode(t, err, CodeTokenRevoked)
		if got := fault.Reason(); got != "InvalidJWTToken: Token was revoked" {
			t.Error(got)
		}
	})
}

func TestRevocationIsValid(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    Revocation
		ok   bool
	}{
		{"a jti", Revocation{TokenID: "t"}, true},
		{"a sub", Revocation{Subject: "s"}, true},
		{"a sub until a time", Revocation{Subject: "s", IssuedBefore: noon}, true},
		{"nothing", Revocation{}, false},
		{"both", Revocation{TokenID: "t", Subject: "s"}, false},
		{"a jti until a time", Revocation{TokenID: "t", IssuedBefore: noon}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.r.Validate(); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}
