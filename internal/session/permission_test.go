package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/policy"
)

// setRules makes other rules the newest ones.
func (w *world) setRules(src string) {
	w.t.Helper()
	rules, err := auth.ParseRules("rules.yaml", []byte(src), fstest.MapFS{})
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		w.t.Fatal(err)
	}
	w.deps.Policy = func() *policy.Policy { return p }
}

// refresh pushes a new token for the channel that was joined first.
func (c *client) refresh(topic, sub string) {
	c.t.Helper()
	c.push("1", topic, "access_token", `{"access_token":"`+token(c.t, sub, 2*time.Hour)+`"}`)
}

func (c *client) ended(why string) {
	c.t.Helper()
	if p := c.want("system"); p["status"] != "error" || p["message"] != why {
		c.t.Errorf("got %v, want %q", p, why)
	}
	c.want("phx_close")
	c.quiet()
}

func TestPermissions(t *testing.T) {
	const (
		quietly = `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true}}`
		present = `{"private":true,"presence":{"enabled":true,"key":"k"},"broadcast":{"ack":true}}`
		hello   = `{"event":"e","payload":1}`
	)
	say := func(c *client) { c.push("1", "realtime:r", "broadcast", hello) }
	t.Run("[J5] an answer of the rules holds until there are newer rules, or another token", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'true', publish: 'true'}]")
		c := w.connect("ada")
		c.join("realtime:r", quietly)
		say(c)
		c.ok()
		w.setRules("channels: [{match: r, join: 'true', publish: 'claims.sub != \"ada\"'}]")
		say(c)
		c.refused("unauthorized")
		c.refresh("realtime:r", "ben")
		say(c)
		c.ok()
	})
	t.Run("[J5] rules that are newer than a membership end it with its next push, when they no longer let it read", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'true', publish: 'true'}]")
		c, ben := w.connect("ada"), w.connect("ben")
		c.join("realtime:r", quietly)
		ben.join("realtime:r", quietly)
		w.setRules("channels: [{match: r, join: 'claims.sub == \"ben\"', publish: 'true'}]")
		c.quiet()
		say(c)
		c.ended("You do not have permissions to read from this Channel topic: r")
		say(ben)
		ben.ok()
	})
	t.Run("[J5] a token that newer rules let read is asked about, not the one it replaces", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'claims.sub == \"ada\"', publish: 'true'}]")
		c := w.connect("ada")
		c.join("realtime:r", quietly)
		w.setRules("channels: [{match: r, join: 'claims.sub == \"ben\"', publish: 'true'}]")
		c.refresh("realtime:r", "ben")
		say(c)
		c.ok()
	})
	t.Run("[J5] who may not read any longer is told so, in upstream's words", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'claims.sub == \"ada\"'}]")
		c := w.connect("ada")
		c.join("realtime:r", quietly)
		c.refresh("realtime:r", "ben")
		c.ended("You do not have permissions to read from this Channel topic: r")
	})
	t.Run("[J5] so is who sees presence and may not any longer", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'true', presence: 'claims.sub == \"ada\"'}]")
		c, other := w.connect("ada"), w.connect("ada")
		c.join("realtime:r", present)
		c.want("presence_state")
		other.join("realtime:r", quietly) // it has nothing to lose
		c.refresh("realtime:r", "ben")
		c.ended("You no longer have permission to read from this Channel topic: r")
		other.refresh("realtime:r", "ben")
		other.quiet()
		other.push("1", "realtime:r", "presence", `{"event":"track","payload":{}}`)
		other.refused("unauthorized")
	})
	t.Run("[J5] so is who reads a collection and may not any longer", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'true', collections: {notes: {read: 'claims.sub == \"ada\"'}}}]")
		c := w.connect("ada")
		c.join("realtime:r", `{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"client":"a","collections":["notes"]}}`)
		c.synced()
		c.refresh("realtime:r", "ben")
		c.ended("You no longer have permission to read from this Channel topic: r")
	})
	t.Run("who may join and not be present joins without presence", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: r, join: 'true', presence: 'false'}]")
		c := w.connect("ada")
		c.join("realtime:r", present)
		c.quiet()
	})
}

var errTransient = errors.New("the key server does not answer")

// moody is a verifier that sometimes cannot judge.
type moody struct {
	verify func(string) (*auth.Identity, error)
	down   atomic.Bool
}

func (m *moody) Verify(token string) (*auth.Identity, error) {
	if m.down.Load() {
		return nil, errTransient
	}
	return m.verify(token)
}

// busy is an engine in which much happens while somebody reads where the log ends.
type busy struct {
	engine.Engine
	before func()
}

func (b *busy) Head(ctx context.Context, channel string) (engine.Position, error) {
	head, err := b.Engine.Head(ctx, channel)
	b.before()
	return head, err
}

func TestTransientFaults(t *testing.T) {
	t.Run("[F6] a token that cannot be checked ends its channel with phx_error, and the next join is to be tried again", func(t *testing.T) {
		w := newWorld(t)
		m := &moody{verify: w.deps.Verifier.Verify}
		w.deps.Verifier = m
		c := w.connect("ada")
		c.join("realtime:x", plain)
		m.down.Store(true)
		c.refresh("realtime:x", "ada")
		if f := c.next(); f.event != "phx_error" || f.joinRef != "1" || f.ref != "1" || f.payload["retryable"] != true {
			t.Errorf("got %s", f.raw)
		}
		c.quiet()
		c.push("", "realtime:x", "phx_join", `{"config":`+plain+`}`)
		if r := c.refused("invalid_jwt_token"); r["retryable"] != true {
			t.Error(r)
		}
		m.down.Store(false)
		c.join("realtime:x", plain)
	})
	t.Run("[R3] a member that cannot be brought up to date is told to join again, and loses nothing", func(t *testing.T) {
		w := newWorld(t)
		a := w.connect("ada")
		first := a.joinRecords("a", "")
		a.synced()
		flood := func() {
			for range 5000 { // more than the hub keeps for one member
				a.push("1", interview, "broadcast", `{"event":"e","payload":1,"meta":{"ephemeral":true}}`)
			}
		}
		w.deps.Engine = &busy{Engine: w.engine, before: flood}
		b := w.connect("ben")
		b.joinRecords("b", resume(first, 0))
		b.synced()
		if f := b.next(); f.event != "phx_error" || f.joinRef != "1" || f.payload["code"] != "overloaded" || f.payload["retryable"] != true {
			t.Errorf("got %.200s", f.raw)
		}
		b.quiet()
		w.deps.Engine = w.engine
		if again := b.joinRecords("b", resume(first, 0)); again["resumed"] != true {
			t.Error(again)
		}
		b.synced()
	})
}
