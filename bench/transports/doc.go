// Command transports is the least server of channels, over one of several
// libraries for WebSockets: the path names the channel, the query has the token,
// and what one member says the others get as it is. `chorale bench` drives all of
// them as it drives everybody; what differs between them is the library.
//
// The name under which it is called says which: build makes a link for each.
//
// Each is written as its own documentation advises for this work, with its
// options at their cheapest: no compression, no deadlines, no keep-alive. None
// holds a lock over members while it writes.
package main
