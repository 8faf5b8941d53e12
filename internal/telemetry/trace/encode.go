package trace

import (
	"encoding/binary"
	"net/netip"
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
	Detail string
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

// The form of a record: a head of fixed size, in little endian, then texts and numbers in
// an order that encode and decode share. A reader can tell from the head, and the request
// ID behind it, whether it is looking for this one.
const (
	atFlags    = 0
	atSide     = 1
	atStatus   = 2
	atStart    = 4
	atDuration = 12
	atTraceID  = 20
	atSpan     = 36
	atParent   = 44
	headLen    = 52
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
	maxRecord = 48 << 10
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

// encode appends the record of x.
func encode(b []byte, x *Exchange) []byte {
	e := x.Entry
	var head [headLen]byte
	le := binary.LittleEndian
	head[atFlags], head[atSide] = x.flags(), byte(x.Side)
	le.PutUint16(head[atStatus:], uint16(e.Status))
	le.PutUint64(head[atStart:], uint64(e.Start.UnixNano()))
	le.PutUint64(head[atDuration:], uint64(max(e.Duration, 0)))
	binary.BigEndian.PutUint64(head[atTraceID:], x.Trace.High)
	binary.BigEndian.PutUint64(head[atTraceID+8:], x.Trace.Low)
	le.PutUint64(head[atSpan:], x.Span)
	le.PutUint64(head[atParent:], x.Parent)
	w := writer{append(b, head[:]...)}
	w.bytes(e.RequestID)
	w.bytes(e.Method)
	w.text(e.Scheme)
	w.bytes(e.Host)
	put(&w, e.Path, maxPath)
	w.text(e.Protocol)
	w.bytes(e.GRPCService)
	w.bytes(e.GRPCMethod)
	w.text(e.GRPCStatus)
	w.bytes(e.Flags)
	w.text(e.Reason)
	w.text(x.Detail)
	w.text(e.Listener)
	w.text(x.OfKind)
	w.text(x.OfNamespace)
	w.text(x.OfName)
	w.text(e.Route)
	w.text(e.Rule)
	w.place(&x.Place)
	w.text(e.Cluster)
	w.text(e.Endpoint)
	w.text(e.EndpointIdentity)
	w.text(e.PeerIdentity)
	w.address(e.Client)
	w.text(e.ConsumerNamespace)
	w.text(e.Consumer)
	w.text(e.AuthMethod)
	w.text(e.Subject)
	w.bytes(e.UserAgent)
	w.text(e.TLSServerName)
	w.text(e.Destination)
	w.number(uint64(max(e.RequestBytes, 0)))
	w.number(uint64(max(e.ResponseBytes, 0)))
	w.number(e.Revision)
	w.tries(x.Tries)
	w.decisions(x.Decisions)
	w.questions(x.Questions)
	return w.b
}

// address is 0, 4 or 16 bytes with their number before them.
func (w *writer) address(a netip.Addr) {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		w.b = append(append(w.b, 4), b[:]...)
	case a.Is6():
		b := a.As16()
		w.b = append(append(w.b, 16), b[:]...)
	default:
		w.b = append(w.b, 0)
	}
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
