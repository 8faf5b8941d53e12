package vouch

import (
	"sync/atomic"

	"github.com/gridway/gridway/internal/proxy/filter"
)

// counts is what became of tokens.
type counts struct {
	signed, unsigned, direct, verified, remembered atomic.Uint64
	refused                                        [32]atomic.Uint64 // by fault
}

// Refused counts a token that is refused unread: who sent it may not have one.
func (v *Voucher) Refused(f filter.Fault) { v.counts.refused[f].Add(1) }

// Counts are what became of tokens, by names: "signed"; "not_signed", of callers about
// whom nothing could be said; "direct", from the edge itself; "verified", by their
// signatures; "remembered", whose signatures were verified before; and what was wrong with those that were refused.
func (v *Voucher) Counts(yield func(result string, n uint64)) {
	c := &v.counts
	yield("signed", c.signed.Load())
	yield("not_signed", c.unsigned.Load())
	yield("direct", c.direct.Load())
	yield("verified", c.verified.Load())
	yield("remembered", c.remembered.Load())
	for f, name := range filter.FaultNames() {
		if n := c.refused[f].Load(); n > 0 && name != "" {
			yield(name, n)
		}
	}
}
