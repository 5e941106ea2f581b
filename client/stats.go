package client

// Stats count what has happened to a client since [New], all channels together.
type Stats struct {
	Connects int64 // connections that the server has let in
	Joins    int64 // of channels, to the end of their catch-up
	Resumes  int64 // those of Joins that went on from a position without a gap (S1)
	Resyncs  int64 // joins that were told that this is not possible (S2)
	// Refusals are joins and writes that the server refused for the moment; they were
	// tried again, or are being waited with.
	Refusals int64
	// Repeats are messages and changes that the server has sent twice for no reason
	// that it may have, and that were handed on once.
	Repeats int64
}

// Stats are the counts now.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}
