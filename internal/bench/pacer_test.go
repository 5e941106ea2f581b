package bench

import (
	"context"
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &startLoop(t).pacer

	t.Run("no sleep is too short, and none follows from the one before", func(t *testing.T) {
		for i := range 200 {
			d := time.Duration(i%7) * 50 * time.Microsecond
			began := time.Now()
			if err := p.sleep(ctx, d); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < d {
				t.Fatalf("sleep %d of %s took %s", i, d, took)
			}
		}
	})

	t.Run("sleep ends with the context", func(t *testing.T) {
		time.AfterFunc(10*time.Millisecond, cancel)
		if err := p.sleep(ctx, time.Hour); err == nil {
			t.Error("an hour went by")
		}
	})
}
