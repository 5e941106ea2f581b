package auth

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// tokenHash stands for a token in the cache. It must be collision-free against
// an adversary, because a hit takes the place of a signature check.
type tokenHash [sha256.Size]byte

// hashOf needs no allocation for tokens of the usual size: it is asked for at
// each connect and each join.
func hashOf(token string) tokenHash {
	var room [1024]byte
	return sha256.Sum256(append(room[:0], token...))
}

// cacheShards is a power of two large enough that the cores of one machine
// rarely meet at one lock.
const cacheShards = 16

// A tokenCache remembers identities of tokens that were verified. Reading takes
// a shared lock of one shard and writes nothing but, at most, one flag: that is
// why eviction is second chance (CLOCK), which approximates least recently used,
// and not an exact list that each reader would have to relink.
type tokenCache struct{ shards [cacheShards]cacheShard }

type cacheShard struct {
	mu     sync.RWMutex // guards the following
	byHash map[tokenHash]*cachedToken
	clock  []*cachedToken // in order of insertion; grows to limit
	hand   int            // index in clock of the next candidate for eviction
	limit  int
	_      [64]byte // keeps neighbours' locks on their own cache line
}

type cachedToken struct {
	hash tokenHash
	id   *Identity
	ring *keyring // the keys it was verified with
	at   int      // its index in clock
	used atomic.Bool
}

// newTokenCache holds size identities, give or take one per shard.
func newTokenCache(size int) *tokenCache {
	c := new(tokenCache)
	for i := range c.shards {
		c.shards[i].byHash = make(map[tokenHash]*cachedToken)
		c.shards[i].limit = (size + cacheShards - 1) / cacheShards
	}
	return c
}

func (c *tokenCache) shard(hash tokenHash) *cacheShard {
	return &c.shards[hash[0]%cacheShards]
}

// get returns the identity of a token that is still good at now, or nil. What
// was verified with other keys than ring does not count: a key that was
// withdrawn takes its tokens along.
func (c *tokenCache) get(hash tokenHash, ring *keyring, now time.Time) *Identity {
	s := c.shard(hash)
	s.mu.RLock()
	t := s.byHash[hash]
	s.mu.RUnlock()
	if t == nil || t.ring != ring || !now.Before(t.id.ExpiresAt) {
		return nil
	}
	if !t.used.Load() {
		t.used.Store(true)
	}
	return t.id
}

func (c *tokenCache) put(hash tokenHash, ring *keyring, id *Identity) {
	t := &cachedToken{hash: hash, id: id, ring: ring}
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch old := s.byHash[hash]; {
	case s.limit == 0:
		return
	case old != nil: // two verified it at once, or the keys changed
		t.at = old.at
		s.clock[t.at] = t
	case len(s.clock) < s.limit:
		t.at = len(s.clock)
		s.clock = append(s.clock, t)
	default:
		t.at = s.evictLocked()
		s.clock[t.at] = t
	}
	s.byHash[hash] = t
}

// evictLocked forgets the next token that was not asked for since the hand last
// passed it, and returns its place.
func (s *cacheShard) evictLocked() int {
	for s.clock[s.hand].used.Swap(false) {
		s.hand = (s.hand + 1) % len(s.clock)
	}
	at := s.hand
	delete(s.byHash, s.clock[at].hash)
	s.hand = (s.hand + 1) % len(s.clock)
	return at
}
