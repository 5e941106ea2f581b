package bench

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogram(t *testing.T) {
	t.Run("a quantile is the one of the sorted samples, at most 1/128 above", rapid.MakeCheck(func(t *rapid.T) {
		// Nanoseconds of every magnitude, small ones as likely as large ones.
		value := rapid.Custom(func(t *rapid.T) int64 {
			return rapid.Int64Range(0, 1<<rapid.IntRange(0, valueBits).Draw(t, "bits")-1).Draw(t, "ns")
		})
		samples := rapid.SliceOfN(value, 1, 300).Draw(t, "samples")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		h := &Histogram{}
		for _, s := range samples {
			h.Record(time.Duration(s))
		}
		slices.Sort(samples)
		rank := max(int(math.Ceil(q*float64(len(samples)))), 1)
		want := samples[rank-1]
		got := int64(h.Quantile(q))
		if got < want || got > want+want/subBuckets {
			t.Fatalf("Quantile(%g) = %d, exactly %d", q, got, want)
		}
		if h.Max() != time.Duration(samples[len(samples)-1]) || h.Count() != uint64(len(samples)) {
			t.Fatalf("Max %d, Count %d of %v", h.Max(), h.Count(), samples)
		}
	}))

	t.Run("every value lies in the bucket that counts it, and buckets follow each other", func(t *testing.T) {
		for i := 1; i < bucketCount; i++ {
			low, high := uint64(bucketUpper(i-1))+1, uint64(bucketUpper(i))
			if bucketOf(low) != i || bucketOf(high) != i {
				t.Fatalf("bucket %d holds %d to %d, counted in %d and %d", i, low, high, bucketOf(low), bucketOf(high))
			}
		}
		if last := bucketUpper(bucketCount - 1); last != 1<<valueBits-1 {
			t.Fatalf("the last bucket ends at %d", last)
		}
	})

	t.Run("what is out of range counts as the nearest end", func(t *testing.T) {
		h := &Histogram{}
		h.Record(-time.Second)
		h.Record(1000 * time.Hour)
		if got := h.Quantile(0.5); got != 0 {
			t.Errorf("a negative duration counts as %s", got)
		}
		if got := h.Quantile(1); got != 1<<valueBits-1 {
			t.Errorf("the longest duration counts as %s", got)
		}
	})

	t.Run("without samples everything is 0", func(t *testing.T) {
		h := &Histogram{}
		if h.Quantile(0.99) != 0 || h.Max() != 0 || h.Count() != 0 {
			t.Error("an empty histogram has figures")
		}
	})

	t.Run("goroutines that record at once lose nothing", func(t *testing.T) {
		h := &Histogram{}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 1000 {
					h.Record(time.Duration(g*1000 + i))
				}
			})
		}
		wg.Wait()
		if h.Count() != 8000 || h.Max() != 7999 || h.Quantile(1) != 7999 {
			t.Errorf("Count %d, Max %d", h.Count(), h.Max())
		}
	})
}
