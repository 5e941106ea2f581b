package sim

import (
	"github.com/chorale-rt/chorale/protocol"
)

// seen is how far a membership has come, for the checks.
type seen struct {
	epoch   string
	message uint64 // everything up to here was told, or was not asked for
	pages   uint64 // offset of the pages of this catch-up
	frame   uint64 // offset of the newest frame since the catch-up ended
}

// checkJoined compares the answer to a join with what was asked (J1, S1, S2).
func (m *membership) checkJoined(j *protocol.JoinReply) {
	w, asked := m.world(), m.position
	log := w.truth.log(m.log(), j.Epoch)
	from := j.Offset
	switch {
	case j.Resumed && asked == nil:
		w.fail("[S2] a join that named no position was resumed")
	case j.Resumed && asked.Epoch != j.Epoch:
		w.fail("[S2] %s: a position of epoch %s was resumed in %s", m.log(), asked.Epoch, j.Epoch)
	case j.Resumed && j.Offset < asked.Offset:
		w.fail("[J1] %s: resumed at %d from position %d", m.log(), j.Offset, asked.Offset)
	case j.Resumed:
		from = asked.Offset
	case j.Reason == "new" && asked == nil:
	case j.Reason == "epoch" && asked != nil && asked.Epoch != j.Epoch:
	case j.Reason == "truncated" && asked != nil && log.mayBeLost(asked.Offset, w.now()):
	default:
		w.fail("[S2] %s at %s/%d: not resumed because %q from %+v; the log has %d entries", m.log(), j.Epoch, j.Offset, j.Reason, asked, len(log.entries))
	}
	switch {
	case j.Resumed:
		w.counts.Resumed++
	case asked != nil:
		w.counts.Resynced++
	}
	if w.options.Faults.IgnoresResync && asked != nil {
		from = asked.Offset
	}
	m.seen = seen{epoch: j.Epoch, message: from}
}

// checkMessage compares a message with the log: it is there, it is the next one,
// and it comes once (R1, R3).
func (m *membership) checkMessage(id string, offset uint64) {
	w, log := m.world(), m.world().truth.log(m.log(), m.seen.epoch)
	switch missed := between(log.messages, m.seen.message, offset); {
	case offset > uint64(len(log.entries)) || log.entries[offset-1].id != id:
		w.fail("[R1] %s: %s was told as message %d, which it is not", m.log(), id, offset)
	case offset <= m.seen.message:
		w.fail("[R3] %s: message %d comes after %d has been told", m.log(), offset, m.seen.message)
	case missed != 0:
		w.fail("[R3] %s: message %d comes and %d has not", m.log(), offset, missed)
	}
	m.seen.message = offset
	m.checkOrder(offset)
}

// checkOrder holds live frames to the order of the log, whatever they are.
func (m *membership) checkOrder(offset uint64) {
	if !m.live {
		return
	}
	if offset <= m.seen.frame {
		m.world().fail("[R1] %s: entry %d comes after %d", m.log(), offset, m.seen.frame)
	}
	m.seen.frame = offset
}

func (m *membership) checkChange(c *protocol.Change) {
	w, log := m.world(), m.world().truth.log(m.log(), m.seen.epoch)
	if !m.live {
		w.fail("[J1] %s: change %d comes before the catch-up has ended", m.log(), c.Offset)
	}
	m.checkOrder(c.Offset)
	if truth := log.outcomes[numbered(c.Client, c.N)]; truth.offset != c.Offset || truth.status != c.Status || truth.record != c.Record {
		w.fail("[R1] %s: change %d is %s of mutation %d, which is %s at %d", m.log(), c.Offset, c.Status, c.N, truth.status, truth.offset)
	}
	if c.Status != protocol.StatusApplied {
		if c.Client != m.clientID {
			w.fail("[M8] %s: change %d is a refusal of somebody else's mutation", m.log(), c.Offset)
		}
		return
	}
	had := max(m.records.upTo, m.records.synced)
	switch missed := between(log.changes, had, c.Offset); {
	case c.Offset <= m.seen.pages:
		w.fail("[J1] %s: change %d comes again, its records are at %d", m.log(), c.Offset, m.seen.pages)
	case missed != 0:
		w.fail("[R3] %s: change %d comes and %d has not", m.log(), c.Offset, missed)
	}
}

// checkPage demands that records are told before anything is live (J1). What they
// are is looked at when the catch-up ends.
func (m *membership) checkPage(p *protocol.RecordsPage) {
	if m.live {
		m.world().fail("[J1] %s: records at %d come after the catch-up", m.log(), p.Offset)
	}
	m.seen.pages = p.Offset
}

// checkSynced demands that nothing of the past is missing (R3, J1).
func (m *membership) checkSynced(s *protocol.Synced) {
	w, log := m.world(), m.world().truth.log(m.log(), m.seen.epoch)
	if s.Epoch != m.seen.epoch {
		w.fail("[J1] %s: synced in %s after a join in %s", m.log(), s.Epoch, m.seen.epoch)
	}
	if missed := between(log.messages, m.seen.message, s.Offset+1); missed != 0 {
		w.fail("[R3] %s: synced at %d without message %d", m.log(), s.Offset, missed)
	}
	m.seen.message = max(m.seen.message, s.Offset)
	m.records.synced = s.Offset
}

// checkBase compares all records with the log, after a catch-up (R5).
func (m *membership) checkBase() {
	if m.spec.collection == "" {
		return
	}
	log := m.world().truth.log(m.log(), m.seen.epoch)
	upTo := max(m.records.upTo, m.records.synced)
	for _, id := range sortedKeys(log.records) {
		want, got := log.record(id, upTo), m.records.base[id]
		if !sameRecord(want, got) && (!gone(want) || !gone(got)) {
			m.world().fail("[R5] %s at %d: record %s is %s, and is told as %s", m.log(), upTo, id, text(want), text(got))
		}
	}
	for _, id := range sortedKeys(m.records.base) {
		if log.record(id, upTo) == nil {
			m.world().fail("[R5] %s at %d: there is no record %s", m.log(), upTo, id)
		}
	}
}

// checkRecord compares one record with the log, after a change (R5, M7).
func (m *membership) checkRecord(id string) {
	log := m.world().truth.log(m.log(), m.seen.epoch)
	if want, got := log.record(id, m.records.upTo), m.records.base[id]; !sameRecord(want, got) {
		m.world().fail("[R5] %s at %d: record %s is %s, and folds to %s", m.log(), m.records.upTo, id, text(want), text(got))
	}
}

// knows says whether the client has been told of a record in this epoch, or there
// is none. A load leaves deleted ones out, so that there may be one that it knows
// nothing of.
func (m *membership) knows(id string, offset uint64) bool {
	return m.records.told[id] || m.world().truth.log(m.log(), m.seen.epoch).record(id, offset-1) == nil
}

// checkOwn demands that an own write which settles as applied looks as it did
// while it was pending (R6).
func (m *membership) checkOwn(own *write, before, after *protocol.Record) {
	if !own.onOther && !sameContent(before, after) {
		m.world().fail("[R6] %s: own write %d was shown as %s and settles as %s", m.log(), own.mutation.N, text(before), text(after))
	}
}

// checkOutcome demands that every answer to a mutation is the one in the log
// (R2, R4).
func (m *membership) checkOutcome(w *write, status protocol.Status, offset uint64) {
	truth := m.world().truth.log(m.log(), m.seen.epoch).outcomes[numbered(m.clientID, w.mutation.N)]
	if truth.status != status || truth.offset != offset {
		m.world().fail("[R4] %s: mutation %d of %s is answered with %s at %d; it is %q at %d", m.log(), w.mutation.N, m.clientID, status, offset, truth.status, truth.offset)
	}
}

// checkAcknowledged demands that an acknowledged message is in the log (R2).
func (m *membership) checkAcknowledged(id, gotID string, offset uint64) {
	log := m.world().truth.log(m.log(), m.seen.epoch)
	if gotID != id || offset == 0 || offset > uint64(len(log.entries)) || log.entries[offset-1].id != id {
		m.world().fail("[R2] %s: message %s is acknowledged as %s at %d, where it is not", m.log(), id, gotID, offset)
	}
}
