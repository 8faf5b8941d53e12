package dryrun

import (
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Samples returns requests that stand for what a configuration tells apart: for
// each host and match one that it takes (two for a prefix: the prefix itself
// and something below it), and for each host one that should match nothing. A
// regular expression for which no example is found is left out.
func Samples(cfg *ir.Config) []Request {
	routes := map[string]*ir.Route{}
	for _, r := range cfg.Routes {
		routes[r.Name] = r
	}
	s := sampler{seen: map[string]bool{}}
	for _, l := range cfg.Listeners {
		for _, sec := range l.Sections {
			for _, a := range sec.Routes {
				r := routes[a.Route]
				if r == nil {
					continue
				}
				for _, h := range a.Hostnames {
					base := baseURL(l, h)
					for _, rule := range r.Rules {
						for i := range rule.Matches {
							s.match(base, &rule.Matches[i])
						}
					}
					s.add(Request{Method: "GET", URL: base + "/a-path-that-no-rule-names"})
				}
			}
		}
	}
	return s.list
}

type sampler struct {
	list []Request
	seen map[string]bool
}

func (s *sampler) add(r Request) {
	key := fmt.Sprint(r)
	if !s.seen[key] {
		s.seen[key] = true
		s.list = append(s.list, r)
	}
}

func (s *sampler) match(base string, m *ir.Match) {
	r := Request{Method: m.Method}
	if r.Method == "" {
		r.Method = "GET"
	}
	for _, h := range m.Headers {
		v, ok := sampleValue(h)
		if !ok {
			return
		}
		r.Headers = append(r.Headers, ir.Header{Name: h.Name, Value: v})
	}
	query := url.Values{}
	for _, q := range m.Query {
		v, ok := sampleValue(q)
		if !ok {
			return
		}
		query.Add(q.Name, v)
	}
	tail := ""
	if len(query) > 0 {
		tail = "?" + query.Encode()
	}
	for _, p := range samplePaths(m.Path) {
		r.URL = base + (&url.URL{Path: p}).EscapedPath() + tail
		s.add(r)
	}
}

func baseURL(l *ir.Listener, hostname string) string {
	scheme := "http"
	if l.Protocol == ir.HTTPS {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s:%d", scheme, sampleHost(hostname), l.Port)
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

func samplePaths(p ir.PathMatch) []string {
	switch p.Type {
	case ir.Exact:
		return []string{p.Value}
	case ir.Regex:
		if v, ok := Example(p.Value); ok && strings.HasPrefix(v, "/") {
			return []string{v}
		}
		return nil
	}
	base := strings.TrimSuffix(p.Value, "/")
	if base == "" {
		return []string{"/", "/below"}
	}
	return []string{base, base + "/below"}
}

func sampleValue(m ir.ValueMatch) (string, bool) {
	if m.Type == ir.Regex {
		return Example(m.Value)
	}
	return m.Value, true
}

// Example returns a string that the regular expression takes whole, as short as
// a simple look finds one.
func Example(expr string) (string, bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	if !example(&b, re) {
		return "", false
	}
	whole, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil || !whole.MatchString(b.String()) {
		return "", false
	}
	return b.String(), true
}

// maxExample bounds the length of examples: a{1000}{1000} is a valid expression.
const maxExample = 256

func example(b *strings.Builder, re *syntax.Regexp) bool {
	if b.Len() > maxExample {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
		syntax.OpStar, syntax.OpQuest, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
		return true
	case syntax.OpCharClass:
		r, ok := plainRune(re.Rune)
		b.WriteRune(r)
		return ok
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
		return true
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !example(b, sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return example(b, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			if !example(b, re.Sub[0]) {
				return false
			}
		}
		return true
	}
	return false
}

// plainRune picks a letter or digit of a class, given as pairs of bounds, or
// else its first printable character.
func plainRune(class []rune) (rune, bool) {
	in := func(r rune) bool {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				return true
			}
		}
		return false
	}
	for _, r := range "ax1A-_.~" {
		if in(r) {
			return r, true
		}
	}
	for r := '!'; r <= '~'; r++ {
		if in(r) {
			return r, true
		}
	}
	return 0, false
}
