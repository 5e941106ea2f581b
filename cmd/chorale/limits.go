package main

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/chorale-rt/chorale/internal/limit"
)

// limitFlags are the limits of a server; docs/limits.md says what each is for.
// Rates are per second, and at once.
type limitFlags struct {
	Messages        limit.Rate `default:"${limit_messages}" env:"CHORALE_LIMIT_MESSAGES" placeholder:"RATE" help:"Pushes of one connection, per second and at once (${default}), or off."`
	Bytes           limit.Rate `default:"${limit_bytes}" env:"CHORALE_LIMIT_BYTES" placeholder:"RATE" help:"Bytes of one connection's pushes (${default})."`
	Joins           limit.Rate `default:"${limit_joins}" env:"CHORALE_LIMIT_JOINS" placeholder:"RATE" help:"Joins of one connection (${default})."`
	Channels        int        `default:"${limit_channels}" env:"CHORALE_LIMIT_CHANNELS" help:"Channels of one connection."`
	ChannelMessages limit.Rate `default:"${limit_channel_messages}" env:"CHORALE_LIMIT_CHANNEL_MESSAGES" placeholder:"RATE" help:"Messages in one channel, all senders together (${default})."`
	ChannelBytes    limit.Rate `default:"${limit_channel_bytes}" env:"CHORALE_LIMIT_CHANNEL_BYTES" placeholder:"RATE" help:"Bytes of the messages in one channel (${default})."`
	Presence        limit.Rate `default:"${limit_presence}" env:"CHORALE_LIMIT_PRESENCE" placeholder:"RATE" help:"Changes of one member's presence that others see (${default})."`
	RESTMessages    limit.Rate `name:"rest-messages" default:"${limit_rest_messages}" env:"CHORALE_LIMIT_REST_MESSAGES" placeholder:"RATE" help:"Messages of one caller of the HTTP API (${default})."`
	Sockets         int        `default:"${limit_sockets}" env:"CHORALE_LIMIT_SOCKETS" help:"Connections of the server."`
	IdentitySockets int        `default:"${limit_identity_sockets}" env:"CHORALE_LIMIT_IDENTITY_SOCKETS" help:"Connections of one sub."`
	AddressSockets  int        `default:"${limit_address_sockets}" env:"CHORALE_LIMIT_ADDRESS_SOCKETS" help:"Connections from one address."`
	Payload         limit.Size `default:"${limit_payload}" env:"CHORALE_LIMIT_PAYLOAD" placeholder:"SIZE" help:"Bytes of one broadcast (${default})."`
	Frame           limit.Size `default:"${limit_frame}" env:"CHORALE_LIMIT_FRAME" placeholder:"SIZE" help:"Bytes of one WebSocket message (${default})."`
}

func (f *limitFlags) settings() limit.Settings {
	return limit.Settings{
		Messages: f.Messages, Bytes: f.Bytes, Joins: f.Joins, Channels: f.Channels,
		ChannelMessages: f.ChannelMessages, ChannelBytes: f.ChannelBytes,
		Presence: f.Presence, RESTMessages: f.RESTMessages,
		Sockets: f.Sockets, IdentitySockets: f.IdentitySockets, AddressSockets: f.AddressSockets,
		PayloadBytes: int(f.Payload), FrameBytes: int(f.Frame),
	}
}

// limitDefaults are the defaults of limitFlags, which package limit decides.
func limitDefaults() kong.Vars {
	d := limit.Defaults()
	return kong.Vars{
		"limit_messages":         d.Messages.String(),
		"limit_bytes":            d.Bytes.String(),
		"limit_joins":            d.Joins.String(),
		"limit_channels":         strconv.Itoa(d.Channels),
		"limit_channel_messages": d.ChannelMessages.String(),
		"limit_channel_bytes":    d.ChannelBytes.String(),
		"limit_presence":         d.Presence.String(),
		"limit_rest_messages":    d.RESTMessages.String(),
		"limit_sockets":          strconv.Itoa(d.Sockets),
		"limit_identity_sockets": strconv.Itoa(d.IdentitySockets),
		"limit_address_sockets":  strconv.Itoa(d.AddressSockets),
		"limit_payload":          strconv.Itoa(d.PayloadBytes),
		"limit_frame":            strconv.Itoa(d.FrameBytes),
	}
}

// networks reads addresses and networks such as 10.0.0.0/8.
func networks(texts []string) (limit.Proxies, error) {
	var out limit.Proxies
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, bad := netip.ParseAddr(text)
			if bad != nil {
				return nil, fmt.Errorf("--trusted-proxy: %q is no network such as 10.0.0.0/8, and no address", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		out = append(out, network.Masked())
	}
	return out, nil
}
