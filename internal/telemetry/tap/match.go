package tap

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Directions of what passes.
const (
	Edge     = "edge"
	Inbound  = "inbound"
	Outbound = "outbound"
)

// Seen is what is offered: an exchange, or a stream. All of it belongs to who offers.
type Seen struct {
	*accesslog.Entry
	// Opened is set for a stream that begins; it is offered again at its end.
	Opened bool
	// Begun is set for an exchange that is about to be sent, for those who ask for all that
	// begins; Told is that it was offered so.
	Begun, Told bool
	// Direction is Edge, Inbound or Outbound.
	Direction string
	// Namespace and Service are where it goes, as far as that is a Service or a Backend;
	// Asked is the Service that was asked for, of which that may be one of several.
	Namespace, Service string
	Asked              ir.Ref
	Port               uint16
	// Source is the SPIFFE ID from which it leaves, where that is not the proxy's own or the
	// neighbour's.
	Source string
	// Workload is the one whose outbound traffic it is, "namespace/service", where a proxy
	// stands before several.
	Workload string
	Failed   bool
	// RequestHeader and ResponseHeader are nil for what has none.
	RequestHeader, ResponseHeader *httpmsg.Header
	// Head is the request as it came, where somebody records.
	Head *Head
	// Sent is the request as an endpoint got it; its Path is empty if none did.
	Sent Sent
	// Claims are what the caller's credential says of them.
	Claims map[string]any
	// Credentials are where the policy in force looks for them.
	Credentials *ir.Authentication
	// Mask is what settings and policies hide besides credentials; in Entry that is done
	// already. Nil hides nothing.
	Mask Mask
}

// Mask tells what is not to be shown: values of header fields, of parameters of the query,
// and what credentials say of callers.
type Mask interface {
	Header(name string) bool
	Parameter(name string) bool
	Claims() bool
}

// Place says on which side of a proxy it is: section and listener are those of the
// configuration, of which the first may be nil.
func (s *Seen) Place(section *ir.Section, l *ir.Listener) {
	service := section != nil && section.ServicePort != 0
	s.Workload = l.Workload
	switch {
	case section.Inbound(), l.Inbound: // of which one that lets nobody in is neither
		s.Direction = Inbound
	case service || l.Outbound():
		s.Direction = Outbound
	default:
		s.Direction = Edge
	}
	if service {
		s.Namespace, s.Service, s.Port, s.Asked = section.Ref.Namespace, section.Ref.Name, section.ServicePort, section.Ref
	}
}

// Backend says where it goes. What comes in is for the workload whose section it is.
func (s *Seen) Backend(ref ir.Ref) {
	if s.Direction != Inbound && ref.Name != "" {
		s.Namespace, s.Service = ref.Namespace, ref.Name
	}
}

// source is the SPIFFE ID from which it comes.
func (s *Seen) source(self string) string {
	switch {
	case s.Direction == Inbound:
		return s.PeerIdentity
	case s.Source != "":
		return s.Source
	}
	return self
}

// protocol is what was spoken, for filters.
func (s *Seen) protocol() string {
	switch {
	case s.Stream:
		return strings.ToLower(s.Protocol)
	case s.WebSocket:
		return "websocket"
	case s.GRPCStatus != "":
		return "grpc"
	}
	return "http"
}

// match tells whether it is wanted. Cheap questions come first.
func (q *Query) match(s *Seen, self string) bool {
	e := s.Entry
	if s.Begun && !q.Open || s.Opened && s.Told && q.Open {
		return false
	}
	if q.Failed != nil && *q.Failed != s.Failed || q.Denied != nil && *q.Denied != (e.Policy != "") {
		return false
	}
	if q.Slower > 0 && (s.Opened || e.Duration < q.Slower) {
		return false
	}
	if len(q.Status) > 0 && !inRange(q.Status, e.Status) || len(q.GRPCStatus) > 0 && (s.Opened || !contains(q.GRPCStatus, e.GRPCStatus)) {
		return false
	}
	if len(q.Methods) > 0 && !contains(q.Methods, string(e.Method)) || len(q.Directions) > 0 && !contains(q.Directions, s.Direction) {
		return false
	}
	if len(q.Protocols) > 0 && !contains(q.Protocols, s.protocol()) || len(q.Routes) > 0 && !named(q.Routes, e.Route) || len(q.Policies) > 0 && !named(q.Policies, e.Policy) {
		return false
	}
	if len(q.Consumers) > 0 && (e.Consumer == "" || !named(q.Consumers, e.ConsumerNamespace+"/"+e.Consumer)) {
		return false
	}
	if len(q.To) > 0 && !is(q.To, e.EndpointIdentity, s.Namespace, s.Service) && !is(q.To, "", s.Asked.Namespace, s.Asked.Name) {
		return false
	}
	if len(q.From) > 0 {
		id := s.source(self)
		namespace, service := workload(id)
		if !is(q.From, id, namespace, service) {
			return false
		}
	}
	return (len(q.Hosts) == 0 || host(q.Hosts, string(e.Host))) && (len(q.Paths) == 0 || anyOf(q.Paths, e.Path)) && (len(q.Headers) == 0 || q.header(s))
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func inRange(list []StatusRange, status int) bool {
	for _, r := range list {
		if status >= r.From && status <= r.To {
			return true
		}
	}
	return false
}

func anyOf(list []Pattern, b []byte) bool {
	for i := range list {
		if list[i].match(b) {
			return true
		}
	}
	return false
}

// named tells whether one of the list is the end of a name of several parts.
func named(list []string, full string) bool {
	for _, v := range list {
		if full == v {
			return true
		}
		if rest, ends := strings.CutSuffix(full, v); ends && strings.HasSuffix(rest, "/") {
			return true
		}
	}
	return false
}

// is tells whether one of the list is the workload, by its SPIFFE ID or its names.
func is(list []string, id, namespace, service string) bool {
	for _, v := range list {
		if v == id && id != "" || service != "" && (v == service || len(v) == len(namespace)+1+len(service) && v[:len(namespace)] == namespace && v[len(namespace)] == '/' && v[len(namespace)+1:] == service) {
			return true
		}
	}
	return false
}

// workload reads spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE.
func workload(id string) (namespace, service string) {
	_, path, found := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/ns/")
	if !found {
		return "", ""
	}
	namespace, service, found = strings.Cut(path, "/sa/")
	if !found {
		return "", ""
	}
	return namespace, service
}

func host(list []string, name string) bool {
	if i := strings.LastIndexByte(name, ':'); i >= 0 && strings.IndexByte(name[i:], ']') < 0 {
		name = name[:i]
	}
	for _, v := range list {
		if suffix, wild := strings.CutPrefix(v, "*"); wild && len(name) > len(suffix) && strings.EqualFold(name[len(name)-len(suffix):], suffix) || strings.EqualFold(v, name) {
			return true
		}
	}
	return false
}

func (q *Query) header(s *Seen) bool {
	if s.RequestHeader == nil {
		return false
	}
	for i := range q.Headers {
		f := &q.Headers[i]
		for k := range s.RequestHeader.Len() {
			field := s.RequestHeader.At(k)
			if !httpmsg.EqualFold(field.Name, f.Name) {
				continue
			}
			if f.Value == nil || !s.secret(f.Name, field.Value) && f.Value.match(field.Value) {
				return true
			}
		}
	}
	return false
}
