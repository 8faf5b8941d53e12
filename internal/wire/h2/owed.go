package h2

// owedFrames are frames without content for which the peer has a reason, and
// which are therefore no flood however many come at once: a peer may have taken
// much before its reader begins to read, in pieces as small as it likes.
type owedFrames struct {
	updates  int64 // WINDOW_UPDATE, for content that was sent to it
	lateData int64 // bytes of content on their way to streams that were reset here
	answers  int64 // other frames on their way to those, of a server that has answered
}

const (
	// updateEvery is for how much content a peer may send one WINDOW_UPDATE; two
	// of them, for the stream and the connection, are common for each 4 KiB.
	updateEvery = 512
	// maxUpdates bounds what they can cost at once. It is enough for a GiB of
	// content in pieces of 2 KiB.
	maxUpdates = 1 << 20
	// answerFrames is how many a server may have sent for a stream that its client has
	// reset, beside content: a head, a trailer, WINDOW_UPDATE, RST_STREAM.
	answerFrames = 4
	// maxAnswers bounds what they can cost at once: a connection of a proxy loses the
	// streams of many clients together.
	maxAnswers = 1 << 16
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
		o.answers = min(o.answers+answerFrames, maxAnswers)
	}
}

// spendLate counts a frame for a stream that has ended.
func (c *Conn) spendLate() *Error {
	if c.owedFrames.answers > 0 {
		c.owedFrames.answers--
		return nil
	}
	return c.spend(1)
}
