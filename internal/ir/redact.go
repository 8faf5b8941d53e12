package ir

import "strings"

// hidden stands for a value that does not leave the process.
const hidden = "(hidden)"

// Redacted returns a copy of c without secrets: private keys, keys of session
// cookies, and the values of header fields that usually carry credentials. The
// copy shares with c what holds no secrets.
func (c *Config) Redacted() *Config {
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
		out.Routes[i] = r.redacted()
	}
	out.Clusters = make([]*Cluster, len(c.Clusters))
	for i, cl := range c.Clusters {
		out.Clusters[i] = cl.redacted()
	}
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

func (r *Route) redacted() *Route {
	n := *r
	n.Rules = make([]*Rule, len(r.Rules))
	for i, rule := range r.Rules {
		x := *rule
		x.Matches = redactEach(rule.Matches, redactMatch)
		x.Filters = redactFilters(rule.Filters)
		x.Backends = redactEach(rule.Backends, func(b BackendRef) BackendRef {
			b.Filters = redactFilters(b.Filters)
			return b
		})
		x.Policy = redactPolicy(rule.Policy)
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

func redactMatch(m Match) Match {
	m.Headers = redactEach(m.Headers, func(v ValueMatch) ValueMatch {
		if SecretHeader(v.Name) {
			v.Value = hidden
		}
		return v
	})
	return m
}

func redactFilters(f Filters) Filters {
	f.RequestHeaders = redactMods(f.RequestHeaders)
	f.ResponseHeaders = redactMods(f.ResponseHeaders)
	return f
}

func redactMods(m *HeaderMods) *HeaderMods {
	if m == nil {
		return nil
	}
	return &HeaderMods{Set: redactHeaders(m.Set), Add: redactHeaders(m.Add), Remove: m.Remove}
}

func redactHeaders(list []Header) []Header {
	return redactEach(list, func(h Header) Header {
		if SecretHeader(h.Name) {
			h.Value = hidden
		}
		return h
	})
}

func redactPolicy(p RoutePolicy) RoutePolicy {
	if p.Session != nil {
		s := *p.Session
		s.Key = nil
		p.Session = &s
	}
	if p.Direct != nil {
		d := *p.Direct
		d.Headers = redactHeaders(d.Headers)
		p.Direct = &d
	}
	return p
}

func (c *Cluster) redacted() *Cluster {
	n := *c
	if c.TLS != nil {
		t := *c.TLS
		t.Certificate = c.TLS.Certificate.redacted()
		n.TLS = &t
	}
	if c.Health != nil && c.Health.HTTP != nil {
		health, http := *c.Health, *c.Health.HTTP
		http.Headers = redactHeaders(http.Headers)
		health.HTTP = &http
		n.Health = &health
	}
	return &n
}

// SecretHeader tells whether a header field of that name usually carries
// credentials: Authorization and its kin, cookies, and what is called a key,
// token, secret, password or signature.
func SecretHeader(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "cookie", "set-cookie", "authorization", "proxy-authorization":
		return true
	}
	for _, word := range []string{"token", "secret", "password", "passwd", "api-key", "apikey", "auth-key", "access-key", "credential", "signature"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
