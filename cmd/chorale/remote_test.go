package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/client"
)

func TestPublishedLines(t *testing.T) {
	for _, c := range []struct{ name, payload, in, want, fault string }{
		{"one payload", `{"a":1}`, "", `[{"a":1}]`, ""},
		{"none is an empty object", "", "", `[{}]`, ""},
		{"what is no JSON is said", "{text}", "", "[]", `payload: "{text}" is no JSON`},
		{"lines, also the last without its end; empty ones are passed over", "-", "1\n\n\"two\"\r\n3", `[1,"two",3]`, ""},
		{"a line that is no JSON ends it, and is named", "-", "1\n\ntwo\n3\n", "[1]", `line 3: "two" is no JSON`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := linesOf(&pubCmd{Payload: c.payload}, c.in)
			if got != c.want || (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	t.Run("text is published as it is", func(t *testing.T) {
		if got, err := linesOf(&pubCmd{Payload: "-", Text: true}, "{text}\n"); got != `["{text}"]` || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
	t.Run("what is refused ends it, and its line is named", func(t *testing.T) {
		refused := errors.New("no")
		err := (&pubCmd{Payload: "-"}).each(strings.NewReader("1\n2\n"), func(payload any) error {
			if fmt.Sprintf("%s", payload) == "2" {
				return refused
			}
			return nil
		})
		if !errors.Is(err, refused) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%v", err)
		}
	})
	t.Run("an id is for one message", func(t *testing.T) {
		if err := (&pubCmd{Payload: "-", ID: "m"}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--id") {
			t.Errorf("%v", err)
		}
	})
}

func linesOf(c *pubCmd, in string) (string, error) {
	all := []any{}
	err := c.each(strings.NewReader(in), func(payload any) error {
		all = append(all, payload)
		return nil
	})
	out, fault := json.Marshal(all)
	return string(out), errors.Join(err, fault)
}

func TestWhereASubscriptionBegins(t *testing.T) {
	t.Run("a position", func(t *testing.T) {
		o, err := (&subCmd{From: "k3x:17"}).options()
		if err != nil || *o.From != (client.Position{Epoch: "k3x", Offset: 17}) {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("an instant", func(t *testing.T) {
		o, err := (&subCmd{Since: time.Hour, Limit: 5}).options()
		if err != nil || o.Replay.Limit != 5 || time.Since(o.Replay.Since) < time.Hour {
			t.Errorf("%+v, %v", o, err)
		}
	})
	for _, c := range []subCmd{{From: "7"}, {From: ":7"}, {From: "k3x:"}, {From: "k3x:-1"}, {From: "k3x:7", Since: time.Hour}} {
		if o, err := c.options(); err == nil {
			t.Errorf("--from %q --since %v was read as %+v", c.From, c.Since, o)
		}
	}
}
