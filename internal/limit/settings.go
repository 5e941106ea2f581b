package limit

import "fmt"

// Settings are the limits of a server. A zero field means its default; below zero
// there is no limit, except for sizes, which always have one. docs/limits.md says
// what each protects and what a client sees of it.
type Settings struct {
	// Of one session.
	Messages Rate // pushes: broadcasts, mutations, presence, tokens
	Bytes    Rate // of their frames
	Joins    Rate
	Channels int // joined at a time

	// Of one channel, all its senders together, over sockets and HTTP.
	ChannelMessages Rate // broadcasts and mutations
	ChannelBytes    Rate // of their frames

	// Presence is how often one member's presence changes for the others. What is
	// more is not refused: the newest state is delivered at the next slot.
	Presence Rate

	// RESTMessages is of one caller of the HTTP API.
	RESTMessages Rate

	// Sockets at a time: of the server, of one sub, of one address.
	Sockets         int
	IdentitySockets int
	AddressSockets  int

	PayloadBytes int // of one broadcast
	FrameBytes   int // of one WebSocket message; at most MaxFrameBytes
}

// The bounds of FrameBytes. Below the one no useful client works; above the other
// one message of one client costs every reader of its channel more than the queue
// that may wait for it.
const (
	MinFrameBytes = 64 << 10
	MaxFrameBytes = 16 << 20
)

// Defaults returns limits that a team of fifty does not meet, with their reasons.
func Defaults() Settings {
	return Settings{
		// A pointer that is broadcast with every animation frame is 60 a second; three
		// of those. The burst is wide, because a message that nobody waits for an answer
		// to is lost beyond it: an outbox that comes back from a tunnel, a list that is
		// sent item by item. Supabase Realtime takes the average of up to a minute.
		Messages: Rate{200, 2000},
		// The burst is one frame of the largest size, and the next.
		Bytes: Rate{1_000_000, 8_000_000},
		// A client with as many channels as it may have joins all of them in one
		// moment after a reconnect, and leaves and joins them once more when its
		// pages change.
		Joins:    Rate{50, 200},
		Channels: 100,
		// Fifty people who all move a pointer at 30 a second, and write.
		ChannelMessages: Rate{2000, 20_000},
		// What fifty members receive of it together fills a gigabit link already.
		ChannelBytes: Rate{2_500_000, 20_000_000},
		// People see ten changes a second as movement. The burst is for pages that
		// say several things about themselves while they open.
		Presence: Rate{10, 20},
		// A backend's batch of a thousand messages, each second; five at once.
		RESTMessages: Rate{1000, 5000},
		Sockets:      100_000,
		// One person's tabs and devices, and the pages that a browser kept open.
		IdentitySockets: 100,
		// An office, a school or a mobile network behind one address.
		AddressSockets: 1000,
		PayloadBytes:   3000<<10 + 500, // as Supabase Realtime has it
		FrameBytes:     5_000_000,
	}
}

// Unlimited returns settings without limits, except for the sizes and the
// channels of a session, which are as in Defaults.
func Unlimited() Settings {
	none, d := Rate{PerSecond: -1}, Defaults()
	return Settings{
		Messages: none, Bytes: none, Joins: none, Channels: d.Channels,
		ChannelMessages: none, ChannelBytes: none, Presence: none, RESTMessages: none,
		Sockets: -1, IdentitySockets: -1, AddressSockets: -1,
		PayloadBytes: d.PayloadBytes, FrameBytes: d.FrameBytes,
	}
}

// WithDefaults returns the settings with every zero filled in. A rate without a
// burst gets one in proportion to the default's.
func (s Settings) WithDefaults() Settings {
	d := Defaults()
	for _, f := range s.rates() {
		*f.rate = f.rate.or(*f.of(&d))
	}
	for _, f := range s.counts() {
		if *f.count == 0 {
			*f.count = *f.of(&d)
		}
	}
	return s
}

// or is the rate, or def where it says nothing.
func (r Rate) or(def Rate) Rate {
	switch {
	case r.PerSecond == 0:
		return def
	case r.Burst == 0 && r.PerSecond > 0:
		return r.scaled(def)
	}
	return r
}

// scaled is the rate with a burst in the proportion of like.
func (r Rate) scaled(like Rate) Rate {
	burst := r.PerSecond
	if like.PerSecond > 0 && like.Burst > 0 {
		burst = int(float64(r.PerSecond) * float64(like.Burst) / float64(like.PerSecond))
	}
	return Rate{r.PerSecond, max(burst, 1)}
}

// A FieldError says which setting cannot be used and why.
type FieldError struct{ Field, Why string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Why }

// Validate says whether the settings can be used, after WithDefaults. The error is
// a *FieldError, whose field is the limit's name as in Names.
func (s Settings) Validate() error {
	for _, f := range s.rates() {
		if r := *f.rate; r.PerSecond > maxPerSecond || r.Burst > maxPerSecond || (!r.off() && r.Burst < 1) {
			return &FieldError{string(f.name), fmt.Sprintf("%s: amounts are from 1 to %d", r, maxPerSecond)}
		}
	}
	switch {
	case s.FrameBytes < MinFrameBytes || s.FrameBytes > MaxFrameBytes:
		return &FieldError{string(Frame), fmt.Sprintf("%d bytes: must be from %d to %d", s.FrameBytes, MinFrameBytes, MaxFrameBytes)}
	case s.PayloadBytes < 1:
		return &FieldError{string(Payload), "must be above 0"}
	}
	return nil
}

type rateField struct {
	name Name
	rate *Rate
	of   func(*Settings) *Rate
}

func (s *Settings) rates() []rateField {
	all := []rateField{
		{name: Messages, of: func(s *Settings) *Rate { return &s.Messages }},
		{name: Bytes, of: func(s *Settings) *Rate { return &s.Bytes }},
		{name: Joins, of: func(s *Settings) *Rate { return &s.Joins }},
		{name: ChannelMessages, of: func(s *Settings) *Rate { return &s.ChannelMessages }},
		{name: ChannelBytes, of: func(s *Settings) *Rate { return &s.ChannelBytes }},
		{name: Presence, of: func(s *Settings) *Rate { return &s.Presence }},
		{name: RESTMessages, of: func(s *Settings) *Rate { return &s.RESTMessages }},
	}
	for i := range all {
		all[i].rate = all[i].of(s)
	}
	return all
}

type countField struct {
	count *int
	of    func(*Settings) *int
}

func (s *Settings) counts() []countField {
	all := []countField{
		{of: func(s *Settings) *int { return &s.Channels }},
		{of: func(s *Settings) *int { return &s.Sockets }},
		{of: func(s *Settings) *int { return &s.IdentitySockets }},
		{of: func(s *Settings) *int { return &s.AddressSockets }},
		{of: func(s *Settings) *int { return &s.PayloadBytes }},
		{of: func(s *Settings) *int { return &s.FrameBytes }},
	}
	for i := range all {
		all[i].count = all[i].of(s)
	}
	return all
}
