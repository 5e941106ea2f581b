package bench

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHighest(t *testing.T) {
	bound := Bound{P99: time.Second, From: 50, Duration: 50 * time.Millisecond}

	t.Run("what is found is the highest rate at which nothing is lost, in figures of that rate", func(t *testing.T) {
		// Beyond so many messages of one try the fake loses each: 20 and 10 are borne.
		const most = 20
		f := startFake(t, &fake{spoil: func(delivered int, frame []byte) [][]byte {
			if delivered > most {
				return nil
			}
			return [][]byte{frame}
		}})
		s := FanoutMax{Bound: bound, Mode: Broadcast, Subscribers: 3, TextSize: 100}
		figures, err := s.run(t.Context(), site{subject: f.subject(t), run: "t", patience: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		got := figures[0]
		pushes := int64(got.Highest * bound.Duration.Seconds())
		if pushes < most*8/10 || pushes > most || got.Lost != 0 || got.Operations == 0 || got.P50Us <= 0 {
			t.Errorf("%d pushes in a try, want some %d: %+v", pushes, most, got)
		}
	})

	t.Run("a server that bears nothing is an error", func(t *testing.T) {
		var deliveries atomic.Int64
		f := startFake(t, &fake{spoil: func(int, []byte) [][]byte { deliveries.Add(1); return nil }})
		s := RoomsMax{Bound: bound, Mode: Broadcast, Rooms: 2, Members: 2, TextSize: 100}
		_, err := s.run(t.Context(), site{subject: f.subject(t), run: "t", patience: time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "no rate") || deliveries.Load() == 0 {
			t.Errorf("error %v after %d deliveries", err, deliveries.Load())
		}
	})

	t.Run("a load is given up when pushes cannot be made as they are due", func(t *testing.T) {
		f := startFake(t, &fake{})
		s := FanoutMax{Bound: bound, Mode: Broadcast, Subscribers: 3, TextSize: 100}
		s.P99 = time.Nanosecond // nobody is that punctual
		got, err := s.try(t.Context(), site{subject: f.subject(t), run: "t", patience: enough}, s.at(1000))
		if got != nil || err != nil {
			t.Errorf("%+v, %v, want neither figures nor an error", got, err)
		}
	})

	t.Run("users are as many connections, in rooms that are full, and write as often as they are said to", func(t *testing.T) {
		u := UsersMax{Bound: Bound{P99: time.Second, From: 8, Most: 16, Duration: 100 * time.Millisecond}, Mode: Broadcast, Members: 4, Every: 200 * time.Millisecond, TextSize: 100}
		if r := u.at(16).(Rooms); r.Rooms != 4 || r.Members != 4 || r.Rate != 80 {
			t.Errorf("%+v", r)
		}
		figures, err := u.run(t.Context(), site{subject: startFake(t, &fake{}).subject(t), run: "t", patience: enough})
		if err != nil || figures[0].Highest != 16 || !figures[0].AtLeast {
			t.Errorf("%+v, %v, want the most that are tried", figures, err)
		}
	})

	t.Run("users are as many as the system lets connect, unless it is said how many", func(t *testing.T) {
		limit, ok := descriptorLimit()
		if !ok {
			t.Skip("this system does not tell")
		}
		u := UsersMax{Bound: bound, Members: 4, Every: time.Second}
		if most := int(u.bound().most()); most != limit-spareDescriptors || !strings.Contains(u.describe(), whole(float64(limit))+" descriptors") {
			t.Errorf("%d of %d: %s", most, limit, u.describe())
		}
		u.Most = 100
		if most := u.bound().most(); most != 100 || strings.Contains(u.describe(), "descriptors") {
			t.Errorf("%g: %s", most, u.describe())
		}
	})

	t.Run("a bound that nothing can meet is refused", func(t *testing.T) {
		s := FanoutMax{Bound: Bound{From: 1, Duration: time.Second}, Mode: Broadcast, Subscribers: 1, TextSize: 100}
		if err := s.validate(); err == nil || !strings.Contains(err.Error(), "p99") {
			t.Errorf("error %v", err)
		}
	})
}
