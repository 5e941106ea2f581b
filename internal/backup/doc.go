// Package backup is the form of a backup: a stream of keys and values in order,
// with what it takes to see that it is whole.
//
// # What it is
//
// A stream is a line of text that says what it is, then blocks, each with a
// checksum: a head, any number of blocks with pairs, and an end with how many
// pairs there were. It knows nothing of where the pairs come from. The engine
// that made it says in the head which version of its layout they have, and
// reads them as it reads an old store. So a backup depends on neither the files
// of the store nor the program that wrote it.
//
//	"chorale backup 1\n"
//	block*: length of the body, 4 bytes; CRC-32C of the body, 4 bytes; body
//	body:   'h' and JSON of Head
//	        'p' and pairs: length of key, key, length of value, value
//	        'e' and the number of pairs, the last block
//
// Lengths of blocks and checksums are big-endian, all other numbers uvarint.
//
// # Guarantees
//
// A [Reader] ends with io.EOF only when it has read all that the [Writer] wrote:
// a block that was changed has another checksum, one that was moved or doubled
// breaks the order of the keys, one that is missing the number of pairs. All else
// is [ErrDamaged]. It is not a signature: who can write the file can forge it.
//
// # Concurrency
//
// A Writer and a Reader are used by one goroutine at a time.
package backup
