package session

import (
	"hash/maphash"
	"slices"
	"strings"
)

// subscriptions are a session's memberships in the order of their topics: what is
// done to all of them is done in the same order every time. A page has one or a
// few, and a hundred at most unless the limit was raised: a map would weigh more than
// the session.
type subscriptions struct {
	all    []*subscription // to be read only
	hashes []uint32        // of their topics
}

var topicSeed = maphash.MakeSeed()

func hashTopic(topic string) uint32 { return uint32(maphash.String(topicSeed, topic)) }

// mostSideBySide is up to how many hashes are looked at one by one.
const mostSideBySide = 256

// of returns the membership of a topic, or nil. Each message that comes in asks. The
// hashes lie side by side; a search by topics would look at seven memberships of a
// hundred, none of which the caches have.
func (s *subscriptions) of(topic string) *subscription {
	if len(s.all) > mostSideBySide { // only where the limit was raised
		if i, found := s.find(topic); found {
			return s.all[i]
		}
		return nil
	}
	hash := hashTopic(topic)
	for i, h := range s.hashes {
		if h == hash && s.all[i].topic == topic {
			return s.all[i]
		}
	}
	return nil
}

func (s *subscriptions) find(topic string) (i int, found bool) {
	return slices.BinarySearchFunc(s.all, topic, func(sub *subscription, topic string) int {
		return strings.Compare(sub.topic, topic)
	})
}

// add puts in a membership whose topic has none.
func (s *subscriptions) add(sub *subscription) {
	i, _ := s.find(sub.topic)
	s.all = slices.Insert(s.all, i, sub)
	s.hashes = slices.Insert(s.hashes, i, hashTopic(sub.topic))
}

// remove takes a membership out, if it is there.
func (s *subscriptions) remove(sub *subscription) {
	if i, found := s.find(sub.topic); found && s.all[i] == sub {
		s.all = slices.Delete(s.all, i, i+1)
		s.hashes = slices.Delete(s.hashes, i, i+1)
	}
}
