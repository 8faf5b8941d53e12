package h2

// owedFrames are frames without content for which the peer has a reason, and
// which are therefore no flood however many come at once: a peer may have taken
// much before its reader begins to read, in pieces as small as it likes.
type owedFrames struct {
	updates  int64 // WINDOW_UPDATE, for content that was sent to it
	lateData int64 // bytes of content on their way to streams that were reset here
}

const (
	// updateEvery is for how much content a peer may send one WINDOW_UPDATE; two
	// of them, for the stream and the connection, are common for each 4 KiB.
	updateEvery = 512
	// maxUpdates bounds what they can cost at once. It is enough for a GiB of
	// content in pieces of 2 KiB.
	maxUpdates = 1 << 20
)

// sent notes a frame of content.
func (o *owedFrames) sent(n int) {
	o.updates = min(o.updates+2+int64(n)/updateEvery, maxUpdates)
}

// late tells whether n bytes may still come for a stream that was reset.
func (o *owedFrames) late(n int64) bool {
	if n == 0 || n > o.lateData {
		return false
	}
	o.lateData -= n
	return true
}

// spendUpdate counts a WINDOW_UPDATE.
func (c *Conn) spendUpdate() *Error {
	if c.owedFrames.updates > 0 {
		c.owedFrames.updates--
		return nil
	}
	return c.spend(1)
}

// expectLate: the stream is about to be reset by this side's choice, and its peer
// may have used its window by then. To a client a server may also have answered.
func (c *Conn) expectLate(s *Stream) {
	o := &c.owedFrames
	o.lateData = min(o.lateData+max(s.recvWindow, 0), int64(c.cfg.ConnWindow))
	if c.client {
		c.controlBudget.earn(4)
	}
}
