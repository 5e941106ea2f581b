package limit

import (
	"fmt"
	"strings"
	"time"
)

// Name is a limit's name: in metrics, in docs/limits.md, and after limit- as a flag.
type Name string

// The limits.
const (
	Messages        Name = "messages"
	Bytes           Name = "bytes"
	Joins           Name = "joins"
	Channels        Name = "channels"
	ChannelMessages Name = "channel_messages"
	ChannelBytes    Name = "channel_bytes"
	Presence        Name = "presence"
	RESTMessages    Name = "rest_messages"
	Sockets         Name = "sockets"
	IdentitySockets Name = "identity_sockets"
	AddressSockets  Name = "address_sockets"
	Payload         Name = "payload"
	Frame           Name = "frame"
)

// Names returns all of them.
func Names() []Name {
	return []Name{
		Messages, Bytes, Joins, Channels, ChannelMessages, ChannelBytes, Presence,
		RESTMessages, Sockets, IdentitySockets, AddressSockets, Payload, Frame,
	}
}

// Flag is the name of the flag that sets it.
func (n Name) Flag() string { return "limit-" + strings.ReplaceAll(string(n), "_", "-") }

// An Excess says that something was too much. The zero Excess says that it was not.
type Excess struct {
	Limit Name
	Wait  time.Duration // until the same may pass; 0 when time alone does not help
	rate  Rate
	count int
}

// Over says that it was too much.
func (e Excess) Over() bool { return e.Limit != "" }

// RetryAfterMs is Wait in whole milliseconds, rounded up; 0 when there is none.
func (e Excess) RetryAfterMs() int64 {
	return (int64(e.Wait) + int64(time.Millisecond) - 1) / int64(time.Millisecond)
}

// Sentence tells the sender what was too much and how much is allowed. It begins
// as upstream's does where upstream has one.
func (e Excess) Sentence() string {
	switch e.Limit {
	case Messages:
		return "Too many messages per second from this connection: " + e.rate.allowed("")
	case Bytes:
		return "Too many bytes per second from this connection: " + e.rate.allowed(" bytes")
	case Joins:
		return "Too many joins per second: " + e.rate.allowed("")
	case Channels:
		return fmt.Sprintf("Too many channels: this connection has %d, leave some", e.count)
	case ChannelMessages:
		return "Too many messages per second in this channel: " + e.rate.allowed("")
	case ChannelBytes:
		return "Too many bytes per second in this channel: " + e.rate.allowed(" bytes")
	case RESTMessages:
		return "You have exceeded your rate limit: " + e.rate.allowed(" messages")
	case Sockets:
		return "Too many connected users"
	case IdentitySockets:
		return fmt.Sprintf("Too many connections of this user: %d are allowed", e.count)
	case AddressSockets:
		return fmt.Sprintf("Too many connections from this address: %d are allowed", e.count)
	case Payload:
		return fmt.Sprintf("A message is limited to %d bytes", e.count)
	case Presence, Frame: // the one is delayed without a word, the other ends the socket
	}
	return "Too much at once"
}

func (r Rate) allowed(unit string) string {
	return fmt.Sprintf("%d%s a second are allowed, and %d at once", r.PerSecond, unit, r.Burst)
}
