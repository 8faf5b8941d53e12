// Package dryrun answers what a proxy would do with a request without sending
// anything: it parses the request with the same codec, finds its rule in the
// same route table and runs the same filters as the request path. It owns no
// goroutines and opens nothing. The CLI and app import it.
package dryrun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/proxy/route"
)

// Table decides requests for one configuration. It is immutable; any number of
// goroutines may use it.
type Table struct {
	config    *ir.Config
	listeners []*listener
	clusters  map[string]*ir.Cluster
	streams   map[string]*ir.StreamRoute
	schemas   Schemas
	// consumers are the configuration's, apart from those that serve: what is asked
	// here is no use of a credential.
	consumers *consumer.Directory
	passwords *password.Verifier
	tokens    authentication.Tokens
	logins    *login.Set
	issuers   *issuing.Set
	lists     *accesslist.Directory
	revoked   *clientcert.Revocations
}

// listener is one as requests in HTTP, or in HTTPS, see it: a port may have both.
type listener struct {
	ir       *ir.Listener
	protocol ir.Protocol
	table    *route.Table[*rule]
}

// rule is what the snapshot holds for one, as far as nothing is sent.
type rule struct {
	ir       *ir.Rule
	index    int
	filters  filters.Chain
	backends []filters.Chain
	// source has the descriptors, where requests are transcoded; unknown: nobody
	// can tell from here what they are.
	source  transcode.Source
	unknown bool
}

// New builds the tables of all listeners. What descriptors say is left out of their
// decisions.
func New(cfg *ir.Config) (*Table, error) { return build(cfg, nil, nil) }

// NewTranscoding is New for requests that are to be transcoded too, by the
// descriptors of the configuration. reflected has those that endpoints have told;
// nil is that nobody knows them. Fetched has the
// keys that were fetched for tokens, or is nil likewise.
func NewTranscoding(cfg *ir.Config, reflected Schemas, fetched Keys) (*Table, error) {
	return build(cfg, written(cfg, reflected), fetched)
}

func build(cfg *ir.Config, schemas Schemas, fetched Keys) (*Table, error) {
	t := &Table{config: cfg, schemas: schemas, clusters: make(map[string]*ir.Cluster, len(cfg.Clusters)), streams: make(map[string]*ir.StreamRoute, len(cfg.Streams)), consumers: consumer.New(), passwords: password.New(1), lists: accesslist.New(), revoked: clientcert.NewRevocations()}
	t.lists.Apply(cfg.AddressLists, cfg.UserAgentLists)
	t.revoked.Apply(cfg.RevocationLists)
	t.consumers.Apply(cfg.Consumers)
	t.tokens = tokens(cfg, fetched)
	t.logins = login.New(login.Options{Offline: true})
	t.logins.Begin(cfg)
	t.issuers = issuing.New(issuing.Options{})
	t.issuers.Begin(cfg)
	for _, r := range cfg.Streams {
		t.streams[r.Name] = r
	}
	for _, c := range cfg.Clusters {
		t.clusters[c.Name] = c
	}
	type built struct {
		route *ir.Route
		rules []*rule
	}
	routes := make(map[string]built, len(cfg.Routes))
	for _, r := range cfg.Routes {
		b := built{route: r}
		for i, ru := range r.Rules {
			b.rules = append(b.rules, t.newRule(ru, i))
		}
		routes[r.Name] = b
	}
	for _, l := range parted(cfg.Listeners) {
		for _, p := range []ir.Protocol{ir.HTTP, ir.HTTPS} {
			var sections []route.Section[*rule]
			for _, s := range l.Sections {
				if !speaks(l, s, p) {
					continue
				}
				section := route.Section[*rule]{Section: s}
				for _, a := range s.Routes {
					b, ok := routes[a.Route]
					if !ok {
						return nil, fmt.Errorf("section %s names route %s, which is not in the configuration", s.Name, a.Route)
					}
					section.Routes = append(section.Routes, route.Attached[*rule]{Route: b.route, Hostnames: a.Hostnames, Values: b.rules})
				}
				sections = append(sections, section)
			}
			if len(sections) == 0 && (l.Protocol != p || l.Outbound()) {
				continue
			}
			table, err := route.Build(sections, nil)
			if err != nil {
				return nil, fmt.Errorf("listener %s: %w", l.Name, err)
			}
			t.listeners = append(t.listeners, &listener{ir: l, protocol: p, table: table})
		}
	}
	return t, nil
}

// parted lists the listeners, those of the mesh and beside applications once for each
// section: what comes to one of them never gets to another.
func parted(list []*ir.Listener) (out []*ir.Listener) {
	for _, l := range list {
		if !l.Mesh && !l.Outbound() {
			out = append(out, l)
			continue
		}
		for _, s := range l.Sections {
			part := *l
			part.Sections = []*ir.Section{s}
			out = append(out, &part)
		}
	}
	return out
}

// newRule leaves out what is drawn by lot (faults), so that equal requests are
// decided alike, and what depends on descriptors that are not known; the
// Decision shows both as policy.
func (t *Table) newRule(r *ir.Rule, index int) *rule {
	certain := *r
	certain.Policy.Fault = nil
	out := &rule{ir: r, index: index}
	if r.Policy.Transcoding != nil {
		if t.schemas != nil {
			out.source = t.schemas(r)
			out.unknown = out.source == nil
		}
		if out.source == nil {
			certain.Policy.Transcoding = nil
		}
	}
	out.filters = filters.ForRule(&certain, filters.Deps{Schemas: t.schemas, Consumers: t.consumers, Passwords: t.passwords, Tokens: t.tokens, Logins: t.logins.Login, Issuers: t.issuers.Issuer, Lists: t.lists, Revocations: t.revoked})
	for i := range r.Backends {
		out.backends = append(out.backends, filters.ForBackend(&r.Backends[i].Filters))
	}
	return out
}

// Config is what the table was built from.
func (t *Table) Config() *ir.Config { return t.config }

// Cluster is the one of that name, or nil.
func (t *Table) Cluster(name string) *ir.Cluster { return t.clusters[name] }

// target is a request's URL taken apart without changing a byte of it.
type target struct {
	scheme, authority, path string
	port                    string
}

func parseTarget(raw string) (target, error) {
	raw, _, _ = strings.Cut(raw, "#")
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case !ok && strings.HasPrefix(raw, "/"):
		return target{authority: "localhost", path: raw}, nil
	case !ok:
		scheme, rest = "http", raw
	}
	t := target{scheme: strings.ToLower(scheme)}
	if _, stream := streamSchemes[t.scheme]; !stream && t.scheme != "http" && t.scheme != "https" {
		return t, fmt.Errorf("the URL's scheme must be http, https, tcp, tls or udp, not %q", scheme)
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		t.authority, t.path = rest[:i], rest[i:]
	} else {
		t.authority = rest
	}
	if !strings.HasPrefix(t.path, "/") {
		t.path = "/" + t.path
	}
	if t.authority == "" {
		return t, fmt.Errorf("the URL %q has no host", raw)
	}
	if i := strings.LastIndexByte(t.authority, ':'); i > strings.LastIndexByte(t.authority, ']') {
		t.port = t.authority[i+1:]
	}
	return t, nil
}

// host is the authority without a port.
func (t target) host() string {
	return strings.Trim(strings.TrimSuffix(t.authority, ":"+t.port), "[]")
}

// listenersFor picks the listeners that the request may be meant for.
func (t *Table) listenersFor(req Request, to target) ([]*listener, string, error) {
	if len(t.config.Listeners) == 0 {
		return nil, "", fmt.Errorf("the configuration has no listeners")
	}
	beside, ours := t.besides(req, to)
	switch {
	case len(beside) > 0:
		return beside[:1], "", nil
	case ours && req.Listener != "":
		return nil, "", fmt.Errorf("listener %s has no service for %s", req.Listener, to.authority)
	}
	if req.Listener != "" {
		var others []*listener
		for _, l := range t.listeners {
			if !named(l.ir, req.Listener) {
				continue
			}
			if strings.EqualFold(string(l.protocol), to.scheme) {
				return []*listener{l}, "", nil
			}
			others = append(others, l)
		}
		if len(others) > 0 {
			return others[:1], "", nil
		}
		return nil, "", fmt.Errorf("there is no listener %q for requests; there are %s", req.Listener, t.names())
	}
	var fit, exact []*listener
	for _, l := range t.listeners {
		if to.scheme != "" && !strings.EqualFold(string(l.protocol), to.scheme) || l.ir.Outbound() {
			continue
		}
		fit = append(fit, l)
		if p := fmt.Sprint(l.ir.Port); to.port == p || to.port == "" && (p == "80" && to.scheme != "https" || p == "443" && to.scheme == "https") {
			exact = append(exact, l)
		}
	}
	out := t.outside(to)
	switch {
	case len(exact) > 0:
		return exact, "", nil
	case out != nil:
		return nil, "", out
	case to.port != "":
		return nil, "", fmt.Errorf("no %s listener has port %s; there are %s", strings.ToUpper(to.scheme), to.port, t.names())
	case len(fit) == 0:
		return nil, "", fmt.Errorf("no listener speaks %s; there are %s", strings.ToUpper(to.scheme), t.names())
	case len(fit) == 1:
		return fit, "", nil
	}
	return fit, "the URL names no port: of several listeners the first with a matching rule was taken", nil
}

func named(l *ir.Listener, name string) bool {
	if l.Name == name || strings.HasSuffix(l.Name, ":"+strings.TrimPrefix(name, ":")) {
		return true
	}
	for _, s := range l.Sections {
		if s.Name == name || strings.HasSuffix(s.Name, "/"+name) {
			return true
		}
	}
	return false
}

func (t *Table) names() string {
	var s []string
	for _, l := range t.config.Listeners {
		s = append(s, fmt.Sprintf("%s (%s)", l.Name, spoken(l)))
	}
	return strings.Join(s, ", ")
}

// spoken lists the protocols of a listener.
func spoken(l *ir.Listener) string {
	var all []string
	for _, s := range l.Sections {
		if p := string(l.ProtocolOf(s)); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return string(l.Protocol)
	}
	return strings.Join(all, ", ")
}
