// Package metrics counts what the server does, in the words of the domain.
//
// Consumers ask for the few verbs they use through interfaces of their own; only
// this package knows Prometheus. Nothing here is labelled by channel, user or
// anything else that a stranger can make more of.
//
// All methods may be called concurrently and never block.
package metrics
