package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// A place is one collection of one channel, as one identity may use it.
type place struct {
	channel    protocol.Channel
	policy     policy.Channel
	collection string
}

// enterCollection asks whether the identity may join the channel, and whether
// there is such a collection.
func (a *API) enterCollection(r *request) (place, *problem) {
	name, p, refused := a.enter(r, auth.Join)
	if refused != nil {
		return place{}, refused
	}
	at := place{channel: name, policy: p, collection: r.PathValue("collection")}
	if _, ok := p.Target(r.identity).Specs[at.collection]; !ok {
		return place{}, refuse(&protocol.Error{Code: protocol.CodeUnknownCollection, Message: "No rule gives this channel such a collection"})
	}
	return at, nil
}

func (a *API) enterReading(r *request) (place, *problem) {
	at, refused := a.enterCollection(r)
	if refused != nil {
		return place{}, refused
	}
	if fault := at.policy.Collections([]string{at.collection}, r.identity); fault != nil {
		return place{}, refuse(fault)
	}
	return at, nil
}

type recordPage struct {
	Epoch   string            `json:"epoch"`
	Offset  uint64            `json:"offset"` // what since= takes when the last page was read
	Records []json.RawMessage `json:"records"`
	Cursor  string            `json:"cursor,omitempty"` // there is another page
}

// A cursor is where the next page of a listing begins. The position is that of
// the first page: what changed while the pages were read comes again, to who
// goes on from there.
type cursor struct {
	Epoch  string `json:"e"`
	Offset uint64 `json:"o"`
	Since  uint64 `json:"s"`
	After  string `json:"a"` // id of the record before the page
}

func (c cursor) String() string {
	data, _ := json.Marshal(c) // strings and numbers
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(text string) (c cursor, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	return c, err == nil && json.Unmarshal(data, &c) == nil && c.Epoch != "" && c.After != ""
}

// listRecords is GET …/records: all records, or those that changed since a
// position, tombstones among them.
func (a *API) listRecords(r *request) (answer, *problem) {
	at, refused := a.enterReading(r)
	if refused != nil {
		return answer{}, refused
	}
	limit, refused := number(r, "limit", protocol.RecordsPerPage, 1, protocol.RecordsPerPage)
	if refused != nil {
		return answer{}, refused
	}
	from, refused := listingFrom(r)
	if refused != nil {
		return answer{}, refused
	}
	now, records, err := a.opts.Collections.Load(r.Context(), at.channel.Log(), at.collection, from.Since)
	switch {
	case err != nil:
	case from.Epoch != "" && from.Epoch != now.Epoch:
		err = engine.ErrEpoch
	case from.Since > now.Offset:
		err = engine.ErrFuture
	}
	if err != nil {
		return answer{}, a.engineProblem("list records", err)
	}
	if from.After == "" {
		from.Epoch, from.Offset = now.Epoch, now.Offset
	}
	return answer{status: http.StatusOK, body: pageOf(records, from, int(limit))}, nil
}

func listingFrom(r *request) (cursor, *problem) {
	if text := r.URL.Query().Get("cursor"); text != "" {
		from, ok := parseCursor(text)
		if !ok {
			return cursor{}, unreadable("?cursor", "cursor is not one that a page came with")
		}
		return from, nil
	}
	since, refused := position(r, "since")
	return cursor{Epoch: since.Epoch, Since: since.Offset}, refused
}

// pageOf cuts a page out of records that are ordered by id.
func pageOf(records []protocol.StoredRecord, from cursor, limit int) recordPage {
	start := 0
	if from.After != "" {
		var found bool
		if start, found = slices.BinarySearchFunc(records, from.After, func(record protocol.StoredRecord, id string) int {
			return strings.Compare(idOf(record), id)
		}); found {
			start++
		}
	}
	page := recordPage{Epoch: from.Epoch, Offset: from.Offset, Records: []json.RawMessage{}}
	for size := 0; start < len(records) && len(page.Records) < limit; start++ {
		if size += records[start].Size(); size > maxPageBytes && len(page.Records) > 0 {
			break
		}
		page.Records = append(page.Records, records[start].Append(nil))
	}
	if start < len(records) {
		from.After = idOf(records[start-1])
		page.Cursor = from.String()
	}
	return page
}

func idOf(record protocol.StoredRecord) string {
	var r struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(record.Data, &r) // the store has made it
	return r.ID
}

// getRecord is GET …/records/{id}.
func (a *API) getRecord(r *request) (answer, *problem) {
	at, refused := a.enterReading(r)
	if refused != nil {
		return answer{}, refused
	}
	record, err := a.opts.Collections.Record(r.Context(), at.channel.Log(), at.collection, r.PathValue("id"))
	switch {
	case err != nil:
		return answer{}, a.engineProblem("get record", err)
	case record == nil:
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeRecordUnknown, Message: "There is no such record"})
	case record.Deleted != "":
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeRecordDeleted, Message: "The record was deleted"})
	}
	return answer{status: http.StatusOK, body: record, etag: strconv.FormatUint(record.Version, 10)}, nil
}

type recordHistory struct {
	Epoch    string            `json:"epoch"`
	Complete bool              `json:"complete"` // nothing came before the first of them
	Changes  []json.RawMessage `json:"changes"`
}

// getHistory is GET …/records/{id}/history: what the log still holds of a
// record, also of a deleted one.
func (a *API) getHistory(r *request) (answer, *problem) {
	at, refused := a.enterReading(r)
	if refused != nil {
		return answer{}, refused
	}
	if fault := at.policy.May(auth.ReadHistory, r.identity); fault != nil {
		return answer{}, refuse(fault)
	}
	limit, refused := number(r, "limit", defaultHistory, 1, protocol.MaxReplay)
	if refused != nil {
		return answer{}, refused
	}
	log, id := at.channel.Log(), r.PathValue("id")
	head, err := a.opts.Engine.Head(r.Context(), log)
	if err != nil {
		return answer{}, a.engineProblem("history", err)
	}
	changes, complete, err := a.opts.Collections.History(r.Context(), log, at.collection, id, int(limit), maxPageBytes)
	if err != nil {
		return answer{}, a.engineProblem("history", err)
	}
	if len(changes) == 0 {
		record, err := a.opts.Collections.Record(r.Context(), log, at.collection, id)
		switch {
		case err != nil:
			return answer{}, a.engineProblem("history", err)
		case record == nil:
			return answer{}, refuse(&protocol.Error{Code: protocol.CodeRecordUnknown, Message: "There is no such record"})
		}
	}
	return answer{status: http.StatusOK, body: recordHistory{head.Epoch, complete, changes}}, nil
}

const maxMutations = 100 // in one request: they are applied one after the other

// A mutated is what became of one mutation: exactly one of both is set, as a
// push is answered on the socket.
type mutated struct {
	Outcome *protocol.Outcome `json:"outcome,omitempty"` // n was consumed; this is final
	Refused *protocol.Error   `json:"refused,omitempty"` // n was not consumed
}

type mutatedList struct {
	Results []mutated `json:"results"` // in the order of the mutations
}

// mutate is POST …/mutations: mutations as they are pushed on the socket.
func (a *API) mutate(r *request) (answer, *problem) {
	name, p, refused := a.enter(r, auth.Join)
	if refused != nil {
		return answer{}, refused
	}
	target := p.Target(r.identity)
	if len(target.Specs) == 0 {
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeUnknownCollection, Message: "This channel has no collections"})
	}
	list, refused := readMutations(r)
	if refused == nil {
		refused = a.writes(r, p, name, len(list), int(max(r.ContentLength, 0)))
	}
	if refused != nil {
		return answer{}, refused
	}
	results := make([]mutated, len(list))
	for i := range list {
		outcome, fault := a.opts.Collections.Apply(r.Context(), target, &list[i], author(r.identity))
		if fault != nil {
			results[i].Refused = fault
			continue
		}
		results[i].Outcome = &outcome
	}
	return answer{status: http.StatusOK, body: mutatedList{results}}, nil
}

func readMutations(r *request) ([]protocol.Mutation, *problem) {
	data, refused := body(r, maxBody)
	if refused != nil {
		return nil, refused
	}
	return parseMutations(data)
}

// parseMutations reads one mutation, or an array of them.
func parseMutations(data []byte) ([]protocol.Mutation, *problem) {
	var raw []json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		raw = []json.RawMessage{data}
	}
	if len(raw) == 0 || len(raw) > maxMutations {
		return nil, unreadable("", "give one mutation, or an array of 1 to %d", maxMutations)
	}
	list := make([]protocol.Mutation, len(raw))
	for i := range raw {
		if string(raw[i]) == "null" {
			return nil, unreadable("/"+strconv.Itoa(i), "null is not a mutation")
		}
		if err := json.Unmarshal(raw[i], &list[i]); err != nil {
			return nil, unreadable("/"+strconv.Itoa(i), "This is not a mutation: %s", jsonFault(err))
		}
	}
	return list, nil
}

// parseOffset reads a version out of a header: a number, in quotes or without.
func parseOffset(text string) (uint64, bool) {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n <= math.MaxInt64
}
