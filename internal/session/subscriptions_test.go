package session

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSubscriptions(t *testing.T) {
	t.Run("are found by their topics, and in the order of these", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			var s subscriptions
			if rapid.Bool().Draw(rt, "many") { // more than are looked at one by one
				for i := range mostSideBySide + 1 {
					s.add(&subscription{topic: fmt.Sprint("realtime:other:", i)})
				}
			}
			others := len(s.all)
			model := map[string]*subscription{}
			topics := rapid.SampledFrom([]string{"realtime:a", "realtime:b", "realtime:c", "realtime:d", ""})
			for range rapid.IntRange(0, 30).Draw(rt, "steps") {
				topic := topics.Draw(rt, "topic")
				switch old := model[topic]; {
				case old == nil:
					model[topic] = &subscription{topic: topic}
					s.add(model[topic])
				case rapid.Bool().Draw(rt, "another one of that topic"):
					s.remove(&subscription{topic: topic}) // which is not there
				default:
					s.remove(old)
					delete(model, topic)
				}
				for _, topic := range []string{"realtime:a", "realtime:b", "realtime:c", "realtime:d", "", "realtime:e"} {
					if got := s.of(topic); got != model[topic] {
						rt.Fatalf("%q: %v, want %v", topic, got, model[topic])
					}
				}
				sorted := slices.IsSortedFunc(s.all, func(a, b *subscription) int {
					if a.topic < b.topic {
						return -1
					}
					return 1
				})
				if len(s.all) != others+len(model) || !sorted {
					rt.Fatalf("%d memberships, want %d, in order", len(s.all), others+len(model))
				}
			}
		})
	})
}
