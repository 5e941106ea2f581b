package limit

import "time"

// A Limiter holds a server to its Settings.
type Limiter struct {
	settings Settings
	base     time.Time
	now      func() time.Time

	plain    *Channel // of channels whose rule says nothing
	channels *table   // by log
	callers  *table   // of the HTTP API
	sockets  sockets
}

// New returns the limiter of a server. Zero settings are the defaults; they must
// be valid. now is the clock, for example time.Now.
func New(s Settings, now func() time.Time) *Limiter {
	l := &Limiter{settings: s.WithDefaults(), base: now(), now: now, channels: newTable(), callers: newTable()}
	l.sockets.init()
	l.plain = l.channel(Override{})
	return l
}

// Settings returns what the limiter holds to.
func (l *Limiter) Settings() Settings { return l.settings }

// Now is the instant that buckets reckon with.
func (l *Limiter) Now() int64 { return int64(l.now().Sub(l.base)) }

// An Override is what a rule says about the channels it matches. Zero fields mean
// the server's settings. Bursts are in proportion to those.
type Override struct {
	// Of one member. They count for this channel alone, beside what the session
	// does elsewhere, and instead of the session's own limit.
	MessagesPerSecond int
	BytesPerSecond    int

	ChannelMessagesPerSecond int
	ChannelBytesPerSecond    int
	PresencePerSecond        int
	PayloadBytes             int
}

// A Channel is what the limits are in one channel. It never changes.
type Channel struct {
	member   Flow // off where the session's own limits count
	shared   Flow
	presence Rate
	payload  int
}

// Channel returns the limits of a channel whose rule has these overrides.
func (l *Limiter) Channel(o Override) *Channel {
	if o == (Override{}) {
		return l.plain
	}
	return l.channel(o)
}

func (l *Limiter) channel(o Override) *Channel {
	s := &l.settings
	override := func(perSecond int, like Rate) Rate {
		if perSecond <= 0 {
			return like
		}
		return Rate{PerSecond: min(perSecond, maxPerSecond)}.scaled(like)
	}
	c := &Channel{
		shared: Flow{
			Messages: override(o.ChannelMessagesPerSecond, s.ChannelMessages),
			Bytes:    override(o.ChannelBytesPerSecond, s.ChannelBytes),
		},
		presence: override(o.PresencePerSecond, s.Presence),
		payload:  s.PayloadBytes,
	}
	if o.MessagesPerSecond > 0 || o.BytesPerSecond > 0 {
		c.member = Flow{Messages: override(o.MessagesPerSecond, s.Messages), Bytes: override(o.BytesPerSecond, s.Bytes)}
	}
	if o.PayloadBytes > 0 {
		c.payload = o.PayloadBytes
	}
	return c
}

// A Sender is what one session has used. The zero Sender has used nothing.
type Sender struct {
	meter   Meter
	joins   Bucket
	notices Bucket
	rest    Bucket
}

// A Member is what one membership has used. The zero Member has used nothing.
type Member struct {
	meter    Meter // where the rule says so
	presence Bucket
}

// Push takes one push whose frame has this size. c and m are the channel's limits
// and the membership, both nil for a push to a channel that is not joined.
func (l *Limiter) Push(s *Sender, c *Channel, m *Member, size int) Excess {
	flow, meter := &Flow{l.settings.Messages, l.settings.Bytes}, &s.meter
	if c != nil && !c.member.off() {
		flow, meter = &c.member, &m.meter
	}
	messages, bytes := meter.take(l.Now(), flow, 1, size)
	return tooMuch(Messages, Bytes, flow, messages, bytes)
}

// Join takes one join.
func (l *Limiter) Join(s *Sender) Excess {
	if wait := s.joins.Take(l.Now(), l.settings.Joins, 1); wait > 0 {
		return Excess{Limit: Joins, Wait: wait, rate: l.settings.Joins}
	}
	return Excess{}
}

// MayJoin says whether a session with so many channels may have one more.
func (l *Limiter) MayJoin(have int) Excess {
	if limit := l.settings.Channels; limit > 0 && have >= limit {
		return Excess{Limit: Channels, Wait: channelsWait, count: limit}
	}
	return Excess{}
}

// channelsWait is when a client may ask again for one more channel: it has to
// leave one, which no clock can tell.
const channelsWait = 5 * time.Second

// Notice says whether a sender is to be told of an excess that nobody waits for
// an answer to: once a second, so that the telling is not a flood of its own.
func (l *Limiter) Notice(s *Sender) bool {
	return s.notices.Take(l.Now(), Rate{PerSecond: 1, Burst: 1}, 1) == 0
}

// Unrefused is the rate of what is never refused: heartbeats, leaves, pings, frames
// that cannot be read. A client beats every 15 to 30 s, and leaves a hundred channels
// at once when a page closes.
func Unrefused() Rate { return Rate{PerSecond: 100, Burst: 1000} }

// Rest takes one frame of those that are never refused. When it is false there are
// more of them than any client has a use for, and it may be read more slowly.
func (l *Limiter) Rest(s *Sender) bool { return s.rest.Take(l.Now(), Unrefused(), 1) == 0 }

// Payload says whether a broadcast of this size is too large for the channel.
func (c *Channel) Payload(size int) Excess {
	if size > c.payload {
		return Excess{Limit: Payload, count: c.payload}
	}
	return Excess{}
}

// Publish takes n messages of size bytes together from what all senders of a
// channel may do. log is the channel's name in the engine.
func (l *Limiter) Publish(c *Channel, log string, n, size int) Excess {
	if c.shared.off() {
		return Excess{}
	}
	messages, bytes := l.channels.take(l.Now(), log, &c.shared, n, size)
	return tooMuch(ChannelMessages, ChannelBytes, &c.shared, messages, bytes)
}

// Call takes n messages from what one caller of the HTTP API may do.
func (l *Limiter) Call(caller string, n int) Excess {
	flow := Flow{Messages: l.settings.RESTMessages}
	if flow.off() {
		return Excess{}
	}
	wait, _ := l.callers.take(l.Now(), caller, &flow, n, 0)
	return tooMuch(RESTMessages, "", &flow, wait, 0)
}

// Track takes one change of a member's presence, or says how long it is until
// the next may be delivered.
func (l *Limiter) Track(c *Channel, m *Member) time.Duration {
	return m.presence.Take(l.Now(), c.presence, 1)
}

// tooMuch names the limit that has to be waited for longer.
func tooMuch(messages, bytes Name, f *Flow, messagesWait, bytesWait time.Duration) Excess {
	switch {
	case messagesWait == 0 && bytesWait == 0:
		return Excess{}
	case bytesWait > messagesWait:
		return Excess{Limit: bytes, Wait: bytesWait, rate: f.Bytes}
	}
	return Excess{Limit: messages, Wait: messagesWait, rate: f.Messages}
}
