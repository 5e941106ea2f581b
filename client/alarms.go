package client

import "time"

// alarms are the deadlines of one client. They are guarded by Client.mu; one
// goroutine, Client.run, waits for the next of them and fires it under the lock.
type alarms struct {
	set  map[*alarm]struct{}
	next time.Time     // of the alarm that the goroutine waits for; zero for none
	wake chan struct{} // capacity 1: an earlier alarm was set
}

type alarm struct {
	at   time.Time
	fire func()
}

func newAlarms() alarms {
	return alarms{set: map[*alarm]struct{}{}, wake: make(chan struct{}, 1)}
}

// start sets an alarm.
func (a *alarms) start(d time.Duration, fire func()) *alarm {
	al := &alarm{at: time.Now().Add(d), fire: fire}
	a.set[al] = struct{}{}
	if a.next.IsZero() || al.at.Before(a.next) {
		a.next = al.at
		select {
		case a.wake <- struct{}{}:
		default: // it is awake already
		}
	}
	return al
}

// stop takes an alarm back. It may be nil, stopped or fired.
func (a *alarms) stop(al *alarm) { delete(a.set, al) }

// fireDue fires what is due, in the order in which it is due, and says how long
// it is until the next, if there is one.
func (a *alarms) fireDue(now time.Time) (wait time.Duration, more bool) {
	for {
		var first *alarm
		for al := range a.set {
			if first == nil || al.at.Before(first.at) {
				first = al
			}
		}
		if first == nil {
			a.next = time.Time{}
			return 0, false
		}
		if first.at.After(now) {
			a.next = first.at
			return first.at.Sub(now), true
		}
		delete(a.set, first)
		first.fire()
	}
}
