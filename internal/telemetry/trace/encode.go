package trace

import (
	"encoding/binary"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

// Exchange is what a record is made of.
type Exchange struct {
	// Entry has all that the access log may have.
	Entry *accesslog.Entry
	Trace ID
	// Parent is zero where the trace began here.
	Span, Parent uint64
	Sampled      bool
	Slow         bool
	Failed       bool
	Denied       bool
	// Faulty says that it has failed, whether or not failures are kept for that.
	Faulty bool
	Side   Side
	// Purpose is what for the proxy has sent it itself; empty for what a client has sent.
	Purpose string
	Detail  string
	// OfKind, OfNamespace and OfName are what the section stands for.
	OfKind, OfNamespace, OfName string
	Place                       Place
	Tries                       []Try
	Questions                   []Question
	Decisions                   []Decided
}

// Decided is a Decision whose place may be empty.
type Decided struct {
	Verdict            Verdict
	Kind, Policy, Rule string
	Place              Place
}

// The form of a record: a head of fixed size, in little endian, then the request ID and
// what else the head says that there is, in an order that encode and decode share. A
// reader can tell from the head, and the request ID behind it, whether it is looking for
// this one. The ring fills in where the record's site is.
const (
	atFlags    = 0
	atSide     = 1
	atStatus   = 2
	atSite     = 4
	atHas      = 8
	atScheme   = 10
	atProtocol = 11
	atStart    = 12
	atDuration = 20
	atTraceID  = 28
	atSpan     = 44
	atParent   = 52
	headLen    = 60
)

// What a record has beyond what all have.
const (
	hasCall     = 1 << iota // service, method and status of gRPC
	hasFailure              // flags, reason and detail
	hasCaller               // consumer, method of authentication, subject
	hasAgent                // a User-Agent
	hasStream               // the server name of TLS, and where an outbound stream was going
	hasEndpoint             // an endpoint that is not that of the last try
	hasIPv4                 // a client of 4 bytes
	hasIPv6                 // one of 16
	hasTries                // and so on
	hasDecisions
	hasQuestions
	hasPurpose
)

const (
	flagSampled = 1 << iota
	flagSlow
	flagFailed
	flagDenied
	flagStream
)

// Bounds of what is kept of one exchange. Longer texts are cut.
const (
	maxPath      = 1024
	maxText      = 256
	maxTries     = 16
	maxDecisions = 24
	// maxRecord is more than all of that can take.
	maxRecord = 56 << 10
)

// writer appends to a record.
type writer struct{ b []byte }

func (w *writer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func put[T string | []byte](w *writer, v T, most int) {
	if len(v) > most {
		v = v[:most]
	}
	if len(v) < 0x80 {
		w.b = append(w.b, byte(len(v)))
	} else {
		w.number(uint64(len(v)))
	}
	w.b = append(w.b, v...)
}

func (w *writer) text(v string)  { put(w, v, maxText) }
func (w *writer) bytes(v []byte) { put(w, v, maxText) }

// since is an offset; a clock that was read before the start counts as the start.
func (w *writer) since(d time.Duration) { w.number(uint64(max(d, 0))) }

func (w *writer) place(p *Place) {
	w.text(p.File)
	w.number(uint64(max(p.Line, 0)))
	w.number(uint64(max(p.Column, 0)))
}

func (x *Exchange) flags() (f byte) {
	set := func(on bool, bit byte) {
		if on {
			f |= bit
		}
	}
	set(x.Sampled, flagSampled)
	set(x.Slow, flagSlow)
	set(x.Failed, flagFailed)
	set(x.Denied, flagDenied)
	set(x.Entry.Stream, flagStream)
	return f
}

// encode makes the record of x in b, which it may grow. Its site is left to who keeps it.
func encode(b []byte, x *Exchange) []byte {
	e := x.Entry
	if cap(b) < headLen {
		b = make([]byte, 0, 512)
	}
	b = b[:headLen]
	has := x.has()
	le := binary.LittleEndian
	b[atFlags], b[atSide] = x.flags(), byte(x.Side)
	b[atScheme], b[atProtocol] = schemes.code(e.Scheme), protocols.code(e.Protocol)
	le.PutUint16(b[atStatus:], uint16(e.Status))
	le.PutUint32(b[atSite:], 0)
	le.PutUint16(b[atHas:], has)
	le.PutUint64(b[atStart:], uint64(e.Start.UnixNano()))
	le.PutUint64(b[atDuration:], uint64(max(e.Duration, 0)))
	binary.BigEndian.PutUint64(b[atTraceID:], x.Trace.High)
	binary.BigEndian.PutUint64(b[atTraceID+8:], x.Trace.Low)
	le.PutUint64(b[atSpan:], x.Span)
	le.PutUint64(b[atParent:], x.Parent)
	w := writer{b}
	w.bytes(e.RequestID)
	w.bytes(e.Method)
	w.bytes(e.Host)
	put(&w, e.Path, maxPath)
	w.number(uint64(max(e.RequestBytes, 0)))
	w.number(uint64(max(e.ResponseBytes, 0)))
	if b[atScheme] == spelled {
		w.text(e.Scheme)
	}
	if b[atProtocol] == spelled {
		w.text(e.Protocol)
	}
	w.optional(x, has)
	return w.b
}

// has says what there is of x that not all have.
func (x *Exchange) has() (has uint16) {
	e := x.Entry
	if len(e.UserAgent) > 0 {
		has |= hasAgent
	}
	if len(x.Tries) > 0 {
		has |= hasTries
		if e.Endpoint != x.Tries[len(x.Tries)-1].Endpoint {
			has |= hasEndpoint
		}
	} else if e.Endpoint != "" {
		has |= hasEndpoint
	}
	switch c := e.Client; {
	case c.Is4(), c.Is4In6():
		has |= hasIPv4
	case c.Is6():
		has |= hasIPv6
	}
	if len(e.GRPCService)|len(e.GRPCMethod)|len(e.GRPCStatus) != 0 {
		has |= hasCall
	}
	if len(e.Flags)|len(e.Reason)|len(x.Detail) != 0 {
		has |= hasFailure
	}
	if len(e.Consumer)|len(e.AuthMethod)|len(e.Subject) != 0 {
		has |= hasCaller
	}
	if len(e.TLSServerName)|len(e.Destination) != 0 {
		has |= hasStream
	}
	if len(x.Decisions) > 0 {
		has |= hasDecisions
	}
	if len(x.Questions) > 0 {
		has |= hasQuestions
	}
	if x.Purpose != "" {
		has |= hasPurpose
	}
	return has
}

// optional appends what has says that there is.
func (w *writer) optional(x *Exchange, has uint16) {
	e := x.Entry
	if has&hasAgent != 0 {
		w.bytes(e.UserAgent)
	}
	if has&hasIPv4 != 0 {
		b := e.Client.Unmap().As4()
		w.b = append(w.b, b[:]...)
	}
	if has&hasTries != 0 {
		w.tries(x.Tries)
	}
	if has&^(hasAgent|hasIPv4|hasTries) == 0 {
		return // as with most
	}
	if has&hasIPv6 != 0 {
		b := e.Client.As16()
		w.b = append(w.b, b[:]...)
	}
	if has&hasEndpoint != 0 {
		w.text(e.Endpoint)
	}
	if has&hasCall != 0 {
		w.bytes(e.GRPCService)
		w.bytes(e.GRPCMethod)
		w.text(e.GRPCStatus)
	}
	if has&hasFailure != 0 {
		w.bytes(e.Flags)
		w.text(e.Reason)
		w.text(x.Detail)
	}
	if has&hasCaller != 0 {
		w.text(e.ConsumerNamespace)
		w.text(e.Consumer)
		w.text(e.AuthMethod)
		w.text(e.Subject)
	}
	if has&hasStream != 0 {
		w.text(e.TLSServerName)
		w.text(e.Destination)
	}
	if has&hasDecisions != 0 {
		w.decisions(x.Decisions)
	}
	if has&hasQuestions != 0 {
		w.questions(x.Questions)
	}
	if has&hasPurpose != 0 {
		w.text(x.Purpose)
	}
}

// words are texts that have a number: most requests have one of few schemes and
// protocols.
type words []string

var (
	schemes   = words{"http", "https", ""}
	protocols = words{"HTTP/1.1", "HTTP/2", "HTTP/3", "HTTP/1.0", ""}
)

// spelled stands for what has no number.
const spelled = 0xff

func (l words) code(s string) byte {
	for i, word := range l {
		if s == word {
			return byte(i)
		}
	}
	return spelled
}

func (w *writer) tries(list []Try) {
	if len(list) > maxTries { // the last ones say how it ended
		list = list[len(list)-maxTries:]
	}
	w.number(uint64(len(list)))
	for i := range list {
		t := &list[i]
		w.number(uint64(max(t.Number, 0)))
		w.b = append(w.b, byte(t.Kind))
		w.text(t.Endpoint)
		w.since(t.Start)
		w.since(t.Connected)
		w.since(t.Head)
		w.since(t.End)
		w.number(uint64(max(t.Status, 0)))
		w.text(t.Reason)
		w.text(t.GRPCStatus)
	}
}

func (w *writer) decisions(list []Decided) {
	list = list[:min(len(list), maxDecisions)]
	w.number(uint64(len(list)))
	for i := range list {
		d := &list[i]
		w.b = append(w.b, byte(d.Verdict))
		w.text(d.Kind)
		w.text(d.Policy)
		w.text(d.Rule)
		w.place(&d.Place)
	}
}
