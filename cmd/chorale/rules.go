package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	Token    string `help:"A token to try; its claims are read and its signature is not checked." env:"CHORALE_TOKEN"`
	Claims   string `help:"Claims of a token, as JSON, when there is none." default:"{\"sub\":\"somebody\",\"role\":\"authenticated\"}"`
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
	id, err := c.identity()
	if err != nil {
		return err
	}
	var decisions []auth.Decision
	for _, op := range []auth.Op{auth.Join, auth.Publish, auth.Persist, auth.ReadHistory, auth.Presence} {
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
	return match.MayWrite(collection, id, auth.Record(record), auth.PlainMutation(mutation)), nil
}

// identity is who the token, or the claims, say that somebody is.
func (c *rulesCheckCmd) identity() (*auth.Identity, error) {
	id := &auth.Identity{}
	claims, flag := []byte(c.Claims), "--claims"
	if c.Token != "" {
		parts := strings.Split(strings.TrimSpace(c.Token), ".")
		if len(parts) != 3 {
			return nil, errors.New("--token: is no JWT")
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			return nil, fmt.Errorf("--token: %w", err)
		}
		claims, flag = payload, "--token"
	}
	if err := json.Unmarshal(claims, &id.Claims); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	id.Subject, _ = id.Claims["sub"].(string) // absent claims are empty, as in a token
	id.Role, _ = id.Claims["role"].(string)
	return id, nil
}
