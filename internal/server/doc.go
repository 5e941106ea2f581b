// Package server puts a Chorale server together from its parts and runs it.
//
// It is a composition root: it decides nothing that a part could decide. [New]
// builds everything from [Options]; Run serves until its context ends, then
// drains: clients are told to come back, writes are finished, the log is closed.
// Two servers may live in one process.
package server
