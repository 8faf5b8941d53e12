package accesslog

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"
)

// encoder appends entries. It remembers the second, the places and the client it wrote
// last.
type encoder struct {
	query    QueryMode
	referer  RefererMode
	maxField int

	places  places
	scratch []byte // what a field is made in
	line    []byte // what a line of a Format is made in
	second  int64
	stamp   [20]byte // "2006-01-02T15:04:05."

	client     netip.Addr
	clientText []byte
}

const (
	// fixedBytes is more than all names, numbers, addresses and punctuation of a line take.
	fixedBytes = 1024
	// fieldExtra is what a text adds beyond its bound: the mark and one escape.
	fieldExtra = 16
)

// fits tells quickly that the line of e has room; a wrong no is for bound to correct.
func (c *encoder) fits(e *Entry, room int) bool {
	n := len(e.RequestID) + len(e.Method) + len(e.Scheme) + len(e.Host) + len(e.Path) + len(e.Query) + len(e.Protocol) +
		len(e.Flags) + len(e.Reason) + len(e.Listener) + len(e.Route) + len(e.Rule) + len(e.Cluster) + len(e.Endpoint) +
		len(e.UserAgent) + len(e.Referer) + len(e.TraceID) + len(e.TLSServerName) + len(e.TLSALPN) + len(e.PeerIdentity) + len(e.EndpointIdentity) + len(e.Destination) +
		len(e.GRPCService) + len(e.GRPCMethod) + len(e.GRPCStatus) +
		len(e.ConsumerNamespace) + 1 + len(e.Consumer) + len(e.Credential) + len(e.AuthMethod) + len(e.Subject) + len(e.Issuer) + len(e.ClientID) + len(e.Policy) + len(e.PolicyRule) +
		len(e.AuthFaults) + len(e.Audited) + len(e.WouldDeny) + len(e.FailOpen)
	return fixedBytes+texts*fieldExtra+6*n <= room
}

// bound returns how many bytes the line of e can take at most.
func (c *encoder) bound(e *Entry) int {
	n := fixedBytes
	for _, size := range [...]int{
		len(e.RequestID), len(e.Method), len(e.Scheme), len(e.Host), len(e.Path), len(e.Query), len(e.Protocol),
		len(e.Flags), len(e.Reason), len(e.Listener), len(e.Route), len(e.Rule), len(e.Cluster), len(e.Endpoint),
		len(e.UserAgent), len(e.Referer), len(e.TraceID), len(e.TLSServerName), len(e.TLSALPN), len(e.PeerIdentity), len(e.EndpointIdentity), len(e.Destination),
		len(e.GRPCService), len(e.GRPCMethod), len(e.GRPCStatus),
		len(e.ConsumerNamespace) + 1 + len(e.Consumer), len(e.Credential), len(e.AuthMethod), len(e.Subject), len(e.Issuer), len(e.ClientID), len(e.Policy), len(e.PolicyRule),
		len(e.AuthFaults), len(e.Audited), len(e.WouldDeny), len(e.FailOpen),
	} {
		n += min(6*size, c.maxField) + fieldExtra
	}
	return n
}

// texts is the number of text fields, the length of bound's list.
const texts = 37

// maxLine is the largest bound there is.
func maxLine(maxField int) int { return fixedBytes + texts*(maxField+fieldExtra) }

// append appends the line of e, with its newline. The order of fields is part
// of the documentation, not of the promise: readers go by name.
func (c *encoder) append(b []byte, e *Entry) []byte {
	b = append(b, `{"time":"`...)
	b = c.time(b, e.Start)
	b = append(b, '"')
	b = text(b, `,"request_id":"`, e.RequestID, c.maxField)
	b = text(b, `,"method":"`, e.Method, c.maxField)
	if e.Scheme == "http" {
		b = append(b, `,"scheme":"http"`...)
	} else {
		b = text(b, `,"scheme":"`, raw(e.Scheme), c.maxField)
	}
	b = text(b, `,"host":"`, e.Host, c.maxField)
	b = text(b, `,"path":"`, e.Path, c.maxField)
	b = c.queryString(b, e.Query)
	if e.Protocol == "HTTP/1.1" {
		b = append(b, `,"protocol":"HTTP/1.1"`...)
	} else {
		b = text(b, `,"protocol":"`, raw(e.Protocol), c.maxField)
	}
	if !e.Stream {
		b = append(b, `,"status":`...)
		b = digits(b, int64(e.Status))
	}
	if e.GRPCStatus != "" {
		b = text(b, `,"grpc_service":"`, e.GRPCService, c.maxField)
		b = text(b, `,"grpc_method":"`, e.GRPCMethod, c.maxField)
		b = text(b, `,"grpc_status":"`, raw(e.GRPCStatus), c.maxField)
	}
	b = text(b, `,"flags":"`, e.Flags, c.maxField)
	b = text(b, `,"reason":"`, raw(e.Reason), c.maxField)
	b = c.places.append(b, place{e.Listener, e.Route, e.Rule, e.Cluster, e.Endpoint}, c.maxField)
	if e.Attempts != 0 {
		b = append(b, `,"attempts":`...)
		b = digits(b, int64(e.Attempts))
	}
	b = append(b, `,"duration_ms":`...)
	b = millis(b, e.Duration)
	if e.Upstream != 0 {
		b = append(b, `,"upstream_ms":`...)
		b = millis(b, e.Upstream)
	}
	b = append(b, `,"request_bytes":`...)
	b = digits(b, e.RequestBytes)
	b = append(b, `,"response_bytes":`...)
	b = digits(b, e.ResponseBytes)
	if e.WebSocket {
		b = webSocket(b, e)
	}
	if e.AuthMethod != "" || e.Policy != "" || len(e.AuthFaults) > 0 {
		b = identity(b, e, c.maxField)
	}
	b = text(b, `,"audited":"`, e.Audited, c.maxField)
	b = text(b, `,"would_deny":"`, e.WouldDeny, c.maxField)
	b = text(b, `,"fail_open":"`, e.FailOpen, c.maxField)
	b = c.caller(b, e.Client, e.Peer)
	b = text(b, `,"peer_identity":"`, raw(e.PeerIdentity), c.maxField)
	b = text(b, `,"endpoint_identity":"`, raw(e.EndpointIdentity), c.maxField)
	b = text(b, `,"user_agent":"`, e.UserAgent, c.maxField)
	b = c.refererURL(b, e.Referer)
	b = text(b, `,"trace_id":"`, e.TraceID, c.maxField)
	if e.TLSVersion != 0 {
		b = tlsState(b, e, c.maxField)
	}
	b = text(b, `,"tls_server_name":"`, raw(e.TLSServerName), c.maxField)
	b = text(b, `,"destination":"`, raw(e.Destination), c.maxField)
	if e.Revision != 0 {
		b = append(b, `,"revision":`...)
		if e.Revision < 1000 {
			b = digits(b, int64(e.Revision))
		} else {
			b = strconv.AppendUint(b, e.Revision, 10)
		}
	}
	return append(b, '}', '\n')
}

func webSocket(b []byte, e *Entry) []byte {
	b = strconv.AppendUint(append(b, `,"request_messages":`...), e.RequestMessages, 10)
	b = strconv.AppendUint(append(b, `,"response_messages":`...), e.ResponseMessages, 10)
	b = strconv.AppendUint(append(b, `,"close_code":`...), uint64(e.CloseCode), 10)
	b = append(b, `,"closed_by":"`...)
	return append(append(b, e.ClosedBy...), '"')
}

// maxIdentity is how much of what somebody else says of a caller is logged, in bytes.
const maxIdentity = 256

// identity says who calls, and which policy has refused it.
func identity(b []byte, e *Entry, limit int) []byte {
	if e.Consumer != "" {
		// Both are names of objects, in which nothing needs an escape.
		b = append(append(b, `,"consumer":"`...), e.ConsumerNamespace...)
		b = append(append(append(b, '/'), e.Consumer...), '"')
	}
	b = text(b, `,"credential":"`, raw(e.Credential), limit)
	b = text(b, `,"auth_method":"`, raw(e.AuthMethod), limit)
	b = text(b, `,"subject":"`, raw(e.Subject), min(limit, maxIdentity))
	b = text(b, `,"issuer":"`, raw(e.Issuer), min(limit, maxIdentity))
	b = text(b, `,"client_id":"`, raw(e.ClientID), min(limit, maxIdentity))
	b = text(b, `,"policy":"`, raw(e.Policy), limit)
	b = text(b, `,"policy_rule":"`, raw(e.PolicyRule), limit)
	return text(b, `,"auth_faults":"`, e.AuthFaults, limit)
}

func tlsState(b []byte, e *Entry, limit int) []byte {
	b = append(b, `,"tls_version":"`...)
	switch e.TLSVersion {
	case tls.VersionTLS12:
		b = append(b, `1.2"`...)
	case tls.VersionTLS13:
		b = append(b, `1.3"`...)
	default:
		b = strconv.AppendUint(append(b, "0x"...), uint64(e.TLSVersion), 16)
		b = append(b, '"')
	}
	if e.TLSCipher != 0 {
		b = append(b, `,"tls_cipher":"`...)
		b = append(b, cipherName(e.TLSCipher)...)
		b = append(b, '"')
	}
	return text(b, `,"tls_alpn":"`, raw(e.TLSALPN), limit)
}

// cipherName avoids crypto/tls's answer for unknown numbers, which allocates.
func cipherName(id uint16) string {
	for _, s := range cipherSuites {
		if s.ID == id {
			return s.Name
		}
	}
	return "unknown"
}

var cipherSuites = append(tls.CipherSuites(), tls.InsecureCipherSuites()...)

func (c *encoder) caller(b []byte, client netip.Addr, peer netip.AddrPort) []byte {
	if client.IsValid() {
		if client != c.client {
			c.client = client
			c.clientText = append(plainAddr(client).AppendTo(append(c.clientText[:0], `,"client":"`...)), '"')
		}
		b = append(b, c.clientText...)
	}
	if p := peer.Addr(); p != client && peer.IsValid() && plainAddr(p) != plainAddr(client) {
		b = append(b, `,"peer":"`...)
		b = netip.AddrPortFrom(plainAddr(p), peer.Port()).AppendTo(b)
		b = append(b, '"')
	}
	return b
}

// plainAddr is a without a zone, which is this machine's matter, and without
// the IPv6 form of an IPv4 address.
func plainAddr(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return a.WithZone("").Unmap()
}

// time appends RFC 3339 in UTC with exactly nine digits of a second.
func (c *encoder) time(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.stamp[0] == 0 {
		c.second = s
		t.UTC().AppendFormat(c.stamp[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, c.stamp[:]...)
	ns := uint32(t.Nanosecond())
	us := ns / 1000
	return append(threeDigits(threeDigits(threeDigits(b, us/1000), us%1000), ns%1000), 'Z')
}

// queryString appends the query as far as the mode allows.
func (c *encoder) queryString(b []byte, q []byte) []byte {
	if len(q) == 0 || c.query == QueryOmit {
		return b
	}
	if c.query == QueryFull {
		return text(b, `,"query":"`, q, c.maxField)
	}
	b = append(b, `,"query":"`...)
	limit := len(b) + c.maxField - 4
	for len(q) > 0 {
		pair := q
		if i := bytes.IndexByte(q, '&'); i >= 0 {
			pair, q = q[:i], q[i+1:]
		} else {
			q = nil
		}
		if len(b) >= limit {
			b = append(b, "…"...)
			break
		}
		// A part without '=' may be a bare token: that is a value.
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			var whole bool
			if b, whole = escape(b, pair[:i], limit); !whole {
				break
			}
			b = append(b, '=')
		}
		if len(pair) > 0 {
			b = append(b, '*')
		}
		if len(q) > 0 {
			b = append(b, '&')
		}
	}
	return append(b, '"')
}

func (c *encoder) refererURL(b []byte, r []byte) []byte {
	if len(r) == 0 {
		return b
	}
	switch c.referer {
	case RefererOmit:
		return b
	case RefererNoQuery:
		if i := bytes.IndexByte(r, '?'); i >= 0 {
			r = r[:i]
		}
		if i := bytes.IndexByte(r, '#'); i >= 0 {
			r = r[:i]
		}
	}
	return text(b, `,"referer":"`, r, c.maxField)
}
