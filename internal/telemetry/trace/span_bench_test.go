package trace

import "testing"

// BenchmarkSpan is what a request that is sampled has to be told of: its span, and that of
// its try.
func BenchmarkSpan(b *testing.B) {
	x := full()
	x.Tries, x.Decisions, x.Questions, x.Failed, x.Entry.GRPCStatus, x.Entry.Status = x.Tries[:1], nil, nil, false, "", 200
	var v []byte
	b.ReportAllocs()
	for b.Loop() {
		v = AppendTry(AppendSpan(v[:0], x, nil), x, &x.Tries[0])
	}
}
