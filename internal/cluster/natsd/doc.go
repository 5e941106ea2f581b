// Package natsd runs a NATS server in a process of its own. It is the one place
// that knows the server as a library, and no part of the chorale binary.
package natsd
