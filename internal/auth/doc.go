// Package auth answers two questions: who does this token say you are, and may
// that identity do this in that channel?
//
// # Tokens
//
// A [Verifier] turns a JSON Web Token into an [Identity], or into a
// [*TokenError] with a stable code and the texts that Supabase clients know.
// HMAC secrets, PEM public keys and JSON Web Key Sets are accepted side by side.
// A key is only ever used with the algorithms of its own kind, so a public key
// cannot be mistaken for an HMAC secret, and `alg: none` has no key at all.
//
// Verified tokens are remembered by their SHA-256 until they expire or the keys
// change: ten thousand clients that come back after a restart cost ten thousand
// hashes and not ten thousand signatures.
//
// # Rules
//
// [ParseRules] reads the rules file: patterns of channel names, with conditions
// in CEL for what an identity may do there. Everything that can be wrong in the
// file is found when it is loaded, and named with file, line, rule and
// condition. The first rule whose pattern matches a channel decides, alone.
// What a rule does not mention is denied; a condition that fails to evaluate is
// denied and says so ([Decision.Err]).
//
//	channels:
//	  - match: "interview:{id}"      # {id}: one or more characters, no colon; {rest*}: all that follows
//	    join:     'claims.role == "authenticated"'
//	    publish:  'true'
//	    persist:  'true'             # have messages kept for longer; without it, the condition for publish
//	    presence: 'true'             # without it, the condition for join
//	    history:  {messages: 1000, bytes: 8MiB, age: 24h, durability: os, read: 'true'}
//	                                 # read: who may read what was said before; without it, the condition for join
//	    limits:   {messagesPerSecond: 500, payloadBytes: 64KiB}   # without them, the server's
//	    collections:
//	      notes:
//	        schema: schemas/note.json   # or the schema itself; without it, any record will do
//	        read:  'true'               # without it, allowed
//	        write: 'record == null || record.createdBy == claims.sub'
//
// Conditions see claims, channel (its name), params (what the pattern bound) and
// each bound name by itself, unless it means something else already; those for
// write also see record (null when there is none) and mutation. Durability is
// memory, os or disk: os where a channel has collections, else memory.
//
// # Concurrency
//
// Identities, rules, matches and decisions never change once made, and
// everything here may be used from any goroutine. Deciding never blocks.
// [Verifier.Verify] waits for the network in one case only: the token names a
// key that is not known and a key set is configured. See there for the bound.
// New rules take effect when their owner uses the new pointer.
//
// # Secrets
//
// No token, secret or claim's value appears in an error's text, in a log value
// or in what String returns. The one exception is [Decision.Err], which is for
// the operator: CEL may quote a value there that it could not convert.
package auth
