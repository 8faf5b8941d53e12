package nameserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// askWithin is how long one resolver has before the next is asked.
const askWithin = 2 * time.Second

// forward asks the resolvers of this host, in their order, as the C library does.
func (s *Server) forward(ctx context.Context, q *dns.Msg, stream bool) *dns.Msg {
	key := keyOf(q, stream)
	if reply := s.cache.get(key, q, time.Now()); reply != nil {
		s.cached.Add(1)
		return reply
	}
	failed := errors.New("this host has no resolvers")
	var last *dns.Msg
	for _, server := range s.conf.get().servers {
		reply, err := s.ask(ctx, q, server, stream)
		if err != nil {
			failed = err
			continue
		}
		if reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeRefused || reply.Rcode == dns.RcodeNotImplemented {
			last = reply // another one may know better
			continue
		}
		s.cache.put(key, reply, time.Now())
		s.forwarded.Add(1)
		return reply
	}
	if last != nil {
		s.forwarded.Add(1)
		return last
	}
	s.failed.Add(1)
	s.log.Debug("no resolver has answered", "name", q.Question[0].Name, "error", failed)
	return fail(q, dns.RcodeServerFailure)
}

// ask asks one resolver, from a port that the kernel chooses anew and with an ID of
// its own, so that nobody else can answer (RFC 5452). The reply has the client's ID.
func (s *Server) ask(ctx context.Context, q *dns.Msg, server string, stream bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c := &dns.Client{Net: "udp", Dialer: &net.Dialer{Control: s.opts.Control}, Timeout: askWithin, UDPSize: maxUDP}
	if stream {
		c.Net = "tcp"
	}
	m := q.Copy()
	m.Id = dns.Id()
	m.RecursionDesired = true
	begun := time.Now()
	reply, _, err := c.ExchangeContext(ctx, m, server)
	s.tell(server, stream, m, reply, err == nil && answers(reply, m), time.Since(begun))
	switch {
	case err != nil:
		return nil, err
	case !answers(reply, m):
		return nil, errors.New("the resolver has answered something else")
	}
	reply.Id, reply.Question = q.Id, q.Question
	return reply, nil
}

// tell tells of a question who wants to know.
func (s *Server) tell(server string, stream bool, q, reply *dns.Msg, answered bool, took time.Duration) {
	if s.opts.Asked == nil {
		return
	}
	at, err := netip.ParseAddrPort(server)
	if err != nil {
		return
	}
	a := &Asked{Resolver: at.Addr(), Answered: answered, Took: took, Stream: stream, Question: q.Len()}
	if answered {
		a.Code, a.Answer = reply.Rcode, reply.Len()
	}
	s.opts.Asked(a)
}

// answers tells whether a message is a reply to a question (RFC 5452 §9.1).
func answers(reply, q *dns.Msg) bool {
	return reply.Response && reply.Id == q.Id && len(reply.Question) == 1 &&
		reply.Question[0].Qtype == q.Question[0].Qtype && reply.Question[0].Qclass == q.Question[0].Qclass &&
		strings.EqualFold(reply.Question[0].Name, q.Question[0].Name)
}
