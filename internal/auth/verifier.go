package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// MinSecretBytes is the shortest HMAC secret that is accepted, the 256 bits of
// RFC 7518, 3.2: shorter ones are guessed offline from a single token.
const MinSecretBytes = 32

// maxTokenBytes bounds what a stranger can make us decode. Tokens come in
// query strings and frames; real ones stay below 4 KiB.
const maxTokenBytes = 16 << 10

// VerifierOptions says which tokens to accept. At least one of Secret,
// PublicKeys and JWKS must be given; all that are given count.
type VerifierOptions struct {
	// Secret verifies HS256, HS384 and HS512. At least MinSecretBytes.
	Secret []byte

	// PublicKeys are PEM files' contents: public keys or certificates, one or
	// more each. RSA keys (2048 bits or more) verify RS256, RS384 and RS512, P-256
	// verifies ES256, P-384 ES384, and Ed25519 EdDSA.
	PublicKeys [][]byte

	// JWKS is the path or the http(s) URL of a JSON Web Key Set. A file is read by
	// NewVerifier and by Run, a URL by Run only. Use http only where nobody else
	// can answer: whoever does decides who is who.
	JWKS string

	// JWKSInterval is how often Run loads the key set. Zero means 10 minutes, at
	// least 10 seconds. A key that was withdrawn is trusted for that long.
	JWKSInterval time.Duration

	// HTTPClient loads the URL. Nil means one that follows no redirect to http.
	HTTPClient *http.Client

	Issuer   string // what iss must be; "" means anything
	Audience string // what aud must be or contain; "" means anything

	// Leeway is added to exp and taken from nbf, for issuers whose clocks differ.
	Leeway time.Duration

	// CacheSize is how many verified tokens are remembered, about 1 KiB each.
	// Zero means 16,384; negative means none.
	CacheSize int

	// Now is the clock that tokens are judged by. Nil means time.Now.
	Now func() time.Time

	// Logger hears of key sets that could not be loaded. Nil means nobody.
	Logger *slog.Logger

	// Revocations are asked about every token whose signature is good, whether it
	// is remembered or not. Nil means that nothing is revoked.
	Revocations *Revocations
}

// String leaves out everything: options hold the secret.
func (o VerifierOptions) String() string { return "auth.VerifierOptions{…}" }

// GoString is String, for %#v.
func (o VerifierOptions) GoString() string { return o.String() }

// LogValue implements slog.LogValuer.
func (o VerifierOptions) LogValue() slog.Value { return slog.StringValue(o.String()) }

func (o VerifierOptions) withDefaults() VerifierOptions {
	if o.JWKSInterval == 0 {
		o.JWKSInterval = 10 * time.Minute
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{CheckRedirect: refuseDowngrade}
	}
	if o.CacheSize == 0 {
		o.CacheSize = 16384
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o VerifierOptions) validate() error {
	switch {
	case len(o.Secret) == 0 && len(o.PublicKeys) == 0 && o.JWKS == "":
		return errors.New("no key: give a secret, a public key or a key set")
	case bytes.Contains(o.Secret, []byte("-----BEGIN ")):
		return errors.New("Secret is a PEM block: a public key belongs in PublicKeys, where anyone may know it")
	case o.JWKSInterval < 10*time.Second:
		return fmt.Errorf("JWKSInterval %s: at least 10s", o.JWKSInterval)
	case o.Leeway < 0:
		return fmt.Errorf("Leeway %s: must not be negative", o.Leeway)
	}
	return nil
}

// refuseDowngrade keeps a redirect from turning an authentic key set into one
// that anybody on the way can write.
func refuseDowngrade(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
		return errors.New("key server redirects to http")
	}
	if len(via) >= 5 {
		return errors.New("key server redirects in circles")
	}
	return nil
}

// A Verifier turns tokens into identities. Its methods may be called from any
// goroutine.
type Verifier struct {
	issuer, audience string
	leeway           time.Duration
	now              func() time.Time
	parser           *jwt.Parser
	keys             *keySource
	cache            *tokenCache
	revocations      *Revocations
}

// NewVerifier checks the options and reads the keys that are at hand. An error
// names the option at fault and never its value.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("token verifier: %w", err)
	}
	fixed, err := fixedKeys(o)
	if err != nil {
		return nil, fmt.Errorf("token verifier: %w", err)
	}
	keys, err := newKeySource(fixed, o.JWKS, o.HTTPClient, o.JWKSInterval, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("token verifier: %w", err)
	}
	return &Verifier{
		issuer: o.Issuer, audience: o.Audience, leeway: o.Leeway, now: o.Now,
		// Claims are checked by identify, which knows upstream's order and texts.
		parser: jwt.NewParser(jwt.WithJSONNumber(), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		keys:   keys,
		cache:  newTokenCache(max(o.CacheSize, 0)),

		revocations: o.Revocations,
	}, nil
}

func fixedKeys(o VerifierOptions) ([]key, error) {
	var keys []key
	if len(o.Secret) > 0 {
		k, err := newKey("", "", bytes.Clone(o.Secret))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	for i, data := range o.PublicKeys {
		parsed, err := parsePEM(data)
		if err != nil {
			return nil, fmt.Errorf("PublicKeys[%d]: %w", i, err)
		}
		keys = append(keys, parsed...)
	}
	return keys, nil
}

// Run keeps the key set fresh until ctx ends, then returns nil. It may be called
// once. Without it a key set given as URL is never loaded, and one given as file
// never again.
func (v *Verifier) Run(ctx context.Context) error {
	v.keys.run(ctx)
	return nil
}

// Healthy returns an error while the key set was never loaded: until then only
// tokens of the secret and the public keys are accepted.
func (v *Verifier) Healthy() error {
	if !v.keys.loaded.Load() {
		return errors.New("token keys: the key set was not loaded yet")
	}
	return nil
}

// String says nothing about the keys.
func (v *Verifier) String() string {
	return fmt.Sprintf("auth.Verifier with %d keys", len(v.keys.ring.Load().keys))
}

// GoString is String, for %#v.
func (v *Verifier) GoString() string { return v.String() }

// LogValue implements slog.LogValuer.
func (v *Verifier) LogValue() slog.Value { return slog.StringValue(v.String()) }

// Verify returns who token speaks for. Whitespace in the token is ignored and
// percent-escapes are decoded, because tokens arrive by query string and by
// copy and paste. The error is always a *TokenError.
//
// Verify does not block, except that a token which names an unknown key makes it
// wait up to two seconds for a fresh key set, when one is configured and Run is
// running. All such callers share one load, and there is one in 30 seconds at
// most.
func (v *Verifier) Verify(token string) (*Identity, error) {
	token, tokenErr := normalize(token)
	if tokenErr != nil {
		return nil, tokenErr
	}
	now, ring := v.now(), v.keys.ring.Load()
	hash := hashOf(token)
	if id := v.cache.get(hash, ring, now); id != nil {
		return v.unlessRevoked(id, now)
	}
	parsed, tokenErr := v.parse(token)
	if tokenErr != nil {
		return nil, tokenErr
	}
	ring, tokenErr = v.checkSignature(parsed, ring)
	if tokenErr != nil {
		return nil, tokenErr
	}
	id, tokenErr := v.identify(parsed.claims, now)
	if tokenErr != nil {
		return nil, tokenErr
	}
	v.cache.put(hash, ring, id)
	return v.unlessRevoked(id, now)
}

// unlessRevoked comes after the cache, so that a revocation needs to find no
// entry of it, and taking one back makes the token good again at once.
func (v *Verifier) unlessRevoked(id *Identity, now time.Time) (*Identity, error) {
	if err := v.revocations.check(id, now); err != nil {
		return nil, err
	}
	return id, nil
}

func normalize(token string) (string, *TokenError) {
	if len(token) > maxTokenBytes {
		return "", tokenError(CodeTokenMalformed, "token is longer than %d bytes", maxTokenBytes)
	}
	if strings.Contains(token, "%") {
		decoded, err := url.PathUnescape(token) // not QueryUnescape: a plus sign is no space here
		if err != nil {
			return "", tokenError(CodeTokenMalformed, "token has a broken percent-escape")
		}
		token = decoded
	}
	if mayHaveSpace(token) {
		token = strings.Join(strings.Fields(token), "")
	}
	if token == "" {
		return "", tokenError(CodeAPIKeyMissing, "no token was given")
	}
	return token, nil
}

// mayHaveSpace says whether some byte may be white space, or a part of it. A token's
// characters are none, and it has hundreds.
func mayHaveSpace(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// A parsedToken is a token whose signature was not checked yet.
type parsedToken struct {
	claims    map[string]any
	method    jwt.SigningMethod
	kind      keyKind
	kid       string // "" for none
	signed    string // what the signature signs
	signature []byte
}

// parse decodes a token. The library's errors are replaced, not wrapped: they
// quote from the token.
func (v *Verifier) parse(token string) (*parsedToken, *TokenError) {
	claims := jwt.MapClaims{}
	t, parts, err := v.parser.ParseUnverified(token, claims)
	if errors.Is(err, jwt.ErrTokenMalformed) {
		return nil, tokenError(CodeTokenMalformed, "token is not three base64url parts of JSON")
	}
	alg, _ := t.Header["alg"].(string)
	kind := kindOf(alg)
	if err != nil || kind == noKind {
		return nil, tokenError(CodeAlgorithmUnsupported, "algorithm %.16q is not accepted", alg)
	}
	if _, ok := t.Header["crit"]; ok {
		return nil, tokenError(CodeTokenMalformed, "token demands extensions (crit) that are not supported")
	}
	kid, ok := t.Header["kid"].(string)
	if !ok && t.Header["kid"] != nil {
		return nil, tokenError(CodeTokenMalformed, "token has a kid that is not a string")
	}
	return &parsedToken{
		claims: claims, method: t.Method, kind: kind, kid: kid,
		signed: parts[0] + "." + parts[1], signature: t.Signature,
	}, nil
}

// checkSignature returns the keys that the signature was found good with: ring,
// or newer ones when the token names a key that is not in ring.
func (v *Verifier) checkSignature(t *parsedToken, ring *keyring) (*keyring, *TokenError) {
	known, err := t.signedByOneOf(ring)
	if err == nil || known && v.keys.loaded.Load() || !v.keys.awaitRefresh() {
		return ring, v.orUnavailable(err)
	}
	ring = v.keys.ring.Load()
	_, err = t.signedByOneOf(ring)
	return ring, v.orUnavailable(err)
}

// orUnavailable tells a missing key from one that could not be loaded.
func (v *Verifier) orUnavailable(err *TokenError) *TokenError {
	if err != nil && err.Code == CodeKeyUnknown && !v.keys.loaded.Load() {
		return tokenError(CodeKeysUnavailable, "the key set was not loaded yet")
	}
	return err
}

// signedByOneOf reports whether the token's kid is known, and why no key of ring
// made its signature; nil when one did.
func (t *parsedToken) signedByOneOf(ring *keyring) (kidKnown bool, _ *TokenError) {
	alg := t.method.Alg()
	keys, known := ring.fitting(t.kind, alg, t.kid)
	if len(keys) == 0 {
		return known, tokenError(CodeKeyUnknown, "no key for algorithm %s and kid %.64q", alg, t.kid)
	}
	for _, k := range keys {
		if t.method.Verify(t.signed, t.signature, k.use) == nil {
			return known, nil
		}
	}
	return known, tokenError(CodeSignatureInvalid, "signature does not fit, algorithm %s and kid %.64q", alg, t.kid)
}
