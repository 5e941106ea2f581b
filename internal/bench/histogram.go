package bench

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The histogram is log-linear: each power of two is cut into subBuckets equal
// parts, so a bucket is at most 1/128 as wide as its values are large.
const (
	subBucketBits = 7
	subBuckets    = 1 << subBucketBits
	valueBits     = 42 // 2^42 ns are 73 minutes, longer than any run
	bucketCount   = (valueBits - subBucketBits + 1) << subBucketBits
)

// A Histogram counts durations with a relative error below 0.8 %. The zero value
// is empty. Record may be called concurrently; the other methods see what was
// recorded before they are called.
type Histogram struct {
	counts [bucketCount]atomic.Uint64
	n      atomic.Uint64
	max    atomic.Int64
}

// Record counts one duration. A negative one counts as 0, one beyond the range
// as the longest.
func (h *Histogram) Record(d time.Duration) {
	v := min(max(int64(d), 0), 1<<valueBits-1)
	h.counts[bucketOf(uint64(v))].Add(1)
	h.n.Add(1)
	for {
		old := h.max.Load()
		if v <= old || h.max.CompareAndSwap(old, v) {
			return
		}
	}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n.Load() }

// Max is the longest duration, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Quantile is the nearest-rank quantile: the smallest recorded duration that a
// share q of all does not exceed, rounded up by at most 1/128. It is 0 when
// nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.n.Load()
	if n == 0 {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(n))), 1), n)
	var seen uint64
	for i := range h.counts {
		seen += h.counts[i].Load()
		if seen >= rank {
			return min(time.Duration(bucketUpper(i)), h.Max())
		}
	}
	return h.Max()
}

// bucketOf is the index of the bucket that counts v.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-(subBucketBits+1), 0)
	return shift<<subBucketBits + int(v>>shift)
}

// bucketUpper is the largest value that bucket i counts.
func bucketUpper(i int) int64 {
	if i < 2*subBuckets {
		return int64(i)
	}
	shift := i>>subBucketBits - 1
	mantissa := i - shift<<subBucketBits
	return int64(mantissa+1)<<shift - 1
}
