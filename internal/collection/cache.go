package collection

import (
	"sync"

	"github.com/chorale-rt/chorale/protocol"
)

// maxCached is how many decoded records each generation of a cache holds: those
// of some hundred busy channels, a few MiB.
const maxCached = 4096

// A cache holds decoded records beside the bytes that they were decoded from. A
// hit is the same bytes in memory, not an equal version: the cache cannot be
// out of date, whatever becomes of a log. Records in it are shared, which is
// safe because reduce never changes its input.
//
// There are two generations; when the young one is full it becomes the old one,
// and what nobody asked for meanwhile goes. All methods may be called
// concurrently.
type cache struct {
	mu         sync.Mutex // guards the following
	young, old map[cacheKey]cached
}

type cacheKey struct{ channel, key string }

type cached struct {
	data   []byte // as the engine has it
	record *protocol.Record
}

func (c cached) is(data []byte) bool {
	return len(data) > 0 && len(c.data) == len(data) && &c.data[0] == &data[0]
}

// get returns the record that was decoded from exactly these bytes, or nil.
func (c *cache) get(channel, key string, data []byte) *protocol.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := cacheKey{channel, key}
	if hit := c.young[at]; hit.is(data) {
		return hit.record
	}
	if hit := c.old[at]; hit.is(data) {
		c.putLocked(at, hit)
		return hit.record
	}
	return nil
}

func (c *cache) put(channel, key string, data []byte, record *protocol.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(cacheKey{channel, key}, cached{data, record})
}

func (c *cache) putLocked(at cacheKey, entry cached) {
	if len(c.young) >= maxCached || c.young == nil {
		c.young, c.old = make(map[cacheKey]cached), c.young
	}
	c.young[at] = entry
}
