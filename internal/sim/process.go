package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// start puts a new process on a node.
func (w *World) start(index int, skew time.Duration) error {
	eng, err := w.backend.open(index)
	if err != nil {
		return fmt.Errorf("node %d: %w", index, err)
	}
	s, err := w.newServer(index, eng, skew)
	if err != nil {
		return err
	}
	if index < len(w.servers) {
		w.servers[index] = s
	} else {
		w.servers = append(w.servers, s)
	}
	return nil
}

// dial opens a socket with a session; nil when the server refuses the token.
func (w *World) dial(c *client, s *server) *link {
	token := c.goodToken()
	if _, err := s.deps.Verifier.Verify(token); err != nil {
		c.token = ""
		return nil
	}
	w.dials++
	l := &link{world: w, number: w.dials, client: c, server: s}
	l.sess = session.New(s.deps, l, c.version, token)
	s.links = append(s.links, l)
	w.links = append(w.links, l)
	return l
}

// hangUp ends a session after its socket, as the transport does.
func (w *World) hangUp(l *link) {
	if l.ended {
		return
	}
	l.ended = true
	l.up = nil
	l.server.remove(l)
	l.sess.Cancel()
	w.run(l.sess.Close)
}

// kill ends a process without warning. What it has paused never happens.
func (w *World) kill(s *server) {
	w.backend.killed(s.index)
	s.seam.dead = true
	links := slices.Clone(s.links)
	for _, l := range links {
		l.Close(0, "")
	}
	w.resumeAll()
	for _, l := range links {
		w.hangUp(l) // only so that its timers end
	}
	if err := w.backend.close(s.seam.Engine); err != nil {
		w.fail("close: %v", err)
	}
}

// drain ends a process as it ends by itself: sessions are closed and everything
// is finished first.
func (w *World) drain(s *server) {
	w.resumeAll()
	w.quiet.Store(true)
	for _, l := range slices.Clone(s.links) {
		l.sess.Announce()
		l.Close(protocol.CloseRestart, "")
		w.hangUp(l)
	}
	w.quiet.Store(false)
	if n := s.hub.Channels(); n != 0 {
		w.fail("[R7] %d channels have members after the last session has ended", n)
	}
	s.seam.dead = true
	if err := w.backend.close(s.seam.Engine); err != nil {
		w.fail("close: %v", err)
	}
}

// verify compares the logs that a process finds with what really happened (R2).
func (w *World) verify(s *server) {
	for _, channel := range sortedKeys(w.truth.last) {
		log := w.truth.last[channel]
		head, err := s.seam.Engine.Head(context.Background(), channel)
		if err != nil {
			continue // cut off
		}
		switch n := uint64(len(log.entries)); {
		case head.Epoch == log.epoch && head.Offset != n:
			w.fail("[R2] %s ends at %d after a restart; %d entries are in it", channel, head.Offset, n)
		case head.Epoch != log.epoch && log.durable && w.options.Power:
			w.verifyPowerLoss(s, channel, head)
		case head.Epoch != log.epoch && log.durable:
			w.fail("[R2] %s is another log after a restart, and was to survive it", channel)
		case head.Epoch == log.epoch:
			w.verifyEntries(s, channel, log)
		}
	}
}

// verifyPowerLoss demands that a log which goes on in another epoch has all that
// was to survive the loss of power, and nothing that it had not before (R2, E7).
func (w *World) verifyPowerLoss(s *server, channel string, head engine.Position) {
	old := w.truth.last[channel]
	if head.Offset > uint64(len(old.entries)) {
		w.fail("[R2] %s ends at %d after the loss of power; it had %d entries", channel, head.Offset, len(old.entries))
		return
	}
	for i, e := range old.entries[head.Offset:] {
		if e.disk {
			w.fail("[R2] %s ends at %d after the loss of power, without entry %d, which was on disk", channel, head.Offset, int(head.Offset)+i+1)
			return
		}
	}
	w.verifyEntries(s, channel, w.truth.renewed(channel, head))
}

func (w *World) verifyEntries(s *server, channel string, log *truthLog) {
	entries, err := s.seam.Engine.Since(context.Background(), channel, 0, len(log.entries)+1)
	if err != nil {
		w.fail("since %s: %v", channel, err)
		return
	}
	for _, e := range entries {
		if e.Offset > uint64(len(log.entries)) || log.entries[e.Offset-1].id != e.ID {
			w.fail("[R2] %s: entry %d is %q, which it was not", channel, e.Offset, e.ID)
		}
	}
}

// end stops everything that runs.
func (w *World) end() {
	w.resumeAll()
	w.quiet.Store(true)
	for _, s := range w.servers {
		if s.seam.dead {
			continue
		}
		for _, l := range slices.Clone(s.links) {
			w.hangUp(l)
		}
		if n := s.hub.Channels(); n != 0 {
			w.fail("[R7] %d channels have members after the last session has ended", n)
		}
		s.seam.dead = true
		if err := w.backend.close(s.seam.Engine); err != nil {
			w.fail("close: %v", err)
		}
	}
}
