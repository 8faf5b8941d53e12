package ir

// Hidden stands for a value that does not leave the process.
const Hidden = "(hidden)"

// Veil replaces a value that may be a credential.
type Veil func(value string) string

// Hide is the Veil that tells nothing.
func Hide(string) string { return Hidden }

// Redacted returns a copy of c without secrets: private keys, keys of session
// cookies, and the values of header fields and query parameters that usually
// carry credentials. The copy shares with c what holds no secrets.
func (c *Config) Redacted() *Config { return c.Veiled(Hide) }

// Veiled is Redacted with v in the place of each credential; keys are left out.
func (c *Config) Veiled(v Veil) *Config {
	out := *c
	out.Listeners = make([]*Listener, len(c.Listeners))
	for i, l := range c.Listeners {
		n := *l
		n.Sections = make([]*Section, len(l.Sections))
		for j, s := range l.Sections {
			n.Sections[j] = s.redacted()
		}
		out.Listeners[i] = &n
	}
	out.Routes = make([]*Route, len(c.Routes))
	for i, r := range c.Routes {
		out.Routes[i] = r.veiled(v)
	}
	out.Clusters = make([]*Cluster, len(c.Clusters))
	for i, cl := range c.Clusters {
		out.Clusters[i] = cl.veiled(v)
	}
	// Consumers are no matter of routes, and may be many: their own list has them.
	out.Consumers = nil
	// What is long and no secret is left out, too.
	out.Authorizations = redactEach(c.Authorizations, v.authorization)
	out.RateLimitStores = redactEach(c.RateLimitStores, (*RateLimitStore).redacted)
	out.TelemetrySinks = redactEach(c.TelemetrySinks, (*TelemetrySink).redacted)
	out.Schemas = make([]*Schema, len(c.Schemas))
	for i, s := range c.Schemas {
		out.Schemas[i] = &Schema{Name: s.Name}
	}
	out.KeySets = redactEach(c.KeySets, func(k *KeySet) *KeySet {
		n := *k
		n.Inline, n.URL = nil, v.Target(k.URL)
		return &n
	})
	out.Logins = redactEach(c.Logins, func(l *Login) *Login {
		n := *l
		n.ClientSecret, n.CookieKeys, n.URL = nil, nil, v.Target(l.URL)
		return &n
	})
	out.TokenIssuers = redactEach(c.TokenIssuers, func(t *TokenIssuer) *TokenIssuer {
		n := *t
		n.Keys = nil
		return &n
	})
	return &out
}

func (s *Section) redacted() *Section {
	if s.TLS == nil {
		return s
	}
	n, tls := *s, *s.TLS
	tls.Certificates = make([]*Certificate, len(s.TLS.Certificates))
	for i, cert := range s.TLS.Certificates {
		tls.Certificates[i] = cert.redacted()
	}
	n.TLS = &tls
	return &n
}

func (c *Certificate) redacted() *Certificate {
	if c == nil {
		return nil
	}
	n := *c
	n.Key = nil
	return &n
}

func (r *Route) veiled(v Veil) *Route {
	n := *r
	n.Rules = make([]*Rule, len(r.Rules))
	for i, rule := range r.Rules {
		x := *rule
		x.Matches = redactEach(rule.Matches, v.Match)
		x.Filters = v.Filters(rule.Filters)
		x.Backends = redactEach(rule.Backends, func(b BackendRef) BackendRef {
			b.Filters = v.Filters(b.Filters)
			return b
		})
		x.Policy = v.Policy(rule.Policy)
		n.Rules[i] = &x
	}
	return &n
}

func redactEach[T any](list []T, f func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

// Match hides what headers and query parameters are compared with.
func (v Veil) Match(m Match) Match {
	hide := func(x ValueMatch) ValueMatch {
		if Credential(x.Name, x.Value) {
			x.Value = v(x.Value)
		}
		return x
	}
	m.Headers, m.Query = redactEach(m.Headers, hide), redactEach(m.Query, hide)
	return m
}

// Filters hides values of the header fields that filters write.
func (v Veil) Filters(f Filters) Filters {
	f.RequestHeaders = v.mods(f.RequestHeaders)
	f.ResponseHeaders = v.mods(f.ResponseHeaders)
	return f
}

func (v Veil) mods(m *HeaderMods) *HeaderMods {
	if m == nil {
		return nil
	}
	return &HeaderMods{Set: v.Headers(m.Set), Add: v.Headers(m.Add), Remove: m.Remove}
}

// Headers hides the values of credentials among header fields.
func (v Veil) Headers(list []Header) []Header {
	return redactEach(list, func(h Header) Header {
		if Credential(h.Name, h.Value) {
			h.Value = v(h.Value)
		}
		return h
	})
}

// Policy hides keys and credentials.
func (v Veil) Policy(p RoutePolicy) RoutePolicy {
	if p.Session != nil {
		s := *p.Session
		s.Key = nil
		p.Session = &s
	}
	if p.Direct != nil {
		d := *p.Direct
		d.Headers = v.Headers(d.Headers)
		p.Direct = &d
	}
	p.Authorization = redactEach(p.Authorization, v.authorization)
	p.Authentication = v.authentication(p.Authentication)
	p.Telemetry = v.telemetry(p.Telemetry)
	return p
}

// authentication hides what servers are told of the configuration.
func (v Veil) authentication(a *Authentication) *Authentication {
	if a == nil {
		return nil
	}
	n := *a
	n.AnyOf = redactEach(a.AnyOf, func(m AuthenticationMethod) AuthenticationMethod {
		m.External = v.external(m.External)
		if m.Introspection != nil {
			in := *m.Introspection
			in.ClientSecret = "" // a key: it is left out
			m.Introspection = &in
		}
		return m
	})
	return &n
}

func (v Veil) external(e *ExternalAuth) *ExternalAuth {
	if e == nil {
		return nil
	}
	n := *e
	n.Context = v.Headers(e.Context)
	return &n
}

// authorization hides what headers are compared with.
func (v Veil) authorization(a *Authorization) *Authorization {
	hide := func(h ValueCondition) ValueCondition {
		h.Values = redactEach(h.Values, func(value string) string {
			if Credential(h.Name, value) {
				return v(value)
			}
			return value
		})
		return h
	}
	n := *a
	n.Rules = redactEach(a.Rules, func(r AuthorizationRule) AuthorizationRule {
		r.Headers = redactEach(r.Headers, hide)
		if r.Not != nil {
			not := *r.Not
			not.Headers = redactEach(not.Headers, hide)
			r.Not = &not
		}
		return r
	})
	return &n
}

func (c *Cluster) veiled(v Veil) *Cluster {
	n := *c
	if c.TLS != nil {
		t := *c.TLS
		t.Certificate = c.TLS.Certificate.redacted()
		n.TLS = &t
	}
	n.Discovery = c.Discovery.redacted()
	if c.Health != nil && c.Health.HTTP != nil {
		health, http := *c.Health, *c.Health.HTTP
		http.Headers = v.Headers(http.Headers)
		http.Path = v.Target(http.Path)
		health.HTTP = &http
		n.Health = &health
	}
	return &n
}
