package metrics

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestWhatManyCountIsSummed(t *testing.T) {
	s := New()
	var counting sync.WaitGroup
	for range 100 {
		received, delivered := s.Received(), s.Delivered()
		counting.Go(func() {
			for range 10 {
				received.Add(1)
				delivered.Add(3)
			}
		})
	}
	counting.Wait()
	page := httptest.NewRecorder()
	s.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		"# TYPE chorale_frames_received_total counter\nchorale_frames_received_total 1000\n",
		"# TYPE chorale_messages_delivered_total counter\nchorale_messages_delivered_total 3000\n",
	} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks\n%s", want)
		}
	}
	var nobody *Cell
	nobody.Add(1)
}

// BenchmarkCounting is one addition while every CPU makes some: to one counter, and each to
// a cell of its own. Compare -cpu 1 and -cpu 2.
func BenchmarkCounting(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		shared := New().Received()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				shared.Add(1)
			}
		})
	})
	b.Run("cells", func(b *testing.B) {
		s := New()
		b.RunParallel(func(p *testing.PB) {
			own := s.Received()
			for p.Next() {
				own.Add(1)
			}
		})
	})
}
