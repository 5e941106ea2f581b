//go:build linux || darwin

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
// another request, too long, or has lines that do not end as they should.
func headSize(head []byte) int {
	const start = "GET /"
	n := min(len(head), len(start))
	end := bytes.Index(head, []byte("\r\n\r\n"))
	switch {
	case string(head[:n]) != start[:n]:
		return -1
	case end >= 0:
		return end + len("\r\n\r\n")
	case len(head) >= readSize, bytes.Contains(head, []byte("\n\n")), bytes.Contains(head, []byte("\n\r\n")):
		return -1
	}
	return 0
}

// errOther says that a request is not for a socket, or not as plain as it is of
// clients; net/http knows what to answer.
var errOther = errors.New("another request")

// isOdd says whether a head has lines that not everybody reads alike: folded ones, and
// blanks before a colon. A proxy in front may have taken them for something else.
func isOdd(head []byte) bool {
	for _, odd := range [...]string{"\n ", "\n\t", " :", "\t:"} {
		if bytes.Contains(head, []byte(odd)) {
			return true
		}
	}
	return false
}

// readHandshake reads the head of a request for a socket, and returns the answer with
// which it becomes one. It is false for all other requests.
func (s *Server) readHandshake(head []byte, from netip.AddrPort) (h *handshake, reply []byte, ok bool) {
	if isOdd(head) {
		return nil, nil, false
	}
	h = new(handshake)
	var query url.Values
	var key string
	var forwarded []string
	x := exchange{head: head}
	_, err := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			at, err := url.ParseRequestURI(string(uri))
			if err != nil {
				return err
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
		OnHeader: func(name, value []byte) error {
			switch string(name) { // which is in its canonical form
			case "X-Api-Key":
				if key == "" {
					key = string(value)
				}
			case "X-Forwarded-For":
				forwarded = append(forwarded, string(value))
			case "Content-Length", "Transfer-Encoding":
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
