package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// keyKind is what a key can sign with. An algorithm belongs to exactly one
// kind; that is what makes key confusion impossible.
type keyKind uint8

const (
	noKind keyKind = iota
	hmacKind
	rsaKind
	p256Kind
	p384Kind
	ed25519Kind
)

// kindOf returns noKind for an algorithm that is not accepted, `none` included.
func kindOf(alg string) keyKind {
	switch alg {
	case "HS256", "HS384", "HS512":
		return hmacKind
	case "RS256", "RS384", "RS512":
		return rsaKind
	case "ES256":
		return p256Kind
	case "ES384":
		return p384Kind
	case "EdDSA":
		return ed25519Kind
	default:
		return noKind
	}
}

// A key verifies signatures of one kind.
type key struct {
	kind keyKind
	id   string // kid; "" for secrets and PEM keys, which any kid may name
	alg  string // the only algorithm it is for; "" for all of its kind
	use  any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// minRSABits: shorter RSA keys are within reach of a determined stranger.
const minRSABits = 2048

// newKey checks that a Go key is one that tokens may be verified with.
func newKey(id, alg string, use any) (key, error) {
	k := key{id: id, alg: alg, use: use}
	switch use := use.(type) {
	case []byte:
		if len(use) < MinSecretBytes {
			return key{}, fmt.Errorf("HMAC secret of %d bytes: at least %d are needed (RFC 7518, 3.2)", len(use), MinSecretBytes)
		}
		k.kind = hmacKind
	case *rsa.PublicKey:
		if use.N.BitLen() < minRSABits {
			return key{}, fmt.Errorf("RSA key of %d bits: at least %d are needed", use.N.BitLen(), minRSABits)
		}
		k.kind = rsaKind
	case *ecdsa.PublicKey:
		switch use.Curve {
		case elliptic.P256():
			k.kind = p256Kind
		case elliptic.P384():
			k.kind = p384Kind
		default:
			return key{}, fmt.Errorf("elliptic curve %s: P-256 and P-384 are supported", use.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		k.kind = ed25519Kind
	default:
		return key{}, fmt.Errorf("key type %T is not supported", use)
	}
	if alg != "" && kindOf(alg) != k.kind {
		return key{}, fmt.Errorf("algorithm %q does not go with this type of key", alg)
	}
	return k, nil
}

// parsePEM reads all public keys and certificates in data. At least one must be
// there, and nothing else: a private key in a server that only verifies is a
// mistake worth stopping for.
func parsePEM(data []byte) ([]key, error) {
	var keys []key
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		public, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", "", public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block found")
	}
	return keys, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	default:
		return nil, fmt.Errorf("PEM block %q: want PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", block.Type)
	}
}

// A keyring is all keys that are accepted at one time. It never changes.
type keyring struct{ keys []key }

// fitting returns the keys to try for a token, and whether its kid is known.
// Keys with that id are tried and no others; when there are none, or the token
// names none, the keys without an id are. A token without a kid may also have
// been signed by any key that has one.
func (r *keyring) fitting(kind keyKind, alg, kid string) (keys []key, known bool) {
	known = kid == ""
	for _, k := range r.keys {
		if kid != "" && k.id == kid {
			known = true
		}
	}
	for _, k := range r.keys {
		named := kid != "" && known && k.id == kid
		anonymous := kid == "" || !known && k.id == ""
		if (named || anonymous) && k.kind == kind && (k.alg == "" || k.alg == alg) {
			keys = append(keys, k)
		}
	}
	return keys, known
}
