package client

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// Bytes become typed here, and only here: what leaves is a value that can be
// relied on, or an error with CodeProtocol.

// encodeFrame is a text frame of version 2. payload is JSON already, so that
// bytes that must not change are passed on as they are.
func encodeFrame(joinRef, ref, topic, event string, payload []byte) []byte {
	return protocol.EncodeText(protocol.V2, joinRef, ref, topic, event, payload).Payload()
}

func decodeFrame(isBinary bool, data []byte) (protocol.Frame, error) {
	decode := func() (protocol.Frame, error) { return protocol.DecodeText(protocol.V2, data) }
	if isBinary {
		decode = func() (protocol.Frame, error) { return protocol.DecodeBinaryBroadcast(data) }
	}
	f, err := decode()
	if err != nil {
		return f, protocolFault("%v", err)
	}
	return f, nil
}

// decode reads a payload; what names the payload in an error.
func decode(raw []byte, into any, what string) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return protocolFault("%s: %v", what, err)
	}
	return nil
}

// A reply is what the server answered to a push.
type reply struct {
	response json.RawMessage // when err is nil
	err      *Error
	expect   uint64 // out_of_order: the n that is due
}

func decodeReply(payload []byte) (reply, error) {
	var p struct {
		Status   string          `json:"status"`
		Response json.RawMessage `json:"response"`
	}
	if err := decode(payload, &p, "a reply"); err != nil {
		return reply{}, err
	}
	if p.Status == "ok" {
		return reply{response: p.Response}, nil
	}
	var e struct {
		Reason       string `json:"reason"`
		Code         string `json:"code"`
		Retryable    bool   `json:"retryable"`
		RetryAfterMs int64  `json:"retryAfterMs"`
		Expect       uint64 `json:"expect"`
	}
	if json.Unmarshal(p.Response, &e) != nil || e.Reason == "" {
		e.Reason = "the server refused"
	}
	if e.Code == "" {
		e.Code = CodeRefused
	}
	return reply{expect: e.Expect, err: &Error{
		Code: e.Code, Message: withoutCode(e.Reason), Retryable: e.Retryable, RetryAfter: time.Duration(e.RetryAfterMs) * time.Millisecond,
	}}, nil
}

// withoutCode is the sentence of a reason in the form "Code: sentence".
func withoutCode(reason string) string {
	code, sentence, found := strings.Cut(reason, ": ")
	if !found || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return reason
	}
	return sentence
}

// Limits of a server, in bytes, as its join replies name them.
type limits struct{ record, frame int }

// A joined is response.chorale of a join's reply.
type joined struct {
	protocol.JoinReply
	limits limits
}

func decodeJoined(response []byte) (joined, error) {
	var r struct {
		Chorale *struct {
			protocol.JoinReply
			Epoch   *string `json:"epoch"`
			Offset  *uint64 `json:"offset"`
			Resumed *bool   `json:"resumed"`
		} `json:"chorale"`
	}
	if err := decode(response, &r, "a join's reply"); err != nil {
		return joined{}, err
	}
	c := r.Chorale
	if c == nil || c.Epoch == nil || c.Offset == nil || c.Resumed == nil {
		return joined{}, protocolFault("a join's reply says no position: is this a Chorale server?")
	}
	j := joined{JoinReply: c.JoinReply, limits: limits{protocol.MaxRecordBytes, protocol.MaxFrameBytes}}
	j.Epoch, j.Offset, j.Resumed = *c.Epoch, *c.Offset, *c.Resumed
	if n := c.Limits["recordBytes"]; n > 0 {
		j.limits.record = n
	}
	if n := c.Limits["frameBytes"]; n > 0 {
		j.limits.frame = n
	}
	return j, nil
}

// A wireMessage is a broadcast as it arrived.
type wireMessage struct {
	event    string
	payload  json.RawMessage
	binary   []byte // raw bytes, in place of the payload
	isBinary bool
	id       string
	offset   uint64 // 0 for ephemeral messages
	replayed bool
}

func decodeBroadcast(f *protocol.Frame) (wireMessage, error) {
	var p struct {
		Event   *string         `json:"event"`
		Payload json.RawMessage `json:"payload"`
		Meta    json.RawMessage `json:"meta"`
	}
	m := wireMessage{binary: f.Binary, isBinary: f.IsBinary}
	if f.IsBinary {
		m.event, p.Meta = f.UserEvent, f.Metadata
	} else {
		if err := decode(f.Payload, &p, "a broadcast"); err != nil {
			return m, err
		}
		if p.Event == nil {
			return m, protocolFault("a broadcast has no event")
		}
		m.event, m.payload = *p.Event, p.Payload
		if m.payload == nil {
			m.payload = json.RawMessage("null")
		}
	}
	var meta struct {
		ID       string `json:"id"`
		Offset   uint64 `json:"offset"`
		Replayed bool   `json:"replayed"`
	}
	if len(p.Meta) > 0 {
		if err := decode(p.Meta, &meta, "a broadcast's meta"); err != nil {
			return m, err
		}
	}
	m.id, m.offset, m.replayed = meta.ID, meta.Offset, meta.Replayed
	return m, nil
}

// A recordsPage is a page of a collection.
type recordsPage struct {
	collection string
	reset      bool
	offset     uint64
	records    []*protocol.Record
}

func decodeRecords(payload []byte) (recordsPage, error) {
	var p struct {
		Collection string             `json:"collection"`
		Reset      *bool              `json:"reset"`
		Offset     *uint64            `json:"offset"`
		Records    []*protocol.Record `json:"records"`
	}
	if err := decode(payload, &p, "records"); err != nil {
		return recordsPage{}, err
	}
	if p.Collection == "" || p.Reset == nil || p.Offset == nil || p.Records == nil {
		return recordsPage{}, protocolFault("records do not say of what, from where or whether they replace")
	}
	for _, r := range p.Records {
		if err := checkRecord(r); err != nil {
			return recordsPage{}, err
		}
	}
	return recordsPage{p.Collection, *p.Reset, *p.Offset, p.Records}, nil
}

func checkRecord(r *protocol.Record) error {
	if r == nil || r.ID == "" || r.Fields == nil || r.Stamps == nil {
		return protocolFault("a record has no id, fields or stamps")
	}
	for name, elements := range r.SetStamps {
		for _, sign := range elements {
			if sign == "" {
				return protocolFault("a record has an empty stamp in its set %s", name)
			}
		}
	}
	// The merge relies on it, and whoever wrote the record need not have.
	for _, elements := range r.Sets {
		slices.Sort(elements)
	}
	return nil
}

var statuses = []protocol.Status{
	protocol.StatusApplied, protocol.StatusNoop, protocol.StatusSuperseded, protocol.StatusExists,
	protocol.StatusGone, protocol.StatusRejected, protocol.StatusUnknown,
}

func decodeChange(payload []byte) (*protocol.Change, error) {
	c := new(protocol.Change)
	if err := decode(payload, c, "a change"); err != nil {
		return nil, err
	}
	switch {
	case c.Offset == 0 || c.Collection == "" || c.Record == "" || c.Client == "" || c.N == 0:
		return nil, protocolFault("a change does not say of what, by whom or where")
	case !slices.Contains(statuses, c.Status):
		return nil, protocolFault("a change of unknown status %q", c.Status)
	case c.State != nil:
		return c, checkRecord(c.State)
	}
	return c, nil
}

func decodeOutcome(response []byte) (*protocol.Outcome, error) {
	o := new(protocol.Outcome)
	if err := decode(response, o, "an outcome"); err != nil {
		return nil, err
	}
	return o, checkOutcome(o)
}

func checkOutcome(o *protocol.Outcome) error {
	switch {
	case o.N == 0:
		return protocolFault("an outcome has no number")
	case !slices.Contains(statuses, o.Status):
		return protocolFault("an outcome of unknown status %q", o.Status)
	case o.State != nil:
		return checkRecord(o.State)
	}
	return nil
}

func decodeSynced(payload []byte) (*protocol.Synced, error) {
	s := new(protocol.Synced)
	if err := decode(payload, s, "synced"); err != nil {
		return nil, err
	}
	if s.Epoch == "" || s.Outcomes == nil {
		return nil, protocolFault("synced names no epoch or outcomes")
	}
	for i := range s.Outcomes {
		if err := checkOutcome(&s.Outcomes[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}
