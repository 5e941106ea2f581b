// Package policy says what the rules mean for one channel: who may do what
// there, how long its log is kept and how durable, and which collections it has.
//
// It joins the rules (auth), the schemas (collection) and the classes of the
// engine, so that sessions and the HTTP API ask one question in one place.
//
// # Concurrency
//
// A [Policy] and a [Channel] are immutable and may be shared. Reloading rules
// makes a new Policy; who holds the old one goes on with it.
package policy
