package cli

import (
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// shieldTexts says what a shield refuses, and by which policies.
func shieldTexts(s *ir.Shield) []string {
	if s == nil {
		return nil
	}
	if s.Broken != "" {
		return []string{"shield: nothing gets through, since " + plain(s.Broken) + " has errors"}
	}
	var out []string
	for _, l := range []struct {
		what        string
		deny, allow []string
	}{
		{"addresses", s.DenyAddresses, some(s.AllowAddresses)},
		{"User-Agents", s.DenyUserAgents, some(s.AllowUserAgents)},
	} {
		if len(l.deny) > 0 {
			out = append(out, "shield: no "+l.what+" of "+policiesOf(l.deny))
		}
		if len(l.allow) > 0 {
			out = append(out, "shield: only "+l.what+" of "+policiesOf(l.allow))
		}
	}
	if s.NoUserAgent != "" {
		out = append(out, "shield: none without User-Agent, by "+plain(s.NoUserAgent))
	}
	if s.CSRF != nil {
		text := "shield: no requests for other sites, by " + plain(s.CSRF.Policy)
		if len(s.CSRF.TrustedOrigins) > 0 {
			text += ", but from " + strings.Join(s.CSRF.TrustedOrigins, ", ")
		}
		out = append(out, text)
	}
	if b := s.Body; b != nil {
		if len(b.ContentTypes) > 0 {
			out = append(out, "shield: only bodies of "+strings.Join(b.ContentTypes, ", ")+", by "+plain(b.Policy))
		}
		if b.JSON != nil {
			out = append(out, "shield: JSON "+jsonText(b.JSON)+", by "+plain(b.Policy))
		}
	}
	if s.Headers != nil {
		out = append(out, "security headers by "+plain(s.Headers.Policy))
	}
	return out
}

// jsonText says what bounds JSON.
func jsonText(l *ir.JSONLimits) string {
	parts := []string{fmt.Sprintf("at most %d deep", l.Depth)}
	for _, one := range []struct {
		most int64
		of   string
	}{
		{l.Bytes, "bytes"},
		{int64(l.Members), "members in an object"},
		{int64(l.Elements), "elements in an array"},
		{int64(l.Values), "values"},
		{int64(l.NameBytes), "bytes in a name"},
		{int64(l.StringBytes), "bytes in a string"},
		{int64(l.NumberBytes), "bytes in a number"},
	} {
		if one.most > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.most, one.of))
		}
	}
	if l.UniqueNames {
		parts = append(parts, "no name twice")
	}
	return strings.Join(parts, ", ")
}

func some(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// policiesOf are the policies of lists, "namespace/name/section.list".
func policiesOf(lists []string) string {
	var out []string
	for _, name := range lists {
		out = append(out, plain(name[:max(0, strings.LastIndexByte(name, '/'))]))
	}
	return strings.Join(out, ", ")
}

func plain(name string) string { return strings.TrimPrefix(name, "default/") }
