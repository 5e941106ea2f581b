// Package linear judges histories of conditional writes: it is test support.
//
// # What it is
//
// Tests note what clients asked of records and were answered, with the instants
// of question and answer ([Recorder]). [Check] says whether there is one order of
// all that, in which each operation takes place at one instant between its
// question and its answer, and every answer is what a single copy of the record
// would have given: whether there is, that is, a linearization (E5, M4). The
// search is porcupine's.
//
// # Concurrency
//
// A Recorder may be used concurrently.
package linear
