// Package metrics counts what the server does, in the words of the domain.
//
// Consumers ask for the few verbs they use through interfaces of their own; only
// this package knows Prometheus. Nothing here is labelled by channel, user or
// anything else that a stranger can make more of.
//
// What is counted for every message is counted in cells, which sessions and channels have
// each one of, so that no CPU waits for another's addition; they are summed when somebody
// asks.
//
// All methods may be called concurrently and never block.
package metrics
