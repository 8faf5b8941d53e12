package dryrun

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Samples returns requests that stand for what a configuration tells apart: for
// each host and match some that it takes, and some beside it (below an exact
// path, next to a prefix); for pairs of matches with overlapping paths one that
// both take; for each host one that should match nothing; and for each listener
// one for a host that nobody names. A regular expression for which no example
// is found is left out. all is false if there are more pairs than are looked at.
func Samples(cfg *ir.Config) (list []Request, all bool) {
	routes := map[string]*ir.Route{}
	for _, r := range cfg.Routes {
		routes[r.Name] = r
	}
	s := sampler{seen: map[string]bool{}, sampled: map[ir.PathMatch][]string{}, expressions: map[string]*regexp.Regexp{}}
	for _, l := range cfg.Listeners {
		for _, p := range []ir.Protocol{ir.HTTP, ir.HTTPS} {
			s.listener(l, p, routes)
		}
		s.streams(l)
	}
	return s.list, !s.bounded
}

// listener adds samples for what speaks p on a listener.
func (s *sampler) listener(l *ir.Listener, p ir.Protocol, routes map[string]*ir.Route) {
	hosts := map[string][]*ir.Match{}
	speaks := false
	for _, sec := range l.Sections {
		if l.ProtocolOf(sec) != p {
			continue
		}
		if !speaks {
			speaks = true
			s.add(Request{Method: "GET", URL: baseURL(l, p, "host-that-no-route-names.example") + "/"})
		}
		for _, a := range sec.Routes {
			r := routes[a.Route]
			if r == nil {
				continue
			}
			for _, h := range a.Hostnames {
				hosts[h] = append(hosts[h], s.route(baseURL(l, p, h), r)...)
			}
		}
	}
	for _, h := range slices.Sorted(maps.Keys(hosts)) {
		s.pairs(baseURL(l, p, h), hosts[h])
	}
}

// streams adds a connection for each server name, and one for each port.
func (s *sampler) streams(l *ir.Listener) {
	for _, sec := range l.Sections {
		switch p := l.ProtocolOf(sec); p {
		case ir.TCP, ir.UDP:
			s.add(Request{URL: baseURL(l, p, "")})
		case ir.TLS:
			s.add(Request{URL: baseURL(l, p, "host-that-no-route-names.example")})
			s.add(Request{URL: baseURL(l, p, sec.Hostname)})
			for _, a := range sec.Streams {
				for _, h := range a.Hostnames {
					s.add(Request{URL: baseURL(l, p, h)})
				}
			}
		}
	}
}

// route adds samples of all matches, which it returns.
func (s *sampler) route(base string, r *ir.Route) (matches []*ir.Match) {
	for _, rule := range r.Rules {
		for i := range rule.Matches {
			s.match(base, &rule.Matches[i])
			matches = append(matches, &rule.Matches[i])
		}
	}
	s.add(Request{Method: "GET", URL: base + "/a-path-that-no-rule-names"})
	return matches
}

type sampler struct {
	list             []Request
	seen             map[string]bool
	looks, pairsMade int
	bounded          bool
	sampled          map[ir.PathMatch][]string
	expressions      map[string]*regexp.Regexp
}

func (s *sampler) add(r Request) {
	key := r.Key()
	if !s.seen[key] {
		s.seen[key] = true
		s.list = append(s.list, r)
	}
}

func (s *sampler) match(base string, m *ir.Match) {
	for _, p := range s.paths(m.Path) {
		s.conditions(base, p, m)
	}
	// Regular expressions of values have several examples, too.
	for variant := range variants {
		if r, ok := request(base, s.first(m.Path), variant, m); ok {
			s.add(r)
		}
	}
}

func (s *sampler) conditions(base, path string, all ...*ir.Match) {
	if r, ok := request(base, path, 0, all...); ok {
		s.add(r)
	}
}

// request is one for a path that meets the conditions of all matches. It is
// not ok if no example was found, or if they contradict each other.
func request(base, path string, variant int, all ...*ir.Match) (Request, bool) {
	if path == "" {
		return Request{}, false
	}
	r := Request{}
	headers, query := map[string]string{}, url.Values{}
	for _, m := range all {
		if m.Method != "" {
			if r.Method != "" && r.Method != m.Method {
				return r, false
			}
			r.Method = m.Method
		}
		for _, h := range m.Headers {
			v, ok := sampleValue(h, variant)
			if old, twice := headers[strings.ToLower(h.Name)]; !ok || twice && old != v {
				return r, false
			} else if !twice {
				headers[strings.ToLower(h.Name)] = v
				r.Headers = append(r.Headers, ir.Header{Name: h.Name, Value: v})
			}
		}
		for _, q := range m.Query {
			v, ok := sampleValue(q, variant)
			if !ok || query.Has(q.Name) && query.Get(q.Name) != v {
				return r, false
			}
			query.Set(q.Name, v)
		}
	}
	if r.Method == "" {
		r.Method = "GET"
	}
	r.URL = base + (&url.URL{Path: path}).EscapedPath()
	if len(query) > 0 {
		r.URL += "?" + query.Encode()
	}
	return r, true
}

// MaxPairs bounds the samples for pairs of matches, and maxLooks the pairs that
// are looked at for them: there may be thousands of matches.
const (
	MaxPairs = 4000
	maxLooks = 1 << 18
)

// pairs adds requests that two matches take. Which of them wins is a matter of
// precedence, which samples of one match alone do not show.
func (s *sampler) pairs(base string, matches []*ir.Match) {
	bare := func(m *ir.Match) bool { return m.Method == "" && len(m.Headers) == 0 && len(m.Query) == 0 }
	for i, a := range matches {
		if bare(a) {
			continue
		}
		for j, b := range matches {
			if j <= i && !bare(b) {
				continue // that pair was made, or is none
			}
			if s.looks++; s.looks > maxLooks || s.pairsMade >= MaxPairs {
				s.bounded = true
				return
			}
			for _, p := range append(slices.Clone(s.paths(a.Path)), s.paths(b.Path)...) {
				if s.takes(a.Path, p) && s.takes(b.Path, p) {
					s.conditions(base, p, a, b)
					s.pairsMade++
					break
				}
			}
		}
	}
}

// paths is samplePaths, which is dear for regular expressions.
func (s *sampler) paths(m ir.PathMatch) []string {
	list, ok := s.sampled[m]
	if !ok {
		list = samplePaths(m)
		s.sampled[m] = list
	}
	return list
}

func (s *sampler) takes(m ir.PathMatch, path string) bool {
	switch m.Type {
	case ir.Exact:
		return path == m.Value
	case ir.Regex:
		re, ok := s.expressions[m.Value]
		if !ok {
			re, _ = regexp.Compile("^(?:" + m.Value + ")$") // nil takes nothing
			s.expressions[m.Value] = re
		}
		return re != nil && re.MatchString(path)
	}
	base := strings.TrimSuffix(m.Value, "/")
	return path == base || strings.HasPrefix(path, base+"/")
}

func baseURL(l *ir.Listener, p ir.Protocol, hostname string) string {
	return fmt.Sprintf("%s://%s:%d", strings.ToLower(string(p)), sampleHost(hostname), l.Port)
}

// sampleHost is a host name that the pattern takes.
func sampleHost(hostname string) string {
	switch {
	case hostname == "":
		return "any-host.example"
	case strings.HasPrefix(hostname, "*."):
		return "any" + hostname[1:]
	}
	return hostname
}

// samplePaths are paths that m takes, the first of them surely, and neighbours.
func samplePaths(p ir.PathMatch) []string {
	switch p.Type {
	case ir.Exact:
		return []string{p.Value, strings.TrimSuffix(p.Value, "/") + "/below"}
	case ir.Regex:
		return slices.DeleteFunc(Examples(p.Value), func(v string) bool { return !strings.HasPrefix(v, "/") })
	}
	base := strings.TrimSuffix(p.Value, "/")
	if base == "" {
		return []string{"/", "/below"}
	}
	return []string{base, base + "/below", base + "-beside"}
}

func (s *sampler) first(p ir.PathMatch) string {
	if list := s.paths(p); len(list) > 0 {
		return list[0]
	}
	return ""
}

func sampleValue(m ir.ValueMatch, variant int) (string, bool) {
	if m.Type != ir.Regex {
		return m.Value, true
	}
	list := Examples(m.Value)
	if len(list) == 0 {
		return "", false
	}
	return list[min(variant, len(list)-1)], true
}
