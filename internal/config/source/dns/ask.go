package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// udpSize is what is announced by EDNS0: the largest answer that is not
	// fragmented on ordinary paths (dnsflagday.net/2020).
	udpSize = 1232
	// maxAliases bounds a chain of CNAMEs.
	maxAliases = 8
	// firstTry is how long a server may take before the next one is asked, or the
	// same one again: a datagram that was lost must not use up the time that
	// Prepare has. Later rounds have the whole timeout.
	firstTry = 700 * time.Millisecond
)

// family looks up one family of a name.
func (q *query) family(name string, qtype uint16) ([]netip.Addr, time.Duration, error) {
	least := time.Duration(-1)
	for range maxAliases {
		reply, err := q.ask(name, qtype)
		if err != nil {
			return nil, 0, err
		}
		end, ttl := followAliases(reply.Answer, name)
		addrs, attl := readAddresses(reply.Answer, end)
		if len(addrs) > 0 {
			return addrs, shorter(shorter(least, ttl), attl), nil
		}
		if end == name || reply.Rcode == mdns.RcodeNameError {
			return nil, negativeTTL(reply), fmt.Errorf("%w: %s %s", errDenied, name, mdns.RcodeToString[reply.Rcode])
		}
		// The server did not follow the alias to its end.
		least, name = shorter(least, ttl), end
	}
	return nil, 0, fmt.Errorf("more than %d aliases", maxAliases)
}

// shorter is the lesser of two TTLs, of which -1 is none.
func shorter(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// ask puts one question to the servers in turn, until one has an answer.
// NXDOMAIN is an answer.
func (q *query) ask(name string, qtype uint16) (*mdns.Msg, error) {
	var failure error
	for round := range max(1, q.attempts) {
		timeout := q.timeout
		if round == 0 && q.attempts > 1 {
			timeout = min(timeout, firstTry)
		}
		for _, server := range q.servers {
			reply, err := q.askServer(server, name, qtype, timeout)
			if err == nil {
				return reply, nil
			}
			failure = fmt.Errorf("%s %s from %s: %w", name, mdns.TypeToString[qtype], server, err)
			if q.ctx.Err() != nil {
				return nil, failure
			}
		}
	}
	if failure == nil {
		failure = errors.New("no resolver is configured")
	}
	return nil, failure
}

func (q *query) askServer(server, name string, qtype uint16, timeout time.Duration) (*mdns.Msg, error) {
	m := new(mdns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(udpSize, false)
	reply, err := q.exchange("udp", m, server, timeout)
	if err == nil && (reply.Rcode == mdns.RcodeFormatError || reply.Rcode == mdns.RcodeNotImplemented) {
		m.Extra = nil // a server from before EDNS0 (RFC 6891 §7)
		reply, err = q.exchange("udp", m, server, timeout)
	}
	if err == nil && reply.Truncated { // RFC 7766 §5
		reply, err = q.exchange("tcp", m, server, timeout)
	}
	if err != nil {
		return nil, err
	}
	if reply.Rcode != mdns.RcodeSuccess && reply.Rcode != mdns.RcodeNameError {
		return nil, errors.New(mdns.RcodeToString[reply.Rcode])
	}
	return reply, nil
}

func (q *query) exchange(network string, m *mdns.Msg, server string, timeout time.Duration) (*mdns.Msg, error) {
	ctx, cancel := context.WithTimeout(q.ctx, timeout)
	defer cancel()
	client := mdns.Client{Net: network, UDPSize: udpSize, Timeout: timeout}
	reply, _, err := client.ExchangeContext(ctx, m, server)
	if err != nil {
		return nil, err
	}
	if !reply.Response || len(reply.Question) != 1 || reply.Question[0].Qtype != m.Question[0].Qtype ||
		!strings.EqualFold(reply.Question[0].Name, m.Question[0].Name) {
		return nil, errors.New("the answer is to another question")
	}
	return reply, nil
}

// followAliases finds the name at the end of the CNAMEs that begin at name.
func followAliases(records []mdns.RR, name string) (end string, ttl time.Duration) {
	end, ttl = name, -1
	for range maxAliases {
		next := ""
		for _, rr := range records {
			if c, ok := rr.(*mdns.CNAME); ok && strings.EqualFold(c.Hdr.Name, end) {
				next, ttl = c.Target, shorter(ttl, seconds(c.Hdr.Ttl))
				break
			}
		}
		if next == "" {
			break
		}
		end = next
	}
	return end, ttl
}

// readAddresses collects the addresses that records give to a name.
func readAddresses(records []mdns.RR, name string) (addrs []netip.Addr, ttl time.Duration) {
	ttl = -1
	for _, rr := range records {
		if !strings.EqualFold(rr.Header().Name, name) || len(addrs) >= maxHosts {
			continue
		}
		var ip []byte
		switch rr := rr.(type) {
		case *mdns.A:
			ip = rr.A
		case *mdns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, a.Unmap())
			ttl = shorter(ttl, seconds(rr.Header().Ttl))
		}
	}
	return addrs, ttl
}

// readSRV collects the SRV records of an answer.
func readSRV(reply *mdns.Msg, name string) ([]srvRecord, time.Duration, error) {
	end, ttl := followAliases(reply.Answer, name)
	var list []srvRecord
	for _, rr := range reply.Answer {
		srv, ok := rr.(*mdns.SRV)
		// RFC 2782: a target of "." says that the service is decidedly not there.
		if !ok || !strings.EqualFold(srv.Hdr.Name, end) || srv.Target == "." || len(list) >= maxTargets {
			continue
		}
		list = append(list, srvRecord{srv.Target, srv.Port, srv.Priority, srv.Weight})
		ttl = shorter(ttl, seconds(srv.Hdr.Ttl))
	}
	if len(list) == 0 {
		return nil, negativeTTL(reply), fmt.Errorf("%w: %s SRV %s", errDenied, name, mdns.RcodeToString[reply.Rcode])
	}
	return list, ttl, nil
}

// negativeTTL is how long a denial holds (RFC 2308 §5).
func negativeTTL(reply *mdns.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*mdns.SOA); ok {
			return seconds(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return 0
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
