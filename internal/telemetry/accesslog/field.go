package accesslog

import (
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// fieldKind is what the value of a field is; the zero value is that there is none.
type fieldKind uint8

const (
	isText fieldKind = iota + 1
	isNumber
	isTime // a duration, in milliseconds
)

// fieldValue is that of one field of an entry.
type fieldValue struct {
	kind  fieldKind
	text  []byte
	limit int // of the text, if it has one of its own
	n     int64
	d     time.Duration
}

func textValue(b []byte) fieldValue {
	if len(b) == 0 {
		return fieldValue{}
	}
	return fieldValue{kind: isText, text: b}
}

func number(n int64) fieldValue { return fieldValue{kind: isNumber, n: n} }

func numberIf(is bool, n int64) fieldValue {
	if !is {
		return fieldValue{}
	}
	return number(n)
}

// field is one that every entry may have. Its value may be in the encoder's scratch space,
// which the next one writes over.
type field struct {
	name string
	// attribute is its name in OTLP, by the semantic conventions where they have one.
	attribute string
	value     func(c *encoder, e *Entry) fieldValue
}

func of(get func(e *Entry) []byte) func(*encoder, *Entry) fieldValue {
	return func(_ *encoder, e *Entry) fieldValue { return textValue(get(e)) }
}

func ofString(get func(e *Entry) string) func(*encoder, *Entry) fieldValue {
	return func(_ *encoder, e *Entry) fieldValue { return textValue(raw(get(e))) }
}

func identityOf(get func(e *Entry) string) func(*encoder, *Entry) fieldValue {
	return func(_ *encoder, e *Entry) fieldValue {
		v := textValue(raw(get(e)))
		v.limit = maxIdentity
		return v
	}
}

func ofCall(get func(e *Entry) []byte) func(*encoder, *Entry) fieldValue {
	return func(_ *encoder, e *Entry) fieldValue {
		if e.GRPCStatus == "" {
			return fieldValue{}
		}
		return textValue(get(e))
	}
}

func ofWebSocket(get func(e *Entry) int64) func(*encoder, *Entry) fieldValue {
	return func(_ *encoder, e *Entry) fieldValue { return numberIf(e.WebSocket, get(e)) }
}

// fields are those of ir.LogFields, in its order.
var fields = []field{
	{"time", "", func(c *encoder, e *Entry) fieldValue {
		c.scratch = c.time(c.scratch[:0], e.Start)
		return textValue(c.scratch)
	}},
	{"request_id", "gridway.request_id", of(func(e *Entry) []byte { return e.RequestID })},
	{"method", "http.request.method", of(func(e *Entry) []byte { return e.Method })},
	{"scheme", "url.scheme", ofString(func(e *Entry) string { return e.Scheme })},
	{"host", "server.address", of(func(e *Entry) []byte { return e.Host })},
	{"path", "url.path", of(func(e *Entry) []byte { return e.Path })},
	{"query", "url.query", func(c *encoder, e *Entry) fieldValue {
		c.scratch = c.queryText(c.scratch[:0], e.Query)
		return textValue(c.scratch)
	}},
	{"protocol", "gridway.protocol", ofString(func(e *Entry) string { return e.Protocol })},
	{"status", "http.response.status_code", func(_ *encoder, e *Entry) fieldValue { return numberIf(!e.Stream, int64(e.Status)) }},
	{"grpc_service", "rpc.service", ofCall(func(e *Entry) []byte { return e.GRPCService })},
	{"grpc_method", "rpc.method", ofCall(func(e *Entry) []byte { return e.GRPCMethod })},
	{"grpc_status", "gridway.grpc_status", ofString(func(e *Entry) string { return e.GRPCStatus })},
	{"flags", "gridway.flags", of(func(e *Entry) []byte { return e.Flags })},
	{"reason", "gridway.reason", ofString(func(e *Entry) string { return e.Reason })},
	{"listener", "gridway.listener", ofString(func(e *Entry) string { return e.Listener })},
	{"route", "gridway.route", ofString(func(e *Entry) string { return e.Route })},
	{"rule", "gridway.rule", ofString(func(e *Entry) string { return e.Rule[strings.LastIndexByte(e.Rule, '/')+1:] })},
	{"cluster", "gridway.cluster", ofString(func(e *Entry) string { return e.Cluster })},
	{"endpoint", "gridway.endpoint", ofString(func(e *Entry) string { return e.Endpoint })},
	{"attempts", "gridway.attempts", func(_ *encoder, e *Entry) fieldValue { return numberIf(e.Attempts != 0, int64(e.Attempts)) }},
	{"duration_ms", "gridway.duration_ms", func(_ *encoder, e *Entry) fieldValue { return fieldValue{kind: isTime, d: e.Duration} }},
	{"upstream_ms", "gridway.upstream_ms", func(_ *encoder, e *Entry) fieldValue {
		if e.Upstream == 0 {
			return fieldValue{}
		}
		return fieldValue{kind: isTime, d: e.Upstream}
	}},
	{"request_bytes", "http.request.body.size", func(_ *encoder, e *Entry) fieldValue { return number(e.RequestBytes) }},
	{"response_bytes", "http.response.body.size", func(_ *encoder, e *Entry) fieldValue { return number(e.ResponseBytes) }},
	{"request_messages", "gridway.request_messages", ofWebSocket(func(e *Entry) int64 { return int64(e.RequestMessages) })},
	{"response_messages", "gridway.response_messages", ofWebSocket(func(e *Entry) int64 { return int64(e.ResponseMessages) })},
	{"close_code", "gridway.close_code", ofWebSocket(func(e *Entry) int64 { return int64(e.CloseCode) })},
	{"closed_by", "gridway.closed_by", ofString(func(e *Entry) string { return e.ClosedBy })},
	{"consumer", "gridway.consumer", func(c *encoder, e *Entry) fieldValue {
		if e.Consumer == "" {
			return fieldValue{}
		}
		c.scratch = append(append(append(c.scratch[:0], e.ConsumerNamespace...), '/'), e.Consumer...)
		return textValue(c.scratch)
	}},
	{"credential", "gridway.credential", ofString(func(e *Entry) string { return e.Credential })},
	{"auth_method", "gridway.auth_method", ofString(func(e *Entry) string { return e.AuthMethod })},
	{"subject", "gridway.subject", identityOf(func(e *Entry) string { return e.Subject })},
	{"issuer", "gridway.issuer", identityOf(func(e *Entry) string { return e.Issuer })},
	{"client_id", "gridway.client_id", identityOf(func(e *Entry) string { return e.ClientID })},
	{"policy", "gridway.policy", ofString(func(e *Entry) string { return e.Policy })},
	{"policy_rule", "gridway.policy_rule", ofString(func(e *Entry) string { return e.PolicyRule })},
	{"auth_faults", "gridway.auth_faults", of(func(e *Entry) []byte { return e.AuthFaults })},
	{"audited", "gridway.audited", of(func(e *Entry) []byte { return e.Audited })},
	{"would_deny", "gridway.would_deny", of(func(e *Entry) []byte { return e.WouldDeny })},
	{"fail_open", "gridway.fail_open", of(func(e *Entry) []byte { return e.FailOpen })},
	{"client", "client.address", func(c *encoder, e *Entry) fieldValue {
		if !e.Client.IsValid() {
			return fieldValue{}
		}
		c.scratch = plainAddr(e.Client).AppendTo(c.scratch[:0])
		return textValue(c.scratch)
	}},
	{"peer", "network.peer.address", func(c *encoder, e *Entry) fieldValue {
		if c.scratch = appendPeer(c.scratch[:0], e.Client, e.Peer); len(c.scratch) == 0 {
			return fieldValue{}
		}
		return textValue(c.scratch)
	}},
	{"peer_identity", "gridway.peer_identity", ofString(func(e *Entry) string { return e.PeerIdentity })},
	{"endpoint_identity", "gridway.endpoint_identity", ofString(func(e *Entry) string { return e.EndpointIdentity })},
	{"user_agent", "user_agent.original", of(func(e *Entry) []byte { return e.UserAgent })},
	{"referer", "gridway.referer", func(c *encoder, e *Entry) fieldValue { return textValue(c.refererText(e.Referer)) }},
	{"trace_id", "", of(func(e *Entry) []byte { return e.TraceID })},
	{"tls_version", "tls.protocol.version", func(c *encoder, e *Entry) fieldValue {
		if e.TLSVersion == 0 {
			return fieldValue{}
		}
		c.scratch = appendTLSVersion(c.scratch[:0], e.TLSVersion)
		return textValue(c.scratch)
	}},
	{"tls_cipher", "tls.cipher", func(_ *encoder, e *Entry) fieldValue {
		if e.TLSVersion == 0 || e.TLSCipher == 0 {
			return fieldValue{}
		}
		return textValue(raw(cipherName(e.TLSCipher)))
	}},
	{"tls_alpn", "tls.next_protocol", ofString(func(e *Entry) string { return e.TLSALPN })},
	{"tls_server_name", "tls.client.server_name", ofString(func(e *Entry) string { return e.TLSServerName })},
	{"destination", "gridway.destination", ofString(func(e *Entry) string { return e.Destination })},
	{"revision", "gridway.revision", func(_ *encoder, e *Entry) fieldValue { return numberIf(e.Revision != 0, int64(e.Revision)) }},
}

func appendTLSVersion(b []byte, v uint16) []byte {
	switch v {
	case tls.VersionTLS12:
		return append(b, "1.2"...)
	case tls.VersionTLS13:
		return append(b, "1.3"...)
	}
	return strconv.AppendUint(append(b, "0x"...), uint64(v), 16)
}

// Format is how a policy has lines written. Make it with NewFormat; it is never changed.
type Format struct {
	policy *ir.AccessLogPolicy
	parts  []part
	// request and response are header fields that entries come with, in Entry.Own: first
	// those of requests.
	request, response []string
	query             QueryMode
	// agent, referer and host say that the field of the header is hidden.
	agent, referer, host bool
	parameters           map[string]bool
}

// part is one of a line: a text, a field by its place in fields, or one of Entry.Own.
type part struct {
	name, text string
	field, own int // -1 for none
	hidden     bool
}

// NewFormat makes a Format of a policy.
func NewFormat(p *ir.AccessLogPolicy) *Format {
	f := &Format{policy: p, parameters: map[string]bool{}}
	switch p.Query {
	case ir.QueryNames:
		f.query = QueryNames
	case ir.QueryFull:
		f.query = QueryFull
	}
	hidden := func(name string) bool { return slices.Contains(p.HiddenHeaders, name) }
	f.agent, f.referer, f.host = hidden("user-agent"), hidden("referer"), hidden("host")
	for _, name := range p.HiddenParameters {
		f.parameters[name] = true
	}
	for _, l := range p.Fields {
		if l.RequestHeader != "" {
			f.request = append(f.request, l.RequestHeader)
		} else if l.ResponseHeader != "" {
			f.response = append(f.response, l.ResponseHeader)
		}
	}
	requests, responses := 0, len(f.request)
	for _, l := range p.Fields {
		x := part{name: l.Name, text: l.Text, field: -1, own: -1}
		switch {
		case l.RequestHeader != "":
			x.own, x.hidden = requests, ir.SecretName(l.RequestHeader) || hidden(l.RequestHeader)
			requests++
		case l.ResponseHeader != "":
			x.own, x.hidden = responses, ir.SecretName(l.ResponseHeader) || hidden(l.ResponseHeader)
			responses++
		case l.Name != "":
			if x.field = slices.IndexFunc(fields, func(known field) bool { return known.name == l.Name }); x.field < 0 {
				continue // of a newer control plane
			}
		}
		f.parts = append(f.parts, x)
	}
	return f
}

// HidesHeader tells whether the policy hides the values of a header field, by any case of
// its name; HidesParameter is the same of a parameter of the query.
func (f *Format) HidesHeader(name string) bool {
	return slices.ContainsFunc(f.policy.HiddenHeaders, func(h string) bool { return strings.EqualFold(h, name) })
}

func (f *Format) HidesParameter(name string) bool { return f.parameters[name] }

// RequestHeaders and ResponseHeaders are header fields, in lower case, whose values entries
// come with, in this order.
func (f *Format) RequestHeaders() []string  { return f.request }
func (f *Format) ResponseHeaders() []string { return f.response }
