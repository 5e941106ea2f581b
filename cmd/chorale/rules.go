package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/web/notes"
)

type rulesCmd struct {
	Check rulesCheckCmd `cmd:"" help:"Say what a token may do in a private channel, and which line of the rules says so."`
}

type rulesCheckCmd struct {
	File     string `arg:"" optional:"" type:"existingfile" help:"The rules; without it the notes app's."`
	Channel  string `help:"Name of a channel, without realtime:."`
	Claims   string `help:"Claims of the token, as JSON." default:"{\"sub\":\"somebody\",\"role\":\"authenticated\"}"`
	Mutation string `help:"A mutation, as JSON, to try in its collection."`
	Record   string `help:"The record as it is before the mutation, as JSON; none without it."`
}

// Run implements the command. It fails when the rules are broken, or when any
// decision is a no.
func (c *rulesCheckCmd) Run() error {
	rules, err := c.load()
	if err != nil {
		return err
	}
	if _, err := policy.New(rules); err != nil {
		return err
	}
	if c.Channel == "" {
		fmt.Printf("%d rules, all fine\n", len(rules.All()))
		return nil
	}
	match, ok := rules.Match(c.Channel)
	if !ok {
		return errors.New(auth.NoRule(auth.Join, c.Channel).String())
	}
	id, err := identity(c.Claims)
	if err != nil {
		return err
	}
	var decisions []auth.Decision
	for _, op := range []auth.Op{auth.Join, auth.Publish, auth.Persist, auth.Presence} {
		decisions = append(decisions, match.May(op, id))
	}
	if c.Mutation != "" {
		d, err := c.write(match, id)
		if err != nil {
			return err
		}
		decisions = append(decisions, d)
	}
	denied := 0
	for _, d := range decisions {
		fmt.Println(d)
		if !d.Allowed {
			denied++
		}
	}
	if denied > 0 {
		return fmt.Errorf("%d of %d denied", denied, len(decisions))
	}
	return nil
}

func (c *rulesCheckCmd) load() (*auth.Rules, error) {
	if c.File == "" {
		return auth.ParseRules("rules.yaml", notes.Rules(), notes.Schemas())
	}
	src, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return auth.ParseRules(c.File, src, os.DirFS(filepath.Dir(c.File)))
}

func (c *rulesCheckCmd) write(match *auth.Match, id *auth.Identity) (auth.Decision, error) {
	var mutation, record map[string]any
	if err := json.Unmarshal([]byte(c.Mutation), &mutation); err != nil {
		return auth.Decision{}, fmt.Errorf("--mutation: %w", err)
	}
	if c.Record != "" {
		if err := json.Unmarshal([]byte(c.Record), &record); err != nil {
			return auth.Decision{}, fmt.Errorf("--record: %w", err)
		}
	}
	collection, ok := mutation["collection"].(string)
	if !ok {
		return auth.Decision{}, errors.New("--mutation: names no collection")
	}
	return match.MayWrite(collection, id, record, mutation), nil
}

func identity(claims string) (*auth.Identity, error) {
	id := &auth.Identity{}
	if err := json.Unmarshal([]byte(claims), &id.Claims); err != nil {
		return nil, fmt.Errorf("--claims: %w", err)
	}
	id.Subject, _ = id.Claims["sub"].(string) // absent claims are empty, as in a token
	id.Role, _ = id.Claims["role"].(string)
	return id, nil
}
