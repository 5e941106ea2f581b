package collection

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/chorale-rt/chorale/protocol"
)

// Limits of what one mutation may bring, beside those of package protocol.
const (
	// maxElementBytes: an element of a set is a word, not a document; each is
	// held twice, with a stamp that outlives its removal.
	maxElementBytes = 256
	// maxSentenceBytes bounds what a refusal says, and maxLostBytes the names it
	// lists: 64 of them are written again with every mutation of the client.
	maxSentenceBytes = 300
	maxLostBytes     = 1 << 10
)

// A fault is why a mutation is rejected. It becomes a protocol.Error.
type fault struct {
	code, path, sentence string
}

func invalid(path, sentence string) *fault {
	return &fault{code: protocol.CodeInvalidMutation, path: path, sentence: sentence}
}

// refusal is a fault as the log keeps it and the wire carries it. It is
// bounded, so that a repeat is told the very same.
func (f *fault) refusal() *protocol.Error {
	return &protocol.Error{
		Code: cut(f.code, protocol.MaxIDBytes), Message: cut(f.sentence, maxSentenceBytes), Path: cut(f.path, maxSentenceBytes),
	}
}

// cut shortens s to at most max bytes of UTF-8, with an ellipsis.
func cut(s string, max int) string {
	const ellipsis = "…"
	if len(s) <= max {
		return s
	}
	end := max - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// cutLost keeps the first names that fit.
func cutLost(names []string) []string {
	size := 0
	for i, name := range names {
		if size += len(name); size > maxLostBytes {
			return names[:i]
		}
	}
	return names
}

// pointer is the JSON pointer (RFC 6901) of a path.
func pointer(path ...string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// checkAddress refuses a mutation whose outcome could not be kept under its
// author's name: it is an error and consumes nothing.
func checkAddress(m *protocol.Mutation) *protocol.Error {
	if !isClientID(m.Client) {
		return &protocol.Error{Code: protocol.CodeInvalidMutation, Path: "/client",
			Message: fmt.Sprintf("a client id has 1 to %d letters, digits, dots, dashes or underscores", protocol.MaxIDBytes)}
	}
	if m.N == 0 {
		return &protocol.Error{Code: protocol.CodeInvalidMutation, Path: "/n", Message: "n counts from 1"}
	}
	return nil
}

// isClientID: the id ends stamps, keys and entry ids, so it must not hold their
// separators.
func isClientID(s string) bool {
	if s == "" || len(s) > protocol.MaxIDBytes {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// isID accepts ids of records and mutations, and names of collections: ASCII,
// because Go and JavaScript order other strings differently.
func isID(s string) bool {
	if s == "" || len(s) > protocol.MaxIDBytes {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isCollection also keeps the slash out, which ends the name in a key.
func isCollection(s string) bool { return isID(s) && !strings.Contains(s, "/") }

// checkMutation looks at what can be judged without the record. It returns nil
// or the first fault, in an order that does not depend on chance.
func checkMutation(m *protocol.Mutation) *fault {
	switch m.Op {
	case protocol.OpPut, protocol.OpPatch, protocol.OpRestore:
	case protocol.OpDelete:
		if len(m.Fields)+len(m.Sets)+len(m.Counters) > 0 {
			return invalid("/op", "a delete carries no fields, sets or counters")
		}
	default:
		return invalid("/op", "op is put, patch, delete or restore")
	}
	if !isCollection(m.Collection) {
		return invalid("/collection", fmt.Sprintf("a collection's name has 1 to %d ASCII characters, no space or slash", protocol.MaxIDBytes))
	}
	if !isID(m.Record) {
		return invalid("/record", fmt.Sprintf("a record id has 1 to %d ASCII characters, no space", protocol.MaxIDBytes))
	}
	if m.ID != "" && !isID(m.ID) {
		return invalid("/id", fmt.Sprintf("an id has 1 to %d ASCII characters, no space", protocol.MaxIDBytes))
	}
	if err := protocol.CheckTime(m.At); err != nil {
		return invalid("/at", err.Error())
	}
	return checkContent(m)
}

func checkContent(m *protocol.Mutation) *fault {
	if len(m.Fields)+len(m.Sets)+len(m.Counters) > protocol.MaxFieldNames {
		return invalid("", fmt.Sprintf("a mutation has at most %d names", protocol.MaxFieldNames))
	}
	first := new(firstFault)
	for name, value := range m.Fields {
		switch reason := checkName(name); {
		case reason != "":
			first.offer(invalid(pointer("fields", name), reason))
		case !utf8.Valid(value) || !json.Valid(value):
			first.offer(invalid(pointer("fields", name), name+": is no JSON in UTF-8"))
		}
	}
	for name, elements := range m.Sets {
		if reason := checkName(name); reason != "" {
			first.offer(invalid(pointer("sets", name), reason))
		}
		if len(elements) > protocol.MaxSetElements {
			first.offer(invalid(pointer("sets", name), fmt.Sprintf("%s: at most %d elements", name, protocol.MaxSetElements)))
		}
		for element := range elements {
			if len(element) > maxElementBytes || !utf8.ValidString(element) {
				first.offer(invalid(pointer("sets", name), fmt.Sprintf("%s: an element has at most %d bytes of UTF-8", name, maxElementBytes)))
			}
		}
	}
	for name, delta := range m.Counters {
		if reason := checkName(name); reason != "" {
			first.offer(invalid(pointer("counters", name), reason))
		}
		if math.IsNaN(delta) || math.IsInf(delta, 0) {
			first.offer(invalid(pointer("counters", name), name+": is not a finite number"))
		}
	}
	return first.fault
}

// firstFault keeps the fault with the lowest path, because maps are walked in
// an order of chance and a test, or a reader, wants one answer.
type firstFault struct{ fault *fault }

func (f *firstFault) offer(found *fault) {
	if f.fault == nil || found.path < f.fault.path {
		f.fault = found
	}
}

// checkName says what is wrong with a name of a field, set or counter; "" is
// nothing.
func checkName(name string) string {
	switch name {
	case "id", "version", "createdBy", "createdAt", "updatedBy", "updatedAt":
		return name + ": is the server's (M6)"
	case "":
		return "a name is empty"
	}
	if len(name) > protocol.MaxIDBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Sprintf("a name has at most %d bytes of UTF-8, no control characters", protocol.MaxIDBytes)
	}
	return ""
}
