package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"strings"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
)

// author is who a mutation is of.
func author(id *auth.Identity) collection.Author { return collection.Author{Subject: id.Subject} }

const maxKeyBytes = 255 // of an Idempotency-Key

// authors make client ids for writes whose sender has none (M1).
//
// With an Idempotency-Key the client id is derived from it, and the write is
// mutation 1 of that client: the same key by the same identity in the same
// channel is the same mutation, after whichever restart, and the channel itself
// answers the repeat with the first outcome. The price is one small row per key,
// kept for the engine's tombstone age.
//
// Without a key there is nothing to recognise a repeat by. Such writes share one
// client id per identity and run of this process, so that they leave one row and
// not one each. Their numbers must follow each other: they take turns.
type authors struct {
	run   string // in client ids, so that no other run counts on with them
	seed  maphash.Seed
	turns [256]chan struct{} // by channel and client id
}

func newAuthors() *authors {
	a := &authors{run: strings.ToLower(rand.Text()), seed: maphash.MakeSeed()}
	for i := range a.turns {
		a.turns[i] = make(chan struct{}, 1)
	}
	return a
}

func (a *authors) keyed(id *auth.Identity, key string) string {
	return "rest-" + digest("key", id.Subject, id.Role, key)
}

func (a *authors) shared(id *auth.Identity) string {
	return "rest-" + a.run + "-" + digest("run", id.Subject, id.Role)
}

// turn waits until no other write of this client is under way in the channel.
// leave must be called.
func (a *authors) turn(ctx context.Context, channel, client string) (leave func(), err error) {
	place := a.turns[maphash.Comparable(a.seed, [2]string{channel, client})%uint64(len(a.turns))]
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// digest is 128 bits over the parts, in hex. Lengths keep the parts apart.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = h.Write(size[:]) // a hash does not fail
		_, _ = h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
