package natsengine

import "container/heap"

// due is something and the instant at which it is to be done (Unix ms).
type due[T any] struct {
	at   int64
	what T
}

// dueHeap has what is due first at index 0. Not safe for concurrent use.
type dueHeap[T any] []due[T]

func (h *dueHeap[T]) add(at int64, what T) { heap.Push(h, due[T]{at, what}) }

// take takes what is due first, when that is by the instant now.
func (h *dueHeap[T]) take(now int64) (due[T], bool) {
	if len(*h) == 0 || (*h)[0].at > now {
		return due[T]{}, false
	}
	return heap.Pop(h).(due[T]), true //nolint:forcetypeassert // add pushes nothing else
}

// For heap.
func (h dueHeap[T]) Len() int           { return len(h) }
func (h dueHeap[T]) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap[T]) Push(x any)        { *h = append(*h, x.(due[T])) } //nolint:forcetypeassert // heap calls it with what add pushed
func (h *dueHeap[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = due[T]{}
	*h = old[:len(old)-1]
	return last
}
