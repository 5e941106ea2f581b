package collection

import (
	"fmt"
	"testing"

	"github.com/chorale-rt/chorale/protocol"
)

func TestCache(t *testing.T) {
	data := []byte(`{"fields":{}}`)
	rec := &protocol.Record{ID: "r"}
	t.Run("a hit is the same bytes, not equal ones", func(t *testing.T) {
		var c cache
		c.put("ch", "k", data, rec)
		if c.get("ch", "k", data) != rec {
			t.Error("not found")
		}
		if c.get("ch", "k", append([]byte(nil), data...)) != nil || c.get("ch", "k", data[:5]) != nil || c.get("ch", "k", nil) != nil {
			t.Error("found by other bytes")
		}
	})
	t.Run("[R7] it is bounded, and keeps what is asked for", func(t *testing.T) {
		var c cache
		c.put("ch", "kept", data, rec)
		for i := range 3 * maxCached {
			c.put("ch", fmt.Sprint(i), data, rec)
			if c.get("ch", "kept", data) != rec {
				t.Fatalf("forgotten after %d others", i)
			}
		}
		if n := len(c.young) + len(c.old); n > 2*maxCached {
			t.Errorf("holds %d", n)
		}
	})
}
