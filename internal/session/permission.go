package session

import (
	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// permissions are what one identity may do in one channel. Each question is
// asked of the rules once: the answer holds until the token changes or the
// channel is joined again, as upstream has it, and a push costs no condition.
type permissions struct {
	policy   policy.Channel
	identity *auth.Identity
	answers  []answer // a handful: a map would weigh more than all else of an idle member
}

// answer is what the rules said of one operation; fault is nil when it is allowed.
type answer struct {
	op    auth.Op
	fault *protocol.Error
}

func newPermissions(p policy.Channel, id *auth.Identity) permissions {
	return permissions{policy: p, identity: id}
}

// may says why not, or nil.
func (p *permissions) may(op auth.Op) *protocol.Error {
	for i := range p.answers {
		if p.answers[i].op == op {
			return p.answers[i].fault
		}
	}
	fault := p.policy.May(op, p.identity)
	p.answers = append(p.answers, answer{op, fault})
	return fault
}

// readable says in upstream's words why a member may not see any longer what it
// has joined for; "" when it may. now is what holds with its new token.
func (sub *subscription) readable(now *permissions) string {
	join := now.may(auth.Join) == nil
	present := now.may(auth.Presence) == nil
	lostPresence := sub.seesPresence && !present
	switch {
	case !join && !present:
		return "You do not have permissions to read from this Channel topic: " + sub.name.Name
	case !join, lostPresence, now.policy.Collections(sub.collections, now.identity) != nil:
		return "You no longer have permission to read from this Channel topic: " + sub.name.Name
	}
	return ""
}
