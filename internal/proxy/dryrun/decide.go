package dryrun

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Decide tells what the proxy would do. The error is about a request that
// cannot be made or that no listener would get; a request that the proxy would
// refuse is a Decision with a reply.
func (t *Table) Decide(req Request) (*Decision, error) { return t.decide(req, question{why: true}) }

// Outcome is Decide without the candidates that lost, whose search takes time
// in proportion to the number of rules.
func (t *Table) Outcome(req Request) (*Decision, error) { return t.decide(req, question{}) }

// Admitted is Outcome for a caller whom all policies let through, though nothing
// is known of them.
func (t *Table) Admitted(req Request) (*Decision, error) {
	return t.decide(req, question{admitted: true})
}

type question struct {
	why      bool // which candidates have lost
	admitted bool
}

func (t *Table) decide(req Request, q question) (*Decision, error) {
	to, err := parseTarget(req.URL)
	if err != nil {
		return nil, err
	}
	if _, ok := streamSchemes[to.scheme]; ok {
		return t.decideStream(req, to)
	}
	if req.Client != "" && !req.client().IsValid() {
		return nil, fmt.Errorf("%q is not an IP address", req.Client)
	}
	if req.Method == "" {
		req.Method = "GET"
	}
	head, err := requestHead(req, to)
	if err != nil {
		return nil, err
	}
	as, err := t.imagine(req)
	if err != nil {
		return nil, err
	}
	candidates, note, err := t.listenersFor(req, to)
	if err != nil {
		return nil, err
	}
	var first *Decision
	for _, l := range candidates {
		d := t.decideAt(l, req, to, head, q, as)
		d.Local.answerCall(req.Headers)
		if note != "" {
			d.Notes = append(d.Notes, note)
		}
		if d.Rule != nil {
			return d, nil
		}
		if first == nil {
			first = d
		}
	}
	return first, nil
}

// requestHead is the request as a client would send it.
func requestHead(req Request, to target) ([]byte, error) {
	host := to.authority
	var fields strings.Builder
	for _, h := range req.Headers {
		if strings.ContainsAny(h.Name, "\r\n:") || h.Name == "" {
			return nil, fmt.Errorf("%q is not a header name", h.Name)
		}
		if strings.ContainsAny(h.Value, "\r\n") {
			return nil, fmt.Errorf("the value of header %s has a line break", h.Name)
		}
		if strings.EqualFold(h.Name, "Host") {
			host = h.Value
			continue
		}
		fmt.Fprintf(&fields, "%s: %s\r\n", h.Name, h.Value)
	}
	if strings.ContainsAny(req.Method+to.path, " \r\n") {
		return nil, errors.New("method and URL must not hold blanks; write %20")
	}
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", req.Method, to.path, host, fields.String()), nil
}

// client is who sends the request; what is no address was refused before.
func (r Request) client() netip.Addr {
	if r.Client == "" {
		return netip.MustParseAddr("127.0.0.1")
	}
	a, _ := netip.ParseAddr(r.Client)
	return a.Unmap()
}

// newExchange parses head anew: filters change what they are given.
func (l *listener) newExchange(head []byte, client netip.Addr, as *stand) (*filter.Exchange, error) {
	x := &filter.Exchange{
		PeerAddr:  netip.AddrPortFrom(client, 40000),
		LocalAddr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.ir.Port),
		Client:    client,
		Wait:      func(time.Duration) bool { return true },
		Detach:    func() {},
		Call:      func(*callout.Call) error { return callout.ErrImagined },
		Start:     time.Now(),
	}
	as.put(x)
	x.Req.Scheme = strings.ToLower(string(l.protocol))
	lim := &h1.Limits{HeaderBytes: l.ir.Client.MaxHeaderBytes, HeaderCount: l.ir.Client.MaxHeaderCount, MergeSlashes: l.ir.Client.MergeSlashes}
	return x, h1.ParseRequest(append([]byte(nil), head...), &x.Req, lim)
}

func (l *listener) sni(to target) string {
	if l.protocol != ir.HTTPS || isAddress(to.host()) {
		return "" // RFC 6066 §3: literal addresses are not server names
	}
	return to.host()
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (t *Table) decideAt(l *listener, req Request, to target, head []byte, q question, as *stand) *Decision {
	d := &Decision{Request: req, Listener: l.ir.Name, Action: Reply, admitted: q.admitted, as: as}
	x, err := l.newExchange(head, req.client(), d.as)
	if err != nil {
		d.Local = &Local{Status: 400, Reason: filter.BadRequest.String(), Detail: err.Error()}
		var e *h1.Error
		if errors.As(err, &e) {
			d.Local.Status = e.Status
		}
		return d
	}
	if meshOnly(l.ir) {
		d.Local = &Local{Status: 403, Reason: filter.MeshTLSRequired.String(), Detail: meshOnlyDetail}
		return d
	}
	m, ok := l.table.Match(&x.Req, l.sni(to))
	if m.Section != nil {
		d.Section = &Place{Name: m.Section.Name, Ref: m.Section.Ref}
	}
	if q.why {
		explain(d, l.table.Explain(&x.Req, l.sni(to)))
	}
	switch {
	case m.Misdirected:
		d.Local = &Local{Status: 421, Reason: filter.MisdirectedRequest.String(), Detail: "this connection's TLS server name does not serve the requested host"}
		return d
	case !ok:
		d.Local = &Local{Status: 404, Reason: filter.RouteNotFound.String(), Detail: "no route matches this host, path and method"}
		return d
	}
	d.fill(m)
	if q.why && !q.admitted && !as.known() {
		if y, err := l.newExchange(head, req.client(), as); err == nil { // it parsed before
			as.show(y, m.Rule.Policy.Authentication)
			y.Section, y.Route, y.Rule, y.Match = m.Section, m.Route, m.Rule, m.Match
			d.AuthenticatedBy, d.Authentication = authentications(y, m.Value.filters.Guard)
		}
	}
	x.Call = func(q *callout.Call) error { return d.unasked(t.clusters[q.Cluster]) }
	t.run(d, l, m, x, head)
	return d
}

// unasked notes that a server would have a say.
func (d *Decision) unasked(c *ir.Cluster) error {
	name := "a server that cannot be asked"
	if c != nil {
		name = c.Ref.String()
	}
	d.Notes = append(d.Notes, name+" is not asked about this request; it is taken to let it through")
	return callout.ErrImagined
}

func (d *Decision) fill(m route.Match[*rule]) {
	name := m.Rule.Name
	if name == "" {
		name = m.Rule.ID
	}
	d.Route = &Place{Name: m.Route.Name, Ref: m.Route.Ref}
	d.Rule = &Place{Name: name, Ref: m.Rule.Ref}
	d.RuleIndex = m.Value.index
	d.Match = m.Match
	d.Filters, d.Policy, d.Policies = m.Rule.Filters, m.Rule.Policy, m.Rule.Policies
	if d.Policy.Session != nil {
		hidden := *d.Policy.Session
		hidden.Key = nil
		d.Policy.Session = &hidden
	}
}

// run goes through the phases of the pipeline that need no upstream.
func (t *Table) run(d *Decision, l *listener, m route.Match[*rule], x *filter.Exchange, head []byte) {
	if m.Value.unknown {
		d.Notes = append(d.Notes, "what is transcoded is for the endpoints' own descriptors to say, which a running gateway knows (--admin)")
	}
	d.as.show(x, m.Rule.Policy.Authentication)
	if c := d.Request.Credential; c != nil {
		d.Notes = append(d.Notes, c.unused(m.Rule.Policy.Authentication)...)
	}
	method, path, query := string(x.Req.Method), string(x.Req.Path), string(x.Req.Query)
	refused := d.refused(x, m, m.Value.filters.Guard)
	d.caller(x)
	d.RateLimits = rateLimits(m.Rule, x)
	refused = refused || d.refused(x, m, m.Value.filters.Request)
	if refused = d.translation(x, m, method, path, query) || refused; refused {
		d.Local = local(x, m.Value.filters)
		return
	}
	if len(m.Rule.Backends) == 0 {
		d.Local = &Local{Status: 500, Reason: filter.BackendInvalid.String(), Detail: "the rule has no backend"}
		return
	}
	d.Action = Forward
	d.Mirrors = t.mirrors(m.Rule.Filters.Mirrors)
	total, usable, why := 0.0, false, ""
	for i := range m.Rule.Backends {
		total += float64(m.Rule.Backends[i].Weight)
	}
	for i := range m.Rule.Backends {
		ref := &m.Rule.Backends[i]
		b := Backend{Name: ref.Ref.String(), Ref: ref.Ref, Cluster: ref.Cluster, Weight: ref.Weight, Problem: ref.Problem, Filters: ref.Filters}
		if total > 0 {
			b.Percent = float64(ref.Weight) / total * 100
		}
		usable = usable || ref.Cluster != "" && ref.Weight > 0
		if ofRule(ref) {
			why = ref.Problem
			continue
		}
		if why == "" && ref.Weight > 0 {
			why = ref.Problem
		}
		t.upstream(&b, l, m, d.Request, head, m.Value.backends[i], d.admitted, d.as)
		d.Backends = append(d.Backends, b)
	}
	if !usable {
		d.Action = Reply
		d.Local = &Local{Status: 500, Reason: filter.BackendInvalid.String(), Detail: cmp.Or(why, "every backend of the rule has weight 0")}
	}
}

// refused runs request filters until one replies.
func (d *Decision) refused(x *filter.Exchange, m route.Match[*rule], chain []filter.RequestFilter) bool {
	x.Section, x.Route, x.Rule, x.Match = m.Section, m.Route, m.Rule, m.Match
	for _, f := range chain {
		if a, is := f.(*authentication.Authentication); is && d.as.known() {
			a.Admit(x, d.as.method)
			continue
		}
		if a, is := f.(*authorization.Authorization); is {
			d.Authorization = a.Explain(x)
		}
		if f.OnRequest(x) != filter.Reply {
			continue
		}
		if !d.admitted || x.Policy == "" {
			return true
		}
		x.Local, x.Policy, x.PolicyRule = filter.LocalReply{}, "", ""
		x.Resp.Reset()
	}
	return false
}

// caller says who the guards have found to call, and which policy has refused.
func (d *Decision) caller(x *filter.Exchange) {
	if c := &x.Caller; c.Known() {
		d.Caller = &Caller{Method: c.Method, Credential: c.Credential}
		if c.Consumer != nil {
			d.Caller.Consumer, d.Caller.Groups, d.Caller.Plan = c.Consumer.String(), c.Consumer.Groups, c.Consumer.Plan
		}
		if t := c.Claims; t != nil {
			d.Caller.Issuer, d.Caller.Subject, d.Caller.Scopes = t.Issuer, t.Subject, t.Scopes
		}
	}
	d.DecidedBy, d.DecidedByRule = x.Policy, x.PolicyRule
}

func local(x *filter.Exchange, chains ...filters.Chain) *Local {
	out := &Local{Status: x.Local.Status, Reason: x.Local.Reason.String(), Detail: x.Local.Detail, Body: string(x.Local.Body)}
	x.Resp.Status = x.Local.Status
	if x.Local.ContentType != "" {
		x.Resp.Header.Set(httpmsg.NameContentType, []byte(x.Local.ContentType))
	}
	respond(x, chains...)
	out.Headers = headers(&x.Resp.Header)
	return out
}

func respond(x *filter.Exchange, chains ...filters.Chain) {
	for _, c := range chains {
		for _, f := range c.Response {
			f.OnResponse(x)
		}
	}
}

// upstream fills in the request as the backend would get it.
func (t *Table) upstream(b *Backend, l *listener, m route.Match[*rule], req Request, head []byte, chain filters.Chain, admitted bool, as *stand) {
	c := t.clusters[b.Cluster]
	if c == nil {
		if b.Problem == "" {
			b.Problem = "it could not be resolved"
		}
		return
	}
	b.Balance, b.Endpoints, b.ConnectTimeout = string(c.Balance.Algorithm), c.Endpoints, c.ConnectTimeout
	b.Sources = sourcesOf(c.Discovery)
	x, err := l.newExchange(head, req.client(), as)
	if err != nil {
		return // it parsed before
	}
	as.show(x, m.Rule.Policy.Authentication)
	d := &Decision{admitted: admitted, as: as}
	if d.refused(x, m, m.Value.filters.Guard) || d.refused(x, m, m.Value.filters.Request) || d.refused(x, m, chain.Request) {
		b.Problem = fmt.Sprintf("a filter of this backend replies with %d", x.Local.Status)
		return
	}
	h1.StripHopByHop(&x.Req.Header)
	u := &Upstream{Method: string(x.Req.Method), Scheme: strings.ToLower(string(c.Protocol)), Host: string(x.Req.Host), Path: string(x.Req.Path), Query: string(x.Req.Query)}
	// As the pipeline does: a hostname that a URLRewrite set wins over the cluster's.
	if c.Host != "" && !rewritesHost(m.Rule.Filters) && !rewritesHost(b.Filters) {
		u.Host = c.Host
	}
	u.Headers = headers(&x.Req.Header)
	b.Upstream = u
	x.Resp.Status = 200
	respond(x, chain, m.Value.filters)
	b.ResponseHeaders = headers(&x.Resp.Header)
}

func rewritesHost(f ir.Filters) bool { return f.Rewrite != nil && f.Rewrite.Hostname != "" }

func (t *Table) mirrors(list []ir.Mirror) []Mirror {
	var out []Mirror
	for _, m := range list {
		name := m.Cluster
		if c := t.clusters[m.Cluster]; c != nil {
			name = c.Ref.String()
		}
		percent := 100.0
		if m.Denominator > 0 {
			percent = float64(m.Numerator) / float64(m.Denominator) * 100
		}
		out = append(out, Mirror{Name: name, Cluster: m.Cluster, Percent: percent})
	}
	return out
}

func headers(h *httpmsg.Header) []ir.Header {
	var out []ir.Header
	for i := range h.Len() {
		f := h.At(i)
		out = append(out, ir.Header{Name: string(f.Name), Value: string(f.Value)})
	}
	return out
}
