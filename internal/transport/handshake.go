//go:build linux || darwin || freebsd || netbsd

package transport

import (
	"bytes"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// headSize is how long the head of a request is that may be for a WebSocket: 0 while
// it has not arrived whole, negative when net/http is to look at it, because it is
// another request, not below 16 KB, or has lines that do not end as they should.
func headSize(head []byte) int {
	const start = "GET /"
	n := min(len(head), len(start))
	end := bytes.Index(head, []byte("\r\n\r\n"))
	switch {
	case string(head[:n]) != start[:n]:
		return -1
	case end >= 0 && end < readSize:
		return end + len("\r\n\r\n")
	case len(head) >= readSize, bytes.Contains(head, []byte("\n\n")), bytes.Contains(head, []byte("\n\r\n")):
		return -1
	}
	return 0
}

// isForSocket says whether the path of a request, whose head is whole, is that of a socket.
func isForSocket(head []byte) bool {
	path := head[len("GET "):]
	if end := bytes.IndexAny(path, " ?\r"); end >= 0 {
		path = path[:end]
	}
	_, ok := socketAt(string(path))
	return ok
}

// errOther says that a request is not for a socket, or not as plain as it is of
// clients; net/http knows what to answer.
var errOther = errors.New("another request")

// isPlain says whether everybody reads a head alike: it is HTTP/1.1, each line ends with
// CRLF, none is folded, no colon follows a blank, not even in a value, and there are no
// control characters. A proxy in front may have taken anything else for something else.
func isPlain(head []byte) bool {
	for i, c := range head {
		before, after := byte(0), byte(0)
		if i > 0 {
			before = head[i-1]
		}
		if i+1 < len(head) {
			after = head[i+1]
		}
		switch {
		case c == '\r' && after != '\n',
			c == '\n' && (before != '\r' || after == ' ' || after == '\t'),
			c == ':' && (before == ' ' || before == '\t'),
			c < ' ' && c != '\t' && c != '\r' && c != '\n', c == 0x7f:
			return false
		}
	}
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	return bytes.HasSuffix(line, []byte(" HTTP/1.1"))
}

// isWord says whether b has letters, digits and those others, and nothing else.
func isWord(b []byte, others string) bool {
	for _, c := range b {
		isLetter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !isLetter && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// readHandshake reads the head of a request for a socket, and returns the answer with
// which it becomes one. It is false for all other requests.
func (s *Server) readHandshake(head []byte, from netip.AddrPort) (h *handshake, reply []byte, ok bool) {
	if !isPlain(head) {
		return nil, nil, false
	}
	h = new(handshake)
	var query url.Values
	var key string
	var hasKey, hasHost bool
	var forwarded []string
	x := exchange{head: head}
	_, err := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			at, err := url.ParseRequestURI(string(uri))
			if err != nil || at.RawPath != "" { // which is not for us to clean
				return errOther
			}
			if h.isShared, ok = socketAt(at.Path); !ok {
				return errOther
			}
			query = at.Query()
			if h.version, ok = protocol.ParseVersion(query.Get("vsn")); !ok {
				return errOther
			}
			return nil
		},
		OnHost: func(value []byte) error {
			if hasHost || !isWord(value, ".-_:[]") {
				return errOther
			}
			hasHost = true
			return nil
		},
		OnHeader: func(name, value []byte) error {
			switch string(name) { // which is in its canonical form
			case "X-Api-Key":
				if !hasKey { // the first one counts, as in http.Header.Get
					hasKey, key = true, string(value)
				}
			case "X-Forwarded-For":
				forwarded = append(forwarded, string(value))
			case "Content-Length", "Transfer-Encoding", "Expect":
				return errOther
			}
			if !isWord(name, "-_") {
				return errOther
			}
			return nil
		},
	}.Upgrade(&x)
	if err != nil {
		return nil, nil, false
	}
	// A clone: it is a part of the request's line, which it would keep.
	h.token = strings.Clone(requestToken(key, query))
	h.address = s.opts.Proxies.Client(from.String(), forwarded)
	return h, x.reply, true
}

// exchange is a request that was read, and what is answered to it.
type exchange struct{ head, reply []byte }

// Read implements io.Reader.
func (x *exchange) Read(b []byte) (int, error) {
	n := copy(b, x.head)
	x.head = x.head[n:]
	if n == 0 {
		return 0, errOther
	}
	return n, nil
}

// Write implements io.Writer.
func (x *exchange) Write(b []byte) (int, error) {
	x.reply = append(x.reply, b...)
	return len(b), nil
}
