package replay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// outcome is a decision as far as it can be compared.
type outcome struct {
	// asked is the port of the Service that it was for, at proxies of a mesh.
	asked string
	// route and rule decide; ruleName is what the user calls the rule, where that is known.
	route, rule, ruleName string
	// early: it was decided before routes were looked at.
	early bool
	// match is what the rule has matched by, and policies are those in force, where they
	// are known.
	match, policies string
	// result is "forward", a status with its reason, or empty where chance, time or
	// others have had a say.
	result, policy string
	backends       []backend
	// anyBackend: it went on, and to which backend is not known.
	anyBackend bool
	// reply are the headers and the body of a reply, where they are known.
	reply string
}

// backend is one that a request may go to.
type backend struct {
	cluster, name      string
	percent            float64
	host, path, fields string
}

const forward = "forward"

// request is what is decided.
func request(e *tap.Event, listener string) dryrun.Request {
	rec := e.Record
	r := dryrun.Request{URL: url(e), Listener: listener, Client: e.Source.Address, At: e.Time.Format(time.RFC3339)}
	if e.Type == tap.Exchange {
		r.Method, r.Headers = e.Method, rec.Headers
	}
	if e.AuthMethod != "" {
		r.Caller = &dryrun.Imagined{Method: e.AuthMethod, Consumer: e.Consumer, Claims: rec.Claims}
	}
	if e.Direction == tap.Inbound && e.Source.Identity != "" {
		if r.Caller == nil {
			r.Caller = &dryrun.Imagined{}
		}
		r.Caller.Identity = e.Source.Identity
	}
	return r
}

// decided is what a configuration makes of a recorded request.
func decided(s *Side, e *tap.Event) (o *outcome, assumed []string, undecided string) {
	switch {
	case e.Record == nil:
		return nil, nil, "it was shown by a tap, and not recorded"
	case e.Record.Partial:
		return nil, nil, "it was too long to be recorded whole"
	}
	p, undecided := s.place(e)
	if undecided != "" {
		return nil, nil, undecided
	}
	if p.outcome != nil {
		return p.outcome, p.assumed, ""
	}
	o, assumed, undecided = p.decide(e)
	return o, append(assumed, p.assumed...), undecided
}

func (p *place) decide(e *tap.Event) (o *outcome, assumed []string, undecided string) {
	d, err := p.table.Outcome(request(e, p.listener))
	if err != nil {
		return nil, nil, err.Error()
	}
	if d.Stream != nil && d.Stream.TLS == "" && e.Protocol == "TLS" && d.Route == nil {
		return nil, nil, "the server name of the application's TLS decides, and routes of Services are not asked for it"
	}
	if why := unknown(d, e); why != "" {
		return nil, nil, why
	}
	o = &outcome{asked: p.asked, result: forward, policy: d.DecidedBy}
	if d.Route != nil {
		o.route = plain(d.Route.Name)
	}
	if d.Rule != nil {
		o.rule = fmt.Sprintf("%s/rules/%d", o.route, d.RuleIndex)
		if d.Rule.Name != o.rule && !strings.Contains(d.Rule.Name, "/rules/") {
			o.ruleName = d.Rule.Name
		}
	}
	if text, err := json.Marshal(d.Match); err == nil { // it always marshals
		o.match = string(text)
	}
	for _, ref := range d.Policies {
		o.policies = strings.TrimPrefix(o.policies+", "+ref.String(), ", ")
	}
	if l := d.Local; l != nil {
		o.result = result(l.Status, l.Reason)
		o.reply = fields(l.Headers) + l.Body
	}
	for i := range d.Backends {
		b := &d.Backends[i]
		if b.Weight == 0 || b.Upstream == nil && d.Stream == nil {
			continue
		}
		to := backend{cluster: plain(b.Cluster), name: b.Name, percent: b.Percent}
		if u := b.Upstream; u != nil {
			to.host, to.path, to.fields = u.Host, target(u.Path, u.Query), fields(u.Headers)
		}
		o.backends = append(o.backends, to)
	}
	return o, d.Notes, ""
}

// unknown tells why a decision is none: it rests on what was not recorded.
func unknown(d *dryrun.Decision, e *tap.Event) string {
	p := d.Policy.Authentication
	if d.Local == nil || e.AuthMethod != "" || p == nil {
		return ""
	}
	switch d.Local.Reason {
	case filter.Unauthenticated.String(), filter.InvalidCredential.String(), filter.AccessDenied.String():
	default:
		return ""
	}
	if len(e.Record.Hidden) > 0 {
		return "it had credentials that nobody has taken then (" + strings.Join(e.Record.Hidden, ", ") + "), and they are not recorded"
	}
	if e.TLS != "" && slices.ContainsFunc(p.AnyOf, func(m ir.AuthenticationMethod) bool { return m.ClientCertificate != nil }) {
		return "a certificate of the client's would decide, and it is not recorded"
	}
	return ""
}

// plain is a name without the mark that tells forms of one object apart, which depends on
// settings that are compared by themselves.
func plain(name string) string {
	if i := strings.LastIndexByte(name, '~'); i >= 0 && !strings.Contains(name[i:], "/") {
		return name[:i]
	}
	return name
}

func result(status int, reason string) string {
	if status == 0 { // of a connection
		return reason
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, reason))
}

func target(path, query string) string {
	if query != "" {
		path += "?" + query
	}
	return path
}

func fields(list []ir.Header) string {
	out := make([]string, 0, len(list))
	for _, h := range list {
		out = append(out, h.Name+": "+h.Value+"\n")
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// Reasons that say what a proxy has decided by the request alone, and those by which it
// would have gone on.
var (
	byRequest = []filter.Reason{
		filter.RouteNotFound, filter.MisdirectedRequest, filter.BackendInvalid, filter.Unauthenticated, filter.InvalidCredential, filter.AccessDenied, filter.AddressDenied,
		filter.UserAgentDenied, filter.CrossOriginRequest, filter.EgressDenied, filter.MeshTLSRequired,
	}
	wentOn = []filter.Reason{
		filter.NoHealthyEndpoint, filter.UpstreamConnectFailure, filter.UpstreamTLSFailure, filter.UpstreamReset, filter.UpstreamTimeout, filter.UpstreamProtocolError,
		filter.Overload, filter.BreakerOpen, filter.MeshTLSFailure,
	}
)

func among(list []filter.Reason, reason string) bool {
	return slices.ContainsFunc(list, func(r filter.Reason) bool { return r.String() == reason })
}

// recorded is what the proxy has made of a request when it was recorded.
func recorded(e *tap.Event) *outcome {
	o := &outcome{route: plain(e.Route), rule: plain(e.Rule)}
	if a := e.Record.Asked; a != nil {
		o.asked = name(*a)
	} else if e.Direction == tap.Outbound {
		o.asked, o.route, o.rule, o.early = none, "", "", true
	}
	o.early = o.early || e.Reason == filter.MeshTLSRequired.String()
	stream := e.Type == tap.Stream
	switch {
	case e.Record.Cluster == ir.EgressCluster, stream && o.asked == none && e.Reason == "":
		o.result, o.backends = forward, []backend{outside()}
	case e.Record.Cluster != "" && !among(byRequest, e.Reason):
		o.result = forward
		b := backend{cluster: plain(e.Record.Cluster), name: plain(e.Record.Cluster)}
		if s := e.Record.Sent; s != nil {
			b.host, b.path = s.Host, target(s.Path, s.Query)
		}
		o.backends = []backend{b}
	case among(wentOn, e.Reason):
		o.result, o.anyBackend = forward, true
	case stream && among(byRequest, e.Reason), e.Status != 0 && (e.Reason == "" || among(byRequest, e.Reason)):
		o.result, o.policy = result(e.Status, e.Reason), e.Policy
	}
	return o
}
