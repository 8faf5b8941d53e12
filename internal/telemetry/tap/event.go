package tap

import (
	"crypto/tls"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Types of events.
const (
	// Exchange is a request with its response, when that has ended; Stream is a connection
	// or session of what is not HTTP at its end.
	Exchange = "exchange"
	Stream   = "stream"
	// Open is a stream that begins: of TCP or TLS, a WebSocket, or an exchange whose
	// response goes on, such as server-sent events; if it was asked for, every exchange when
	// it is sent on, which has no status then.
	Open = "open"
	// LeftOut says how many events there would have been beside those that are there.
	LeftOut = "left-out"
	// Unreached says that a proxy does not answer, or no more, and why.
	Unreached = "unreached"
)

// Event is what a tap shows. Texts of others are cut at 1 KiB, values of header fields at
// 256 bytes.
type Event struct {
	// Type is exchange, stream, open, left-out or unreached.
	Type string `json:"type"`
	// Proxy is the name of the proxy that has seen it.
	Proxy string `json:"proxy,omitempty"`
	// Time is when it began.
	Time time.Time `json:"time"`
	// Direction is edge, inbound (into a workload) or outbound (out of one).
	Direction string `json:"direction,omitempty"`
	// Protocol is HTTP/1.1, HTTP/2, HTTP/3, TCP, TLS or UDP.
	Protocol  string `json:"protocol,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	TraceID   string `json:"traceId,omitempty"`
	Method    string `json:"method,omitempty"`
	Scheme    string `json:"scheme,omitempty"`
	Host      string `json:"host,omitempty"`
	Path      string `json:"path,omitempty"`
	// Query has the names of parameters, and "*" for their values.
	Query string `json:"query,omitempty"`
	// Status is 0 where the client got none.
	Status int   `json:"status,omitempty"`
	GRPC   *GRPC `json:"grpc,omitempty"`
	// WebSocket says that it is one.
	WebSocket bool `json:"webSocket,omitempty"`
	// DurationMs is until the end, UpstreamMs the last try's until the response's head, in
	// milliseconds.
	DurationMs    float64 `json:"durationMs"`
	UpstreamMs    float64 `json:"upstreamMs,omitempty"`
	RequestBytes  int64   `json:"requestBytes"`
	ResponseBytes int64   `json:"responseBytes"`
	Source        Peer    `json:"source"`
	Destination   Peer    `json:"destination"`
	// TLS is the client's side: "1.3", empty without.
	TLS      string `json:"tls,omitempty"`
	Listener string `json:"listener,omitempty"`
	Route    string `json:"route,omitempty"`
	Rule     string `json:"rule,omitempty"`
	// Attempts is the number of tries; 0 if no endpoint was asked.
	Attempts int `json:"attempts,omitempty"`
	// Reason is that of a reply that Gridway made, Flags what else has happened.
	Reason string   `json:"reason,omitempty"`
	Flags  []string `json:"flags,omitempty"`
	Failed bool     `json:"failed,omitempty"`
	// Policy has refused it, by PolicyRule; WouldDeny and Audited are policies that have
	// noted something, with commas.
	Policy     string `json:"policy,omitempty"`
	PolicyRule string `json:"policyRule,omitempty"`
	WouldDeny  string `json:"wouldDeny,omitempty"`
	Audited    string `json:"audited,omitempty"`
	// Consumer is who calls, AuthMethod how that was proved.
	Consumer   string `json:"consumer,omitempty"`
	AuthMethod string `json:"authMethod,omitempty"`
	Subject    string `json:"subject,omitempty"`
	// RequestHeaders and ResponseHeaders are those that were asked for.
	RequestHeaders  []ir.Header `json:"requestHeaders,omitempty"`
	ResponseHeaders []ir.Header `json:"responseHeaders,omitempty"`
	Revision        uint64      `json:"revision,omitempty"`
	// Record is there if it was asked for.
	Record *Record `json:"record,omitempty"`
	// Limited are events beyond a proxy's rate, Lost those for which a reader was too slow.
	Limited uint64 `json:"limited,omitempty"`
	Lost    uint64 `json:"lost,omitempty"`
	// Why is of unreached.
	Why string `json:"why,omitempty"`
}

// GRPC is what a call of gRPC was.
type GRPC struct {
	Service string `json:"service,omitempty"`
	Method  string `json:"method,omitempty"`
	Status  string `json:"status,omitempty"`
}

// Peer is one end of it.
type Peer struct {
	// Namespace and Service are the workload's, or the backend's.
	Namespace string `json:"namespace,omitempty"`
	Service   string `json:"service,omitempty"`
	Port      uint16 `json:"port,omitempty"`
	// Identity is the SPIFFE ID that it has proved, by mutual TLS.
	Identity string `json:"identity,omitempty"`
	MTLS     bool   `json:"mtls,omitempty"`
	// Address is of the client, or of the endpoint.
	Address string `json:"address,omitempty"`
}

const (
	maxText  = 1024
	maxField = 256
	// fixedSize is about what an event takes beside its long texts.
	fixedSize = 768
	// Masked stands for a value that is not shown.
	Masked = "*"
)

// size is about how many bytes the event will have, before it is made.
func (s *Seen) size(q *Query) int {
	return fixedSize + min(len(s.Path), maxText) + min(len(s.Host), maxText) + min(len(s.Query), maxText) + len(q.Show)*(maxField/2)
}

// event copies what is shown.
func (s *Seen) event(q *Query, o *Options) *Event {
	shown := *s.Entry
	o.Omit.Apply(&shown)
	l := &shown
	e := &Event{
		Type: Exchange, Time: l.Start, Direction: s.Direction, Protocol: l.Protocol, RequestID: text(l.RequestID), TraceID: text(l.TraceID), Method: text(l.Method),
		Scheme: l.Scheme, Host: text(l.Host), Path: text(l.Path), Query: names(l.Query), Status: l.Status, WebSocket: l.WebSocket,
		DurationMs: millis(l.Duration), UpstreamMs: millis(l.Upstream), RequestBytes: l.RequestBytes, ResponseBytes: l.ResponseBytes, TLS: tlsName(l.TLSVersion),
		Listener: l.Listener, Route: l.Route, Rule: l.Rule, Attempts: l.Attempts, Reason: l.Reason, Failed: s.Failed, Policy: l.Policy, PolicyRule: l.PolicyRule,
		WouldDeny: text(l.WouldDeny), Audited: text(l.Audited), AuthMethod: l.AuthMethod, Subject: cut(l.Subject), Revision: l.Revision,
	}
	switch {
	case s.Opened:
		e.Type = Open
	case l.Stream:
		e.Type = Stream
	}
	if len(l.Flags) > 0 {
		e.Flags = strings.Split(text(l.Flags), ",")
	}
	if l.GRPCStatus != "" {
		e.GRPC = &GRPC{text(l.GRPCService), text(l.GRPCMethod), l.GRPCStatus}
		if s.Opened {
			e.GRPC.Status = ""
		}
	}
	if l.Consumer != "" {
		e.Consumer = l.ConsumerNamespace + "/" + l.Consumer
	}
	e.Source = Peer{Identity: s.source(o.Self), MTLS: l.PeerIdentity != ""}
	e.Source.Namespace, e.Source.Service = workload(e.Source.Identity)
	if l.Client.IsValid() {
		e.Source.Address = l.Client.WithZone("").Unmap().String()
	}
	e.Destination = Peer{Namespace: s.Namespace, Service: s.Service, Port: s.Port, Identity: l.EndpointIdentity, MTLS: l.EndpointIdentity != "", Address: l.Endpoint}
	if e.Destination.Address == "" && s.Direction != Inbound {
		e.Destination.Address = cut(l.Destination)
	}
	if len(q.Show) > 0 {
		e.RequestHeaders, e.ResponseHeaders = s.fields(q, s.RequestHeader), s.fields(q, s.ResponseHeader)
	}
	return e
}

func millis(d time.Duration) float64 { return float64(d/time.Microsecond) / 1000 }

func tlsName(version uint16) string {
	switch version {
	case 0:
		return ""
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "unknown"
}

// fields are those that were asked for.
func (s *Seen) fields(q *Query, h *httpmsg.Header) (out []ir.Header) {
	if h == nil {
		return nil
	}
	for _, name := range q.Show {
		for i := range h.Len() {
			f := h.At(i)
			if !httpmsg.EqualFold(f.Name, name) || len(out) >= maxValues {
				continue
			}
			value := Masked
			if !s.secret(name, f.Value) {
				value = clip(f.Value, maxField)
			}
			out = append(out, ir.Header{Name: name, Value: value})
		}
	}
	return out
}

// secret tells whether a field carries a credential: by its name, by the look of its
// value, or since a policy takes it for one; or whether it is hidden for other reasons.
func (s *Seen) secret(name string, value []byte) bool {
	if s.Mask != nil && s.Mask.Header(name) || secretName(name) {
		return true
	}
	if text := string(value[:min(len(value), maxMatched)]); ir.SecretValue(text) || ir.SecretTarget(text) {
		return true
	}
	if s.Credentials == nil {
		return false
	}
	for i := range s.Credentials.AnyOf {
		for _, from := range sources(&s.Credentials.AnyOf[i]) {
			if strings.EqualFold(from.Header, name) {
				return true
			}
		}
	}
	return false
}

func sources(m *ir.AuthenticationMethod) []ir.CredentialSource {
	switch {
	case m.APIKey != nil:
		return m.APIKey.From
	case m.JWT != nil:
		return m.JWT.From
	case m.Introspection != nil:
		return m.Introspection.From
	}
	return nil
}

func secretName(name string) bool {
	return ir.SecretName(name) && !strings.EqualFold(name, "WWW-Authenticate")
}

// names are those of a query's parameters. What has no '=' may be a bare token.
func names(query []byte) string {
	if len(query) == 0 {
		return ""
	}
	var b strings.Builder
	for i, pair := range strings.Split(string(query[:min(len(query), maxText)]), "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		if name, _, has := strings.Cut(pair, "="); has {
			b.WriteString(strings.ToValidUTF8(name, "\ufffd"))
			b.WriteByte('=')
		}
		if pair != "" {
			b.WriteString(Masked)
		}
	}
	if len(query) > maxText {
		b.WriteString("…")
	}
	return b.String()
}

func text(b []byte) string { return clip(b, maxText) }

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return clip([]byte(s), maxText)
}

// clip is a text of at most so many bytes, and valid UTF-8.
func clip(b []byte, most int) string {
	if len(b) <= most && utf8.Valid(b) {
		return string(b)
	}
	whole := len(b) <= most
	s := strings.ToValidUTF8(string(b[:min(len(b), most)]), "\ufffd")
	if !whole {
		s += "…"
	}
	return s
}

// JSON is the event as it travels.
func (e *Event) JSON() []byte {
	b, err := json.Marshal(e)
	if err != nil { // it is texts and numbers
		return []byte("{}")
	}
	return b
}
