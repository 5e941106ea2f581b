package sim

// Faults are ways in which what surrounds the server can be wrong: the log, the
// client, the socket. A simulation with one of them must fail; tests hold that.
// The zero value is a correct world.
type Faults struct {
	// Of the log, each against a guarantee of package engine.
	NoDedupe          bool // E4: ids mean nothing
	NoConditions      bool // E5: conditions are not looked at
	SkipsLast         bool // E2: reading the past leaves out its last entry
	NoRepair          bool // E2: what got lost on the way to a node stays lost
	Reorders          bool // E1: a node delivers two entries the wrong way round
	NoTruncation      bool // E6: what was dropped is left out without a word
	StaleHead         bool // E9: a node that lags behind takes what it knows for the newest
	LosesAcknowledged bool // E3: the newest entry is gone after a restart
	LazyDisk          bool // E3: what is to be on disk is with the operating system only
	LeakyLeases       bool // leases outlive their node
	FailingDrops      bool // a node that is cut off refuses to give up its leases

	// Of the client.
	IgnoresResync   bool // resumed: false changes nothing
	RenumbersResent bool // what is sent again gets another number
	FreshIDs        bool // what is published again gets another id
	KeepsSettled    bool // a settled write is still shown as pending
	ForgetsPosition bool // resumed: false forgets it before there is another

	// Of the socket.
	Unbounded bool // the queue to a client grows without end
}
