package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// noon is when all tokens of these tests are judged, unless a test says otherwise.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

var testSecret = []byte("a secret of these tests, 32 bytes and more")

// RSA keys are slow to make; one of each kind serves all tests.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"rsa":     must(rsa.GenerateKey(rand.Reader, 2048)),
		"p256":    must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"p384":    must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ed25519": second(ed25519.GenerateKey(rand.Reader)),
	}
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func second(_ ed25519.PublicKey, private ed25519.PrivateKey, err error) crypto.Signer {
	return must(private, err)
}

func publicPEM(t testing.TB, name string) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(testKeys()[name].Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// claimsWith returns good claims, changed: a nil value removes the claim.
func claimsWith(changes map[string]any) jwt.MapClaims {
	claims := jwt.MapClaims{"sub": "user-7", "role": "authenticated", "exp": noon.Add(time.Hour).Unix()}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// sign makes a token with any algorithm, key and header.
func sign(t testing.TB, alg string, key any, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	maps.Copy(token.Header, header)
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rawToken signs any payload, which need not be claims, with HS256.
func rawToken(header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(must(jwt.SigningMethodHS256.Sign(signed, testSecret)))
}

func newTestVerifier(t testing.TB, change func(*VerifierOptions)) *Verifier {
	t.Helper()
	o := VerifierOptions{Secret: testSecret, Now: atNoon}
	if change != nil {
		change(&o)
	}
	v, err := NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantCode fails unless err is a *TokenError with the code; "" means no error.
func wantCode(t testing.TB, err error, code string) *TokenError {
	t.Helper()
	tokenErr, _ := errors.AsType[*TokenError](err)
	switch {
	case code == "" && err == nil:
		return nil
	case tokenErr == nil || tokenErr.Code != code:
		t.Fatalf("got %v, want code %q", err, code)
	}
	return tokenErr
}

// jwksOf renders public keys as a key set, ids to key names.
func jwksOf(t testing.TB, keys map[string]string) []byte {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	set := []map[string]any{}
	for id, name := range keys {
		jwk := map[string]any{"kid": id, "use": "sig"}
		switch public := testKeys()[name].Public().(type) {
		case *rsa.PublicKey:
			jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(public.N.Bytes()), "AQAB"
		case *ecdsa.PublicKey:
			point := must(public.Bytes())[1:]
			jwk["kty"], jwk["crv"] = "EC", public.Params().Name
			jwk["x"], jwk["y"] = b64(point[:len(point)/2]), b64(point[len(point)/2:])
		case ed25519.PublicKey:
			jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
		}
		set = append(set, jwk)
	}
	return must(json.Marshal(map[string]any{"keys": set}))
}
