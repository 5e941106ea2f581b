package auth

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	// maxJWKSBytes and maxJWKSKeys bound what a key server that was taken over
	// can make us hold, and how many signatures one token can make us check.
	maxJWKSBytes = 1 << 20
	maxJWKSKeys  = 64

	// jwksTimeout bounds one attempt to load the key set.
	jwksTimeout = 10 * time.Second

	// unknownKeyWait bounds how long Verify waits for keys it does not have, and
	// unknownKeyPause how often strangers with invented key ids can cause a load.
	unknownKeyWait  = 2 * time.Second
	unknownKeyPause = 30 * time.Second

	// firstBackoff doubles with each failure, up to the refresh interval.
	firstBackoff = time.Second
)

// A keySource holds the current keyring and, when it has a key set to load,
// keeps it fresh while run is running.
type keySource struct {
	fixed    []key // the secret and the PEM keys: always part of the ring
	load     func(context.Context) ([]byte, error)
	interval time.Duration
	log      *slog.Logger

	ring   atomic.Pointer[keyring]
	loaded atomic.Bool // the key set was read at least once, or there is none
	last   []byte      // what the set was when last read; only run and the constructor touch it

	mu       sync.Mutex    // guards the following
	running  bool          // run will answer a wish
	busy     bool          // an attempt is wished for or under way
	wished   time.Time     // when Verify last wished for one
	finished chan struct{} // closed, and replaced, when an attempt ends

	wish chan struct{} // capacity 1; filled by awaitRefresh, emptied by run
}

// newKeySource does no I/O. jwks is a path, an http(s) URL, or "" for none.
func newKeySource(fixed []key, jwks string, client *http.Client, interval time.Duration, log *slog.Logger) (*keySource, error) {
	s := &keySource{
		fixed: fixed, interval: interval, log: log,
		finished: make(chan struct{}), wish: make(chan struct{}, 1),
	}
	s.ring.Store(&keyring{keys: fixed})
	if jwks == "" {
		s.loaded.Store(true)
		return s, nil
	}
	if !strings.Contains(jwks, "://") {
		s.load = func(context.Context) ([]byte, error) { return os.ReadFile(jwks) }
		return s, s.refresh(context.Background()) // a file that is wrong now is a mistake, not an outage
	}
	u, err := url.Parse(jwks)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("key set URL: want https://host/path")
	}
	s.load = func(ctx context.Context) ([]byte, error) { return fetchJWKS(ctx, client, jwks) }
	return s, nil
}

// run loads the key set at once if it has not been, then every interval, and
// when Verify wishes for it. After a failure the old keys stay and the next
// attempt is backed off. It returns when ctx ends.
func (s *keySource) run(ctx context.Context) {
	if s.load == nil {
		<-ctx.Done()
		return
	}
	s.setRunning(true)
	defer s.setRunning(false)
	delay := time.Duration(0)
	if s.loaded.Load() {
		delay = s.interval
	}
	for failures := 0; ; {
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wish:
			timer.Stop()
		case <-timer.C:
		}
		s.attemptBegins()
		err := s.refresh(ctx)
		s.attemptEnded()
		if err == nil {
			failures, delay = 0, jitter(s.interval)
			continue
		}
		if ctx.Err() == nil {
			s.log.Warn("key set not loaded, the keys known so far stay", "err", err, "failures", failures+1)
		}
		delay = jitter(min(firstBackoff<<min(failures, 16), s.interval))
		failures++
	}
}

// refresh loads the key set once and, if it changed, makes it the current one.
func (s *keySource) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	data, err := s.load(ctx)
	if err != nil {
		return fmt.Errorf("load key set: %w", err)
	}
	if bytes.Equal(data, s.last) {
		return nil // the same ring stays, and with it the remembered tokens
	}
	keys, skipped, err := parseJWKS(data)
	if err != nil {
		return fmt.Errorf("load key set: %w", err)
	}
	for _, err := range skipped {
		s.log.Warn("key of the key set skipped", "err", err)
	}
	s.last = data
	s.ring.Store(&keyring{keys: append(keys, s.fixed...)})
	s.loaded.Store(true)
	return nil
}

// awaitRefresh asks run for a load and waits for it, unknownKeyWait at most. It
// reports whether there was one. At most one per unknownKeyPause is made for
// this reason, however many callers and strangers ask.
func (s *keySource) awaitRefresh() bool {
	finished := s.wishRefresh()
	if finished == nil {
		return false
	}
	timer := time.NewTimer(unknownKeyWait)
	defer timer.Stop()
	select {
	case <-finished:
		return true
	case <-timer.C:
		return false
	}
}

// wishRefresh returns a channel that is closed when the attempt it asked for,
// or one that was already asked for, has ended; nil when there will be none.
func (s *keySource) wishRefresh() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil
	}
	if !s.busy {
		if !s.wished.IsZero() && time.Since(s.wished) < unknownKeyPause {
			return nil
		}
		s.busy, s.wished = true, time.Now()
		s.wish <- struct{}{} // never blocks: attemptBegins empties it before busy ends
	}
	return s.finished
}

func (s *keySource) attemptBegins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = true
	select {
	case <-s.wish: // this attempt answers it
	default:
	}
}

func (s *keySource) attemptEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	close(s.finished)
	s.finished = make(chan struct{})
}

func (s *keySource) setRunning(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
}

// jitter spreads a delay over its last fifth, so that many servers that were
// started together do not ask together for ever.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/5+1)
}

func fetchJWKS(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key server answered %s", res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJWKSBytes {
		return nil, fmt.Errorf("key set is larger than %d bytes", maxJWKSBytes)
	}
	return data, nil
}

// parseJWKS reads a JSON Web Key Set. Keys that cannot verify our tokens
// (encryption keys, other curves, weak ones) are skipped and reported; it is an
// error when none remains.
func parseJWKS(data []byte) (keys []key, skipped []error, err error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, errors.New("not a JSON Web Key Set")
	}
	if len(set.Keys) > maxJWKSKeys {
		return nil, nil, fmt.Errorf("%d keys: at most %d are accepted", len(set.Keys), maxJWKSKeys)
	}
	for i, m := range set.Keys {
		k, err := jwkKey(m)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d (kid %.64q): %w", i, m.KID, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, skipped, errors.Join(append([]error{errors.New("no usable key")}, skipped...)...)
	}
	return keys, skipped, nil
}

func jwkKey(m jwkset.JWKMarshal) (key, error) {
	if m.USE != "" && m.USE != jwkset.UseSig {
		return key{}, errors.New("not a signature key")
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, errors.New("not a valid key") // the library's text may quote key material
	}
	use := jwk.Key()
	if private, ok := use.(interface{ Public() crypto.PublicKey }); ok {
		use = private.Public() // some servers publish more than they should
	}
	alg := string(m.ALG)
	if alg == "Ed25519" { // RFC 9864's name for the one curve that we take
		alg = "EdDSA"
	}
	return newKey(m.KID, alg, use)
}
