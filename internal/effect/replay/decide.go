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
	route, rule string
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

// request is what is decided, or why it cannot be.
func request(e *tap.Event) (r dryrun.Request, undecided string) {
	rec := e.Record
	switch {
	case rec == nil:
		return r, "it was shown by a tap, and not recorded"
	case e.Direction != tap.Edge:
		return r, "it passed a proxy of the mesh, whose configuration is not in files: gridway explain --from decides such"
	case rec.Partial:
		return r, "it was too long to be recorded whole"
	}
	url := e.Scheme + "://" + rec.Host + rec.Path
	if rec.Query != "" {
		url += "?" + rec.Query
	}
	r = dryrun.Request{Method: e.Method, URL: url, Headers: rec.Headers, Listener: e.Listener, Client: e.Source.Address, At: e.Time.Format(time.RFC3339)}
	if e.AuthMethod != "" {
		r.Caller = &dryrun.Imagined{Method: e.AuthMethod, Consumer: e.Consumer, Claims: rec.Claims}
	}
	return r, ""
}

// decided is what a configuration makes of a recorded request.
func decided(t *dryrun.Table, e *tap.Event) (o *outcome, assumed []string, undecided string) {
	r, undecided := request(e)
	if undecided != "" {
		return nil, nil, undecided
	}
	d, err := t.Outcome(r)
	if err != nil {
		return nil, nil, err.Error()
	}
	if why := unknown(d, e); why != "" {
		return nil, nil, why
	}
	o = &outcome{result: forward, policy: d.DecidedBy}
	if d.Route != nil {
		o.route = plain(d.Route.Name)
	}
	if d.Rule != nil {
		o.rule = fmt.Sprintf("%s/rules/%d", o.route, d.RuleIndex)
		if d.Rule.Name != o.rule && !strings.Contains(d.Rule.Name, "/rules/") {
			o.rule += " (" + d.Rule.Name + ")"
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
		if b.Weight == 0 || b.Upstream == nil {
			continue
		}
		o.backends = append(o.backends, backend{
			cluster: plain(b.Cluster), name: b.Name, percent: b.Percent, host: b.Upstream.Host, path: target(b.Upstream.Path, b.Upstream.Query), fields: fields(b.Upstream.Headers),
		})
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
		filter.UserAgentDenied, filter.CrossOriginRequest,
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
	switch {
	case e.Record.Cluster != "":
		o.result = forward
		b := backend{cluster: plain(e.Record.Cluster), name: plain(e.Record.Cluster)}
		if s := e.Record.Sent; s != nil {
			b.host, b.path = s.Host, target(s.Path, s.Query)
		}
		o.backends = []backend{b}
	case among(wentOn, e.Reason):
		o.result, o.anyBackend = forward, true
	case e.Status != 0 && (e.Reason == "" || among(byRequest, e.Reason)):
		o.result, o.policy = result(e.Status, e.Reason), e.Policy
	}
	return o
}
