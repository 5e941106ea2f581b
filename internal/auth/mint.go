package auth

import (
	"crypto/rand"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MintOptions says what a token made by Mint claims.
type MintOptions struct {
	Subject string        // sub; "" leaves it out
	Role    string        // role; "" means authenticated
	Name    string        // name, what others see of a guest; "" leaves it out
	TTL     time.Duration // exp − iat, in whole seconds; zero means one hour
	Extra   map[string]any

	// Now is the issuer's clock. Nil means time.Now.
	Now func() time.Time
}

// Mint makes an HS256 token: for dev mode, the token command and tests. Extra
// may not repeat a claim that Mint sets itself. Each token has a jti of its own.
func Mint(secret []byte, o MintOptions) (string, error) {
	if _, err := newKey("", "", secret); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	if o.Role == "" {
		o.Role = "authenticated"
	}
	if o.TTL == 0 {
		o.TTL = time.Hour
	}
	if o.TTL < time.Second {
		return "", fmt.Errorf("mint token: TTL %s: at least 1s", o.TTL)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	issuedAt := o.Now().Unix()
	own := jwt.MapClaims{
		"role": o.Role, "iat": issuedAt, "exp": issuedAt + int64(o.TTL/time.Second), "jti": rand.Text(),
	}
	if o.Subject != "" {
		own["sub"] = o.Subject
	}
	if o.Name != "" {
		own["name"] = o.Name
	}
	claims := jwt.MapClaims(maps.Clone(o.Extra))
	if claims == nil {
		claims = jwt.MapClaims{}
	}
	for name, value := range own {
		if _, twice := claims[name]; twice {
			return "", fmt.Errorf("mint token: claim %q is given twice", name)
		}
		claims[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return token, nil
}
