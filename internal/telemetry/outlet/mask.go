package outlet

import "github.com/gridway/gridway/internal/telemetry/accesslog"

// Mask is what is to be seen of an exchange or a stream nowhere: neither in logs, nor in
// records, spans, taps and recordings. The zero value hides nothing.
type Mask struct {
	omit   accesslog.Omitted
	format *accesslog.Format
}

// MaskOf is what the process's settings and a policy hide; either may be nil.
func (s *Set) MaskOf(p *Policy) (m Mask) {
	if s != nil {
		m.omit = s.opt.Omit
	}
	if p != nil {
		m.format = p.format
	}
	return m
}

// Apply hides it in an entry, which must be the caller's own.
func (m Mask) Apply(e *accesslog.Entry) {
	m.omit.Apply(e)
	if m.format != nil {
		m.format.Redact(e)
	}
}

// Header tells whether the values of a header field, by any case of its name, are hidden,
// Parameter those of a parameter of the query.
func (m Mask) Header(name string) bool {
	return m.omit.Header(name) || m.format != nil && m.format.HidesHeader(name)
}

func (m Mask) Parameter(name string) bool { return m.format != nil && m.format.HidesParameter(name) }

// Claims tells whether what credentials say of callers is hidden.
func (m Mask) Claims() bool { return m.omit.Claims() }
