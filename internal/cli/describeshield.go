package cli

import (
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
	if s.Headers != nil {
		out = append(out, "security headers by "+plain(s.Headers.Policy))
	}
	return out
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
