// Package cluster starts a whole cluster on this machine: three NATS servers with
// JetStream and three Chorale nodes on them, as processes on loopback. It is for
// people who want to try one (make cluster) and for tests that break one.
//
// # What can be broken
//
// A process can be killed and started again ([Process.Kill], [Process.Start]). A
// NATS server can be sent away ([Process.Leave]), and the leaders of all streams
// asked to hand over ([Cluster.StepDown]).
// What somebody else has ended can be seen ([Process.Ended]) and started too.
// Everything that the processes say to each other goes through a [Wire] each:
// from one NATS server to another, and from a node to a NATS server. A wire can
// be cut: then what is open breaks off, and nothing new comes through.
// [Cluster.Isolate] cuts all wires of one NATS server.
//
// # Concurrency
//
// The methods may be called from anywhere. Close ends all processes and waits for
// them.
package cluster
