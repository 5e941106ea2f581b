package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/client"
)

type pubCmd struct {
	remoteFlags `embed:""`

	Channel string `arg:"" help:"Name of the channel, without realtime:."`
	Event   string `arg:"" help:"Name of the event."`
	Payload string `arg:"" optional:"" help:"JSON; - reads one message per line of standard input; {} without it."`

	Text      bool          `help:"The payload, or each line, is text and no JSON."`
	ID        string        `name:"id" help:"Identity of the message: the same id is published once. For one message only."`
	Ack       bool          `default:"true" negatable:"" help:"Wait until each message is in the log, and print where."`
	Ephemeral bool          `help:"Deliver without logging."`
	Persist   time.Duration `help:"Keep the messages for so long, where the rule allows it."`
}

// Help implements kong.HelpProvider.
func (pubCmd) Help() string {
	return `Prints a line of JSON for each message with its id, and with its epoch and offset when it is in the log.
Ends with 1 at the first message that is refused or has no answer in time; those before it are published.

  chorale pub room:1 greeting '{"text": "Hi"}'
  tail -f app.log | chorale pub --text ops:web line -`
}

// Run implements the command.
func (c *pubCmd) Run(ctx context.Context) error {
	if c.ID != "" && c.Payload == "-" {
		return errors.New("--id: is for one message, and standard input may have many")
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := c.join(ctx, conn, c.Channel, client.ChannelOptions{})
	if err != nil {
		return err
	}
	return c.each(os.Stdin, func(payload any) error { return c.publish(ctx, ch, payload) })
}

// each calls publish with every payload.
func (c *pubCmd) each(in io.Reader, publish func(payload any) error) error {
	if c.Payload != "-" {
		payload, err := c.payload(c.Payload)
		if err != nil {
			return fmt.Errorf("payload: %w", err)
		}
		return publish(payload)
	}
	lines := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			payload, fault := c.payload(line)
			if fault == nil {
				fault = publish(payload)
			}
			if fault != nil {
				return fmt.Errorf("line %d: %w", n, fault)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func (c *pubCmd) payload(text string) (any, error) {
	switch {
	case c.Text:
		return text, nil
	case text == "":
		return struct{}{}, nil
	case !json.Valid([]byte(text)):
		return nil, fmt.Errorf("%.40q is no JSON; --text publishes it as it is", text)
	}
	return json.RawMessage(text), nil
}

func (c *pubCmd) publish(ctx context.Context, ch *client.Channel, payload any) error {
	var options []client.PublishOption
	if c.ID != "" {
		options = append(options, client.WithID(c.ID))
	}
	if c.Ephemeral {
		options = append(options, client.Ephemeral())
	}
	if c.Persist != 0 {
		options = append(options, client.Persist(c.Persist))
	}
	if !c.Ack {
		options = append(options, client.WithoutAck())
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	r, err := ch.Publish(ctx, c.Event, payload, options...)
	if err != nil {
		return err
	}
	line := struct {
		ID     string `json:"id"`
		Epoch  string `json:"epoch,omitempty"`
		Offset uint64 `json:"offset,omitempty"`
	}{r.ID, r.Position.Epoch, r.Position.Offset}
	return json.NewEncoder(os.Stdout).Encode(line)
}
