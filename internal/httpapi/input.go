package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

const (
	// maxSmallBody is of requests that name something, such as a revocation.
	maxSmallBody = 16 << 10
	// maxRecordBody leaves room for JSON that is written more widely than a
	// record is stored.
	maxRecordBody = 2 * protocol.MaxRecordBytes
	// maxPageBytes ends a page of a list early: many clients may ask at once, and
	// each page is held whole.
	maxPageBytes = 4 << 20
)

// body reads a body of JSON of at most limit bytes.
func body(r *request, limit int) ([]byte, *problem) {
	if header := r.Header.Get("Content-Type"); header != "" {
		if kind, _, err := mime.ParseMediaType(header); err != nil || kind != "application/json" {
			return nil, refuse(&protocol.Error{Code: protocol.CodeUnsupportedMedia, Message: "The body must be application/json"})
		}
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, unreadable("", "The body could not be read")
	case len(data) > limit:
		return nil, refuse(&protocol.Error{Code: protocol.CodePayloadTooLarge, Message: fmt.Sprintf("The body is larger than %d bytes", limit)})
	case !utf8.Valid(data):
		return nil, unreadable("", "The body is not UTF-8")
	}
	return data, nil
}

// decode reads a body into T. Members that T does not have are refused: a typing
// error in `private` must not publish to somebody else.
func decode[T any](r *request, limit int) (v T, _ *problem) {
	data, refused := body(r, limit)
	if refused != nil {
		return v, refused
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, unreadable("", "The body is not as described: %s", jsonFault(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return v, unreadable("", "The body goes on behind its JSON")
	}
	return v, nil
}

// jsonFault says what is wrong with JSON in words that name its members, and not
// what reads them.
func jsonFault(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return e.Field + " has the wrong type: " + e.Value
	} else if ok {
		return "it has the wrong type: " + e.Value
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it is not JSON, as byte " + strconv.FormatInt(e.Offset, 10) + " shows"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "it ends before its JSON does"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// privacy is a boolean that may be the string "true" or "false" in any case, as
// upstream takes it. What is neither is refused: whoever means to write in a
// private channel must not write in a public one.
type privacy bool

// UnmarshalJSON implements json.Unmarshaler.
func (p *privacy) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		*p = true
	case "false", "null":
		*p = false
	default:
		return errors.New("private must be true or false")
	}
	return nil
}

// number reads a parameter between least and most; def when it is absent.
func number(r *request, name string, def, least, most uint64) (uint64, *problem) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, unreadable("?"+name, "%s must be a whole number from %d to %d", name, least, most)
	}
	return n, nil
}

// channel reads which channel the path and ?private=, by default true, name.
func channel(r *request) (protocol.Channel, *problem) {
	private := true
	switch r.URL.Query().Get("private") {
	case "", "true":
	case "false":
		private = false
	default:
		return protocol.Channel{}, unreadable("?private", "private must be true or false")
	}
	return named(r, private)
}

func named(r *request, private bool) (protocol.Channel, *problem) {
	name := protocol.Channel{Name: r.PathValue("name"), Private: private}
	if fault := protocol.CheckChannelName(name.Name); fault != nil {
		return name, refuse(fault)
	}
	if !utf8.ValidString(name.Name) {
		return name, refuse(&protocol.Error{Code: protocol.CodeTopicRequired, Message: "The channel's name is not UTF-8"})
	}
	return name, nil
}

// enter reads the channel and asks whether the identity may do all of this there.
func (a *API) enter(r *request, ops ...auth.Op) (protocol.Channel, policy.Channel, *problem) {
	name, refused := channel(r)
	if refused != nil {
		return name, policy.Channel{}, refused
	}
	p := a.opts.Policy().Channel(name)
	for _, op := range ops {
		if fault := p.May(op, r.identity); fault != nil {
			return name, p, refuse(fault)
		}
	}
	return name, p, nil
}
