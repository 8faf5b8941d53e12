package nameserver

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	// maxUDP is the longest answer to a client that has room for it (RFC 6891 §6.2.5):
	// nothing is in between that could lose fragments.
	maxUDP = 4096
	// serviceTTL is how many seconds clients may remember a service.
	serviceTTL = 5
)

// answer makes the reply to a question, which is never nil.
func (s *Server) answer(ctx context.Context, q *dns.Msg, stream bool) *dns.Msg {
	if opt := q.IsEdns0(); opt != nil && opt.Version() != 0 {
		return fail(q, dns.RcodeBadVers) // RFC 6891 §6.1.3
	}
	if q.Opcode != dns.OpcodeQuery {
		return fail(q, dns.RcodeNotImplemented)
	}
	if len(q.Question) != 1 {
		return fail(q, dns.RcodeFormatError)
	}
	question := q.Question[0]
	if question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		return fail(q, dns.RcodeRefused)
	}
	if question.Qclass == dns.ClassINET && s.opts.Services != nil {
		name := strings.ToLower(strings.TrimSuffix(question.Name, "."))
		reply, err := s.service(ctx, q, name)
		if err != nil {
			s.failed.Add(1)
			s.log.Debug("a service could not be looked up", "name", name, "error", err)
			return fail(q, dns.RcodeServerFailure)
		}
		if reply != nil {
			s.services.Add(1)
			return reply
		}
	}
	return s.forward(ctx, q, stream)
}

// service is the reply about a service; nil if the name means none. Clients try a
// name with the search domains of this host behind it, too.
func (s *Server) service(ctx context.Context, q *dns.Msg, name string) (*dns.Msg, error) {
	for _, n := range s.conf.forms(name) {
		port, host, isPort := cutPort(n)
		if host == "" {
			continue
		}
		found, ok, err := s.opts.Services.Lookup(ctx, host)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		reply := new(dns.Msg).SetReply(q)
		reply.Authoritative, reply.RecursionAvailable = true, true
		if !isPort {
			addresses(reply, found)
		} else if !ports(reply, found, port) {
			reply.Rcode = dns.RcodeNameError // no port of the service is called so
		}
		if len(reply.Answer) == 0 {
			reply.Ns = []dns.RR{negative(q.Question[0].Name)}
		}
		return reply, nil
	}
	return nil, nil
}

// cutPort reads "_http._tcp.reviews" (RFC 2782); other names are hosts.
func cutPort(name string) (port, host string, ok bool) {
	first, rest, _ := strings.Cut(name, ".")
	second, host, _ := strings.Cut(rest, ".")
	if strings.HasPrefix(first, "_") && second == "_tcp" {
		return first[1:], host, true
	}
	return "", name, false
}

// addresses answers with those of the family that was asked for, or both.
func addresses(reply *dns.Msg, s Service) {
	q := reply.Question[0]
	for _, a := range s.Addresses {
		if rr := record(q.Name, a); q.Qtype == rr.Header().Rrtype || q.Qtype == dns.TypeANY {
			reply.Answer = append(reply.Answer, rr)
		}
	}
}

// ports answers with where a port is; it is false if the service has none of that name.
func ports(reply *dns.Msg, s Service, name string) (known bool) {
	q := reply.Question[0]
	_, target, _ := strings.Cut(q.Name, ".")
	_, target, _ = strings.Cut(target, ".")
	for _, p := range s.Ports {
		if !strings.EqualFold(p.Name, name) {
			continue
		}
		known = true
		if q.Qtype != dns.TypeSRV && q.Qtype != dns.TypeANY {
			continue
		}
		reply.Answer = append(reply.Answer, &dns.SRV{
			Hdr:    dns.RR_Header{Name: q.Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: serviceTTL},
			Weight: 1, Port: p.Number, Target: target,
		})
	}
	if len(reply.Answer) > 0 {
		for _, a := range s.Addresses {
			reply.Extra = append(reply.Extra, record(target, a))
		}
	}
	return known
}

func record(name string, a netip.Addr) dns.RR {
	header := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: serviceTTL}
	ip := net.IP(a.Unmap().AsSlice())
	if a.Unmap().Is4() {
		header.Rrtype = dns.TypeA
		return &dns.A{Hdr: header, A: ip}
	}
	header.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: header, AAAA: ip}
}

// negative is the SOA by which clients know how long there is nothing (RFC 2308 §5).
func negative(name string) dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: serviceTTL},
		Ns:  "gridway.invalid.", Mbox: "nobody.invalid.", Serial: 1,
		Refresh: serviceTTL, Retry: serviceTTL, Expire: serviceTTL, Minttl: serviceTTL,
	}
}

// fail is a reply without data.
func fail(q *dns.Msg, code int) *dns.Msg {
	reply := new(dns.Msg).SetRcode(q, code)
	reply.RecursionAvailable = true
	return reply
}

// fit gives the reply the size, and the EDNS record, that the client can take
// (RFC 6891 §6.1.1, §6.2.3).
func fit(reply, q *dns.Msg, stream bool) {
	size := dns.MinMsgSize
	opt := q.IsEdns0()
	if opt != nil {
		size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		code := reply.Rcode
		if reply.IsEdns0() == nil {
			reply.SetEdns0(maxUDP, opt.Do())
		}
		reply.Rcode = code // its upper bits go into the record
	}
	if stream {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
}
