package accesslog

import (
	"bytes"
	"encoding/hex"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// Fields of a LogRecord of OTLP.
const (
	recordTime       = 1
	recordSeverity   = 2
	recordLevel      = 3
	recordBody       = 5
	recordAttributes = 6
	recordTrace      = 9
	recordObserved   = 11
)

// Numbers of severities, by OpenTelemetry's data model of logs.
const (
	severityInfo  = 9
	severityWarn  = 13
	severityError = 17
)

// recorders keep the space in which records are made.
var recorders = sync.Pool{New: func() any { return &recorder{encoder: encoder{maxField: defaultMaxField}} }}

type recorder struct {
	encoder
	body, record []byte
}

// Record has an entry as a LogRecord of OTLP, which is send's as long as that runs. f may
// be nil.
func Record(e *Entry, f *Format, send func(record []byte)) {
	r, _ := recorders.Get().(*recorder)
	r.query = QueryOmit
	if f != nil {
		r.query = f.query
	}
	r.record = r.encode(r.record[:0], e, f)
	send(r.record)
	recorders.Put(r)
}

func (r *recorder) encode(b []byte, e *Entry, f *Format) []byte {
	b = protowire.AppendFixed64(protowire.AppendTag(b, recordTime, protowire.Fixed64Type), uint64(e.Start.UnixNano()))
	severity, level := severityOf(e)
	b = protowire.AppendVarint(protowire.AppendTag(b, recordSeverity, protowire.VarintType), severity)
	b = protowire.AppendString(protowire.AppendTag(b, recordLevel, protowire.BytesType), level)
	if r.body = r.body[:0]; f != nil && f.policy.Template {
		r.body = r.appendTemplate(r.body, e, f)
	} else {
		r.body = r.summary(r.body, e)
	}
	b = protowire.AppendTag(b, recordBody, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(r.body))))
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), r.body)
	if f == nil || len(f.parts) == 0 {
		for i := range fields {
			b = r.attribute(b, fields[i].attribute, fields[i].value(&r.encoder, e))
		}
	} else {
		for i := range f.parts {
			switch p := &f.parts[i]; {
			case p.own >= 0:
				b = r.attribute(b, f.attributeName(p), textValue(p.ownValue(e)))
			case p.field >= 0:
				b = r.attribute(b, fields[p.field].attribute, fields[p.field].value(&r.encoder, e))
			}
		}
	}
	var trace [16]byte
	if len(e.TraceID) == 2*len(trace) {
		if _, err := hex.Decode(trace[:], e.TraceID); err == nil {
			b = protowire.AppendBytes(protowire.AppendTag(b, recordTrace, protowire.BytesType), trace[:])
		}
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, recordObserved, protowire.Fixed64Type), uint64(e.Start.Add(max(0, e.Duration)).UnixNano()))
}

// attribute appends one; those without a name are elsewhere in the record.
func (r *recorder) attribute(b []byte, name string, v fieldValue) []byte {
	if name == "" {
		return b
	}
	switch v.kind {
	case isText:
		return otlp.AppendText(b, recordAttributes, name, clean(v.text, r.limit(&v)))
	case isNumber:
		return otlp.AppendInt(b, recordAttributes, name, v.n)
	case isTime:
		return otlp.AppendDouble(b, recordAttributes, name, float64(v.d)/float64(time.Millisecond))
	}
	return b
}

// clean is s as protobuf can have it, at most limit bytes and the mark that says so.
func clean(s []byte, limit int) []byte {
	if len(s) <= limit && utf8.Valid(s) {
		return s
	}
	cut := s[:min(len(s), limit)]
	for len(cut) > 0 && len(cut) < len(s) && !utf8.RuneStart(s[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	out := bytes.ToValidUTF8(cut, []byte("\ufffd"))
	if len(cut) < len(s) {
		out = append(slices.Clip(out), "…"...)
	}
	return out
}

// severityOf: what the server is to blame for is an error, what its client is, a warning.
func severityOf(e *Entry) (number uint64, name string) {
	switch {
	case e.Status >= 500, e.Stream && e.Reason != "":
		return severityError, "ERROR"
	case e.Status >= 400:
		return severityWarn, "WARN"
	}
	return severityInfo, "INFO"
}
