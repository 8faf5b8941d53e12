package compile

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/ir"
)

// matches compiles the matches of a rule that was judged. Without any the rule
// matches every path.
func matches(list []gwv1.HTTPRouteMatch) []ir.Match {
	if len(list) == 0 {
		return []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}
	}
	out := make([]ir.Match, len(list))
	for i, m := range list {
		out[i] = ir.Match{Path: pathMatch(m.Path), Method: string(deref(m.Method, ""))}
		seen := map[string]bool{}
		for _, h := range m.Headers {
			// Of entries with equivalent names only the first counts.
			if name := strings.ToLower(string(h.Name)); !seen[name] {
				seen[name] = true
				out[i].Headers = append(out[i].Headers, ir.ValueMatch{
					Name: string(h.Name), Type: valueType(string(deref(h.Type, gwv1.HeaderMatchExact))), Value: h.Value,
				})
			}
		}
		seen = map[string]bool{}
		for _, q := range m.QueryParams {
			if !seen[string(q.Name)] {
				seen[string(q.Name)] = true
				out[i].Query = append(out[i].Query, ir.ValueMatch{
					Name: string(q.Name), Type: valueType(string(deref(q.Type, gwv1.QueryParamMatchExact))), Value: q.Value,
				})
			}
		}
	}
	return out
}

func valueType(t string) ir.MatchType {
	if t == string(gwv1.HeaderMatchRegularExpression) {
		return ir.Regex
	}
	return ir.Exact
}

func pathMatch(p *gwv1.HTTPPathMatch) ir.PathMatch {
	if p == nil {
		return ir.PathMatch{Type: ir.Prefix, Value: "/"}
	}
	value := deref(p.Value, "/")
	switch deref(p.Type, gwv1.PathMatchPathPrefix) {
	case gwv1.PathMatchExact:
		return ir.PathMatch{Type: ir.Exact, Value: normalizePath(value)}
	case gwv1.PathMatchRegularExpression:
		return ir.PathMatch{Type: ir.Regex, Value: value}
	}
	// A trailing slash says nothing in a prefix: /a/ and /a match alike.
	if value = strings.TrimRight(normalizePath(value), "/"); value == "" {
		value = "/"
	}
	return ir.PathMatch{Type: ir.Prefix, Value: value}
}

// normalizePath writes percent-encodings as requests are normalised before they
// are matched: unreserved characters decoded, other escapes in upper case
// (RFC 3986 §6.2.2).
func normalizePath(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '%' || i+2 >= len(p) || !isHex(p[i+1]) || !isHex(p[i+2]) {
			b.WriteByte(p[i])
			continue
		}
		if c := unhex(p[i+1])<<4 | unhex(p[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(p[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// judgeMatch finds the semantic errors of a match.
func judgeMatch(m *gwv1.HTTPRouteMatch, at func(field, code, message, remedy string)) {
	if m.Path != nil {
		judgePath(m.Path, at)
	}
	if m.Method != nil && !isToken(string(*m.Method)) {
		at(".method", "InvalidValue", fmt.Sprintf("%q is not a method", *m.Method), "")
	}
	for i, h := range m.Headers {
		judgeValueMatch(fmt.Sprintf(".headers[%d]", i), string(h.Name), string(deref(h.Type, "Exact")), h.Value, at)
	}
	for i, q := range m.QueryParams {
		judgeValueMatch(fmt.Sprintf(".queryParams[%d]", i), string(q.Name), string(deref(q.Type, "Exact")), q.Value, at)
	}
}

func judgeValueMatch(field, name, kind, value string, at func(field, code, message, remedy string)) {
	if !isToken(name) {
		at(field+".name", "InvalidValue", fmt.Sprintf("%q is not a name", name), "")
	}
	switch kind {
	case "Exact":
	case "RegularExpression":
		judgeRegex(field+".value", value, at)
	default:
		at(field+".type", "UnsupportedValue", fmt.Sprintf("type %q is not known", kind), "use Exact or RegularExpression")
	}
}

func judgePath(p *gwv1.HTTPPathMatch, at func(field, code, message, remedy string)) {
	value := deref(p.Value, "/")
	switch t := deref(p.Type, gwv1.PathMatchPathPrefix); t {
	case gwv1.PathMatchRegularExpression:
		judgeRegex(".path.value", value, at)
	case gwv1.PathMatchExact, gwv1.PathMatchPathPrefix:
		if why := badPath(value); why != "" {
			at(".path.value", "InvalidPath", fmt.Sprintf("path %q %s", value, why), "")
		}
	default:
		at(".path.type", "UnsupportedValue", fmt.Sprintf("type %q is not known", t), "use Exact, PathPrefix or RegularExpression")
	}
}

// badPath says why no normalised request path could equal or begin with this one.
func badPath(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "must start with /"
	case strings.Contains(p, "//"):
		return "must not contain //"
	case strings.Contains(strings.ToLower(p), "%2f"):
		return "must not contain an encoded slash"
	}
	return badPathText(p)
}

// badReplacement says why a path, or the beginning of one, cannot be put into a
// request. The slash in front is given if it is missing.
func badReplacement(p string) string { return badPathText("/" + p) }

// badPathText says what keeps a text from being the path of a URI, in normal form
// (RFC 3986 §3.3, §5.2.4).
func badPathText(p string) string {
	switch n := normalizePath(p) + "/"; {
	case strings.Contains(n, "/./"), strings.Contains(n, "/../"):
		return "must not contain . or .. segments"
	case strings.ContainsAny(p, "?#"):
		return "must not contain a query or fragment"
	}
	for i := range len(p) {
		if c := p[i]; c <= ' ' || c >= 0x7f {
			return fmt.Sprintf("has the invalid character %q; write it percent-encoded", firstRune(p[i:]))
		}
		if p[i] == '%' && (i+2 >= len(p) || !isHex(p[i+1]) || !isHex(p[i+2])) {
			return "has an incomplete percent-encoding"
		}
	}
	return ""
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func judgeRegex(field, value string, at func(field, code, message, remedy string)) {
	if _, err := regexp.Compile(value); err != nil {
		at(field, "InvalidRegularExpression", strings.TrimPrefix(err.Error(), "error parsing regexp: "), "the syntax is RE2's")
	}
}

// isToken tells whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
