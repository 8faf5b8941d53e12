package trace

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

// reader takes a record apart. Once something is amiss, bad is set and all that follows
// is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if r.bad || size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) octet() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) bytes() []byte { return r.take(r.number()) }

// text is valid UTF-8 whatever was sent: it goes into JSON and onto terminals.
func (r *reader) text() string { return strings.ToValidUTF8(string(r.bytes()), "\uFFFD") }

func (r *reader) since() time.Duration { return time.Duration(r.number()) }

func (r *reader) place() *Place {
	p := &Place{File: r.text(), Line: int(r.number()), Column: int(r.number())}
	if p.File == "" {
		return nil
	}
	return p
}

func (r *reader) address(size uint64) string {
	if a, ok := netip.AddrFromSlice(r.take(size)); ok {
		return a.String()
	}
	return ""
}

// head is what tells records apart without reading them.
type head struct {
	flags    byte
	side     Side
	start    int64
	duration int64
	trace    ID
	span     uint64
	status   int
}

func readHead(b []byte) (h head, ok bool) {
	if len(b) < headLen {
		return h, false
	}
	le := binary.LittleEndian
	return head{
		flags: b[atFlags], side: Side(b[atSide]), start: int64(le.Uint64(b[atStart:])), duration: int64(le.Uint64(b[atDuration:])),
		trace: ID{binary.BigEndian.Uint64(b[atTraceID:]), binary.BigEndian.Uint64(b[atTraceID+8:])},
		span:  le.Uint64(b[atSpan:]), status: int(le.Uint16(b[atStatus:])),
	}, true
}

// requestID is that of an encoded record.
func requestID(b []byte) []byte {
	if len(b) < headLen {
		return nil
	}
	r := reader{b: b[headLen:]}
	return r.bytes()
}

// decode reads what encode has written, and the record's site, if it has one, out of its
// chunk.
func decode(chunk, b []byte) (*Record, bool) {
	h, ok := readHead(b)
	if !ok {
		return nil, false
	}
	x := &Record{
		TraceID: h.trace.String(), SpanID: spanText(h.span), ParentID: spanText(binary.LittleEndian.Uint64(b[atParent:])),
		Sampled: h.flags&flagSampled != 0, Slow: h.flags&flagSlow != 0, Failed: h.flags&flagFailed != 0,
		Denied: h.flags&flagDenied != 0, Stream: h.flags&flagStream != 0, Side: Side(b[atSide]),
		Start: time.Unix(0, h.start).UTC(), Duration: time.Duration(h.duration), Status: h.status,
	}
	if ref := binary.LittleEndian.Uint32(b[atSite:]); ref != 0 {
		common, ok := siteAt(chunk, ref)
		if !ok {
			return nil, false
		}
		s := &reader{b: common}
		if s.site(x); s.bad {
			return nil, false
		}
	}
	r := &reader{b: b[headLen:]}
	x.RequestID, x.Method, x.Host, x.Path = r.text(), r.text(), r.text(), r.text()
	x.RequestBytes, x.ResponseBytes = int64(r.number()), int64(r.number())
	x.Scheme, x.Protocol = r.word(b[atScheme], schemes), r.word(b[atProtocol], protocols)
	r.optional(x, binary.LittleEndian.Uint16(b[atHas:]), b)
	return x, !r.bad
}

// word is a text that may have a number.
func (r *reader) word(code byte, l words) string {
	switch {
	case int(code) < len(l):
		return l[code]
	case code != spelled:
		r.bad = true
		return ""
	}
	return r.text()
}

// optional reads what has says that there is.
func (r *reader) optional(x *Record, has uint16, b []byte) {
	if has&hasAgent != 0 {
		x.UserAgent = r.text()
	}
	if has&hasIPv4 != 0 {
		x.Client = r.address(4)
	}
	if has&hasTries != 0 {
		x.Tries = r.tries(binary.LittleEndian.Uint64(b[atSpan:]))
		if n := len(x.Tries); n > 0 {
			x.Endpoint = x.Tries[n-1].Endpoint
		}
	}
	if has&hasIPv6 != 0 {
		x.Client = r.address(16)
	}
	if has&hasEndpoint != 0 {
		x.Endpoint = r.text()
	}
	if has&hasCall != 0 {
		x.GRPCService, x.GRPCMethod, x.GRPCStatus = r.text(), r.text(), r.text()
	}
	if has&hasFailure != 0 {
		x.Flags, x.Reason, x.Detail = r.text(), r.text(), r.text()
	}
	if has&hasCaller != 0 {
		namespace, name := r.text(), r.text()
		if name != "" {
			x.Consumer = namespace + "/" + name
		}
		x.AuthMethod, x.Subject = r.text(), r.text()
	}
	if has&hasStream != 0 {
		x.ServerName, x.Destination = r.text(), r.text()
	}
	if has&hasDecisions != 0 {
		x.Decisions = r.decisions()
	}
	if has&hasQuestions != 0 {
		x.Questions = r.questions(b)
	}
	if has&hasPurpose != 0 {
		x.Purpose = r.text()
	}
}

func (r *reader) tries(span uint64) []Try {
	n := r.number()
	if n == 0 || n > maxTries {
		r.bad = r.bad || n > 0
		return nil
	}
	list := make([]Try, n)
	for i := range list {
		number := int(r.number())
		list[i] = Try{
			Number: number, SpanID: spanText(TrySpan(span, number)), Kind: TryKind(r.octet()), Endpoint: r.text(),
			Start: r.since(), Connected: r.since(), Head: r.since(), End: r.since(), Status: int(r.number()), Reason: r.text(), GRPCStatus: r.text(),
		}
	}
	return list
}

func (r *reader) decisions() []Decision {
	n := r.number()
	if n == 0 || n > maxDecisions {
		r.bad = r.bad || n > 0
		return nil
	}
	list := make([]Decision, n)
	for i := range list {
		list[i] = Decision{Verdict: Verdict(r.octet()), Kind: r.text(), Policy: r.text(), Rule: r.text(), Place: r.place()}
	}
	return list
}
