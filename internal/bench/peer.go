package bench

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// A Peer is another server that is measured beside ours: started for each run, on
// the same CPUs, under the same pushes of the same generator. Peers know
// broadcasts only.
type Peer struct {
	Name string // in reports
	Kind string // how it is started and spoken to, one of PeerKinds; "" means Name
	Path string // of its executable, or of its program for Node
}

// ParsePeer reads KIND=PATH, or NAME:KIND=PATH for what is to be called otherwise
// than the peer whose protocol it speaks.
func ParsePeer(text string) (Peer, error) {
	name, path, ok := strings.Cut(text, "=")
	own, kind, named := strings.Cut(name, ":")
	if !named {
		kind = name
	}
	if _, known := peerKinds[kind]; !ok || !known || own == "" || own == floorName || own == choraleName || path == "" {
		return Peer{}, fmt.Errorf("peer %q: want KIND=PATH or NAME:KIND=PATH, with a kind of %s", text, strings.Join(PeerKinds, ", "))
	}
	return Peer{Name: own, Kind: kind, Path: path}, nil
}

// kind is how it is spoken to.
func (p Peer) kind() string { return cmp.Or(p.Kind, p.Name) }

// PeerKinds are the peers that the generator knows how to speak to.
var PeerKinds = []string{"ws", "socketio", "nats", "centrifugo", "postgres-changes"}

// peerKinds say how each is started and spoken to. Not changed.
var peerKinds = map[string]func(p peerPlan) (command, func(url string) subject, error){
	"ws":               announced(func(t tokens) func(string) subject { return func(u string) subject { return &plainSubject{u, t} } }),
	"postgres-changes": announced(func(t tokens) func(string) subject { return func(u string) subject { return &plainSubject{u, t} } }),
	"socketio":         announced(func(t tokens) func(string) subject { return func(u string) subject { return &socketIO{u, t} } }),
	"centrifugo":       planCentrifugo,
	"nats":             planNATS,
}

// tokens makes the token of a member.
type tokens func(sub string) (string, error)

// A peerPlan is what a start of a peer has to go by.
type peerPlan struct {
	path   string
	dir    string // for its files; removed after the run
	secret string // of the tokens (HS256), or the token itself
	tokens tokens
}

// announced is a program of ours around a library: it takes --secret and says
// where it listens.
func announced(speak func(tokens) func(string) subject) func(peerPlan) (command, func(string) subject, error) {
	return func(p peerPlan) (command, func(string) subject, error) {
		c := command{path: p.path, args: []string{"--secret", p.secret}}
		if strings.HasSuffix(p.path, ".mjs") {
			node, err := exec.LookPath("node")
			if err != nil {
				return command{}, nil, err
			}
			c = command{path: node, args: append([]string{p.path}, c.args...)}
		}
		return c, speak(p.tokens), nil
	}
}

// onPeer starts a peer, measures it, and ends it.
func (r *runner) onPeer(p Peer) func(ctx context.Context, run string) ([]Figures, error) {
	return func(ctx context.Context, run string) (figures []Figures, err error) {
		dir, err := os.MkdirTemp(r.options.Dir, "chorale-bench-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for the server: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		secret := hex.EncodeToString(randomBytes(32))
		c, speak, err := peerKinds[p.kind()](peerPlan{path: p.Path, dir: dir, secret: secret, tokens: mint([]byte(secret))})
		if err != nil {
			return nil, err
		}
		c.cpus, c.stderr = r.serverCPUs, r.options.Log
		k, err := startChild(ctx, c)
		if err != nil {
			return nil, err
		}
		defer func() {
			ended := k.stop()
			if _, status := errors.AsType[*exec.ExitError](ended); status {
				ended = nil // how others end is their affair
			}
			err = errors.Join(err, ended)
		}()
		return r.scenario.run(ctx, r.site(speak(k.url), p.pid(k), run))
	}
}

// pid is the process whose CPU time and memory are a peer's; 0 for one that does
// most of its work in processes of its own.
func (p Peer) pid(k *child) int {
	if p.kind() == "postgres-changes" {
		return 0
	}
	return k.cmd.Process.Pid
}

// freeAddress is a loopback address that nobody listens on just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A foreigner is a subject that speaks another protocol than ours.
type foreigner interface {
	subject
	// ear is for what one member is sent.
	ear() ear
}

// An ear takes apart what a peer sends to one member. For one goroutine.
type ear interface {
	// hear calls message for each delivery in a frame, whose bytes are good until
	// it returns. answer, if any, is to be sent; err is a refusal.
	hear(frame []byte, message func([]byte)) (answer []byte, err error)
}

// errNoRecords is what peers say to scenarios in mode Notes.
var errNoRecords = errors.New("peers have no records: use --mode broadcast")

// channelName is a channel's name at a peer: letters, digits and dashes.
func channelName(s seat) string { return fmt.Sprintf("bench-%s-%d", s.run, s.channel) }

// memberName is the user that a member's token names.
func memberName(s seat) string { return fmt.Sprintf("bench-%d-%d", s.channel, s.index) }

// foreignPush makes pushes whose text stands between middle and end. Between head
// and middle is a number that rises; without a head there is none.
func foreignPush(s seat, head, middle, end string) *pushWriter {
	pad := strings.Repeat(".", max(s.textSize-stampLen, 0))
	return &pushWriter{mode: Broadcast, writer: uint32(s.index), head: []byte(head), middle: []byte(middle), end: []byte(pad + end)}
}

// enter dials an address and makes ready; what enter returns belongs to the socket.
func enter(ctx context.Context, address string, s seat, greet func(*socket) (*pushWriter, error)) (*socket, *pushWriter, error) {
	if s.mode == Notes {
		return nil, nil, errNoRecords
	}
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	w, err := greet(sock)
	if err != nil {
		sock.close()
		return nil, nil, fmt.Errorf("join channel %d: %w", s.channel, err)
	}
	return sock, w, nil
}
