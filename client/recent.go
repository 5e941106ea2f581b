package client

// recent remembers the newest strings that were added, up to a number.
type recent struct {
	most  int
	items map[string]struct{}
	order []string // a ring, once it is full
	at    int      // of the oldest in order
}

func newRecent(most int) recent { return recent{most: most, items: map[string]struct{}{}} }

func (r *recent) has(s string) bool {
	_, ok := r.items[s]
	return ok
}

// add says whether the string was not there yet.
func (r *recent) add(s string) bool {
	if r.has(s) {
		return false
	}
	r.items[s] = struct{}{}
	if len(r.order) < r.most {
		r.order = append(r.order, s)
		return true
	}
	delete(r.items, r.order[r.at])
	r.order[r.at] = s
	r.at = (r.at + 1) % r.most
	return true
}
