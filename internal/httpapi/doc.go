// Package httpapi is what backends call over HTTP: Supabase's broadcast routes,
// Chorale's own API under /api/v1, its description as OpenAPI, and in dev mode
// the guest tokens of the app.
//
// # What it is
//
// A handler of /api/v1 is a function from a request and an identity to an answer
// or a problem; one place writes either. What is written here takes the same
// way as from a socket: it is appended, and what comes back from the engine is
// delivered. The same rules decide, in the same words.
//
// openapi.yaml describes every route. It is written by hand; a test walks it,
// calls each operation of a real server with good and with bad requests, and
// checks what comes back against the schemas.
//
// # Exactly-once
//
// A request that is sent again has its effect once: messages by their id,
// mutations by client id and number, and the simple forms PUT, PATCH and DELETE
// by their Idempotency-Key, from which a client id of its own is derived. See
// authors for how.
//
// # Revocations
//
// A [RevocationLog] keeps them in a log of the engine and tells the set that the
// verifier asks. Run must be running for open sessions to be ended.
//
// # Concurrency
//
// Handlers may be called concurrently. Nothing here keeps state of channels. The
// one goroutine is whose owner calls RevocationLog.Run.
package httpapi
