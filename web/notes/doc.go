// Package notes carries the interview-notes app inside the chorale binary: the
// built web app, the rules and schemas of its channels, and a study to fill an
// empty workspace with.
//
// The app is built by Vite into dist, which is not in the repository; only an
// empty dist/.keep is, so that the Go build works without Node. App says
// whether there is something to serve.
//
// All functions may be called from any goroutine. What they return is
// read-only, except for the byte slices, which are the caller's own copies.
package notes
