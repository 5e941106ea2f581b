// Package httpapi is what backends call: publishing over REST, as Supabase has
// it, and in dev mode the guest tokens of the app.
//
// A message published here takes the same way as one from a socket: it is
// appended, and what comes back from the engine is delivered. Handlers may be
// called concurrently.
package httpapi
