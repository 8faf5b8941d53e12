package extauthz

import (
	"bytes"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// checkMethod is the one of envoy/service/auth/v3/external_auth.proto.
const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// Fields of envoy.service.auth.v3: CheckRequest, AttributeContext and what is in it.
const (
	fieldAttributes protowire.Number = 1

	fieldSource      protowire.Number = 1
	fieldDestination protowire.Number = 2
	fieldRequest     protowire.Number = 4
	fieldContext     protowire.Number = 10
	fieldTLSSession  protowire.Number = 12

	fieldPeerAddress   protowire.Number = 1
	fieldPeerPrincipal protowire.Number = 4
	fieldSocketAddress protowire.Number = 1
	fieldAddress       protowire.Number = 2
	fieldPort          protowire.Number = 3

	fieldTime protowire.Number = 1
	fieldHTTP protowire.Number = 2

	fieldID       protowire.Number = 1
	fieldMethod   protowire.Number = 2
	fieldHeaders  protowire.Number = 3
	fieldPath     protowire.Number = 4
	fieldHost     protowire.Number = 5
	fieldScheme   protowire.Number = 6
	fieldProtocol protowire.Number = 10
	fieldSize     protowire.Number = 9
	fieldBody     protowire.Number = 11
	fieldRawBody  protowire.Number = 12
)

// askGRPC makes the question one of gRPC.
func (s *Server) askGRPC(q *callout.Call, x *filter.Exchange, body []byte, whole bool) {
	q.Unary(checkMethod, s.appendCheck(x.Req.Arena.Alloc(1 << 10)[:0], x, body, whole))
	for _, id := range [...]httpmsg.Name{httpmsg.NameXRequestID, httpmsg.NameTraceparent, httpmsg.NameTracestate} {
		if v := x.Req.Header.Get(id); v != nil {
			q.Request.Header.AddID(id, v)
		}
	}
}

// appendCheck appends a CheckRequest, with what Envoy says there.
func (s *Server) appendCheck(dst []byte, x *filter.Exchange, body []byte, whole bool) []byte {
	m := message{dst}
	all := m.open(fieldAttributes)
	source := netip.AddrPortFrom(x.Client, 0)
	if x.PeerAddr.Addr().Unmap() == x.Client.Unmap() {
		source = x.PeerAddr
	}
	m.peer(fieldSource, source, principal(x))
	m.peer(fieldDestination, x.LocalAddr, "")
	r := m.open(fieldRequest)
	at := m.open(fieldTime) // google.protobuf.Timestamp
	m.number(1, uint64(x.Start.Unix()))
	m.number(2, uint64(x.Start.Nanosecond()))
	m.close(at)
	s.appendHTTP(&m, x, body, whole)
	m.close(r)
	m.b = append(m.b, s.context...)
	if x.TLS != nil {
		at := m.open(fieldTLSSession)
		m.text(1, []byte(x.TLS.ServerName))
		m.close(at)
	}
	m.close(all)
	return m.b
}

func (m *message) peer(field protowire.Number, a netip.AddrPort, principal string) {
	peer := m.open(field)
	if a.IsValid() {
		address := m.open(fieldPeerAddress)
		socket := m.open(fieldSocketAddress)
		m.text(fieldAddress, []byte(a.Addr().Unmap().WithZone("").String()))
		m.number(fieldPort, uint64(a.Port()))
		m.close(socket)
		m.close(address)
	}
	m.text(fieldPeerPrincipal, []byte(principal))
	m.close(peer)
}

// principal is who the client is by a certificate that was verified: its first URI,
// its first name of DNS, or its subject.
func principal(x *filter.Exchange) string {
	if x.TLS == nil || len(x.TLS.VerifiedChains) == 0 || len(x.TLS.PeerCertificates) == 0 {
		return ""
	}
	switch c := x.TLS.PeerCertificates[0]; {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	default:
		return c.Subject.String()
	}
}

// appendHTTP appends an AttributeContext.HttpRequest. The query is a part of the
// path there.
func (s *Server) appendHTTP(m *message, x *filter.Exchange, body []byte, whole bool) {
	r := &x.Req
	start := m.open(fieldHTTP)
	m.text(fieldID, x.RequestID)
	m.text(fieldMethod, r.Method)
	path := r.AppendPathAndQuery(r.Arena.Alloc(len(r.Path) + len(r.Query) + 1)[:0])
	for _, pseudo := range [...]struct {
		name  string
		value []byte
	}{{":authority", r.Host}, {":method", r.Method}, {":path", path}, {":scheme", []byte(r.Scheme)}} {
		if s.send.all {
			m.pair(fieldHeaders, []byte(pseudo.name), pseudo.value)
		}
	}
	for i := range r.Header.Len() {
		if f := r.Header.At(i); s.send.asks(f) && !repeated(&r.Header, i) {
			m.pair(fieldHeaders, r.Arena.Lower(f.Name), joined(r, i))
		}
	}
	if s.cfg.MaxBody > 0 {
		m.pair(fieldHeaders, []byte("x-envoy-auth-partial-body"), strconv.AppendBool(nil, !whole))
	}
	m.text(fieldPath, path)
	m.text(fieldHost, r.Host)
	m.text(fieldScheme, []byte(r.Scheme))
	m.text(fieldProtocol, []byte(filter.Protocol(r.Version)))
	m.number(fieldSize, uint64(r.Length))
	if utf8.Valid(body) {
		m.text(fieldBody, body)
	} else {
		m.bytes(fieldRawBody, body)
	}
	m.close(start)
}

// repeated tells whether a field of the i-th one's name comes before it.
func repeated(h *httpmsg.Header, i int) bool {
	f := h.At(i)
	for k := range i {
		if same(h.At(k), f) {
			return true
		}
	}
	return false
}

func same(a, b *httpmsg.Field) bool {
	return a.ID == b.ID && (a.ID != httpmsg.NameOther || httpmsg.EqualFold(a.Name, b.Name))
}

// joined is the value of a field with those of its name behind it (RFC 9110 §5.3),
// of cookies as RFC 9113 §8.2.3 says.
func joined(r *httpmsg.Request, i int) []byte {
	h := &r.Header
	first, between := h.At(i), ","
	if first.ID == httpmsg.NameCookie {
		between = "; "
	}
	value := first.Value
	for k := i + 1; k < h.Len(); k++ {
		if f := h.At(k); same(f, first) {
			value = bytes.Join([][]byte{value, f.Value}, []byte(between))
		}
	}
	return value
}
