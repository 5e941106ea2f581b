package session

import (
	"slices"
	"strings"
)

// subscriptions are a session's memberships in the order of their topics: what is
// done to all of them is done in the same order every time. A page has one or a
// few, and never more than a hundred: a map would weigh more than the session.
type subscriptions []*subscription

func (all subscriptions) find(topic string) (i int, found bool) {
	return slices.BinarySearchFunc(all, topic, func(sub *subscription, topic string) int {
		return strings.Compare(sub.topic, topic)
	})
}

// of returns the membership of a topic, or nil.
func (all subscriptions) of(topic string) *subscription {
	if i, found := all.find(topic); found {
		return all[i]
	}
	return nil
}

// add puts in a membership whose topic has none.
func (all *subscriptions) add(sub *subscription) {
	i, _ := all.find(sub.topic)
	*all = slices.Insert(*all, i, sub)
}

// remove takes a membership out, if it is there.
func (all *subscriptions) remove(sub *subscription) {
	if i, found := all.find(sub.topic); found && (*all)[i] == sub {
		*all = slices.Delete(*all, i, i+1)
	}
}
