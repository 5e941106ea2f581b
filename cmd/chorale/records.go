package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/chorale-rt/chorale/client"
)

type recordsCmd struct {
	List    recordsListCmd    `cmd:"" help:"Print all records, one per line."`
	Get     recordsGetCmd     `cmd:"" help:"Print one record."`
	Put     recordsPutCmd     `cmd:"" help:"Make a record."`
	Patch   recordsPatchCmd   `cmd:"" help:"Change a record."`
	Delete  recordsDeleteCmd  `cmd:"" help:"Delete a record."`
	Restore recordsRestoreCmd `cmd:"" help:"Revive a deleted record, and perhaps change it."`
}

// recordsFlags are those of all commands about records.
type recordsFlags struct {
	remoteFlags `embed:""`

	Channel    string `arg:"" help:"Name of the channel, without realtime:."`
	Collection string `arg:"" help:"Name of the collection."`
}

// with joins the channel, loads the collection and acts on it.
func (f *recordsFlags) with(ctx context.Context, act func(context.Context, *client.Collection) error) error {
	if f.Public {
		return errors.New("--public: public channels have no collections")
	}
	conn, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := f.join(ctx, conn, f.Channel, client.ChannelOptions{Collections: []string{f.Collection}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	records := ch.Collection(f.Collection)
	if _, err := records.Load(ctx); err != nil {
		return err
	}
	return act(ctx, records)
}

func printLine(v any) error {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

type recordsListCmd struct {
	recordsFlags `embed:""`
}

// Run implements the command.
func (c *recordsListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(_ context.Context, records *client.Collection) error {
		for _, r := range records.Snapshot().Records {
			if err := printLine(r); err != nil {
				return err
			}
		}
		return nil
	})
}

type recordsGetCmd struct {
	recordsFlags `embed:""`

	ID string `arg:"" help:"Id of the record."`
}

// Run implements the command.
func (c *recordsGetCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(_ context.Context, records *client.Collection) error {
		r := records.Get(c.ID)
		if r == nil {
			return fmt.Errorf("%s has no record %q", c.Collection, c.ID)
		}
		return printLine(r)
	})
}

// writeFlags are those of all commands that write.
type writeFlags struct {
	recordsFlags `embed:""`

	IfVersion *uint64 `placeholder:"N" help:"Only when the record has this version; 0: only when there is none."`
}

const writeHelp = `Prints what became of it: status, id, offset, and lost for what a newer write won over. Ends with 1
unless the status is applied or noop.

An array of strings is a set, given as a whole; {"increment": N} adds to a counter; everything else is a field.`

// write makes a write and waits until the server has decided.
func (f *writeFlags) write(ctx context.Context, make func(*client.Collection, ...client.WriteOption) (*client.Mutation, error)) error {
	return f.with(ctx, func(ctx context.Context, records *client.Collection) error {
		var options []client.WriteOption
		if f.IfVersion != nil {
			options = append(options, client.IfVersion(*f.IfVersion))
		}
		m, err := make(records, options...)
		if err != nil {
			return err
		}
		o, err := m.Wait(ctx)
		if err != nil {
			return err
		}
		line := struct {
			Status string         `json:"status"`
			ID     string         `json:"id"`
			Offset uint64         `json:"offset,omitempty"`
			Lost   []string       `json:"lost,omitempty"`
			Record *client.Record `json:"current,omitempty"`
		}{string(o.Status), m.Record, o.Offset, o.Lost, o.Current}
		return errors.Join(printLine(line), o.AsError())
	})
}

// valuesOf reads the values of a write: JSON, or - for standard input.
func valuesOf(text string) (any, error) {
	if text == "-" {
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		text = string(data)
	}
	if text == "" {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &values); err != nil || values == nil {
		return nil, fmt.Errorf("values: %.40q is no JSON object", text)
	}
	return values, nil
}

type recordsPutCmd struct {
	writeFlags `embed:""`

	Values string `arg:"" help:"JSON object; - reads it from standard input."`
	ID     string `name:"id" help:"Id of the record; a new UUID without it."`
}

// Help implements kong.HelpProvider.
func (recordsPutCmd) Help() string { return writeHelp }

// Run implements the command.
func (c *recordsPutCmd) Run(ctx context.Context) error {
	values, err := valuesOf(c.Values)
	if err != nil {
		return err
	}
	return c.write(ctx, func(records *client.Collection, o ...client.WriteOption) (*client.Mutation, error) {
		return records.Put(c.ID, values, o...)
	})
}

type recordsPatchCmd struct {
	writeFlags `embed:""`

	ID     string `arg:"" help:"Id of the record."`
	Values string `arg:"" help:"JSON object with what changes; - reads it from standard input."`
}

// Help implements kong.HelpProvider.
func (recordsPatchCmd) Help() string { return writeHelp }

// Run implements the command.
func (c *recordsPatchCmd) Run(ctx context.Context) error {
	values, err := valuesOf(c.Values)
	if err != nil {
		return err
	}
	return c.write(ctx, func(records *client.Collection, o ...client.WriteOption) (*client.Mutation, error) {
		return records.Patch(c.ID, values, o...)
	})
}

type recordsDeleteCmd struct {
	writeFlags `embed:""`

	ID string `arg:"" help:"Id of the record."`
}

// Run implements the command.
func (c *recordsDeleteCmd) Run(ctx context.Context) error {
	return c.write(ctx, func(records *client.Collection, o ...client.WriteOption) (*client.Mutation, error) {
		return records.Delete(c.ID, o...)
	})
}

type recordsRestoreCmd struct {
	writeFlags `embed:""`

	ID     string `arg:"" help:"Id of the record."`
	Values string `arg:"" optional:"" help:"JSON object with what changes; - reads it from standard input."`
}

// Help implements kong.HelpProvider.
func (recordsRestoreCmd) Help() string { return writeHelp }

// Run implements the command.
func (c *recordsRestoreCmd) Run(ctx context.Context) error {
	values, err := valuesOf(c.Values)
	if err != nil {
		return err
	}
	return c.write(ctx, func(records *client.Collection, o ...client.WriteOption) (*client.Mutation, error) {
		return records.Restore(c.ID, values, o...)
	})
}
