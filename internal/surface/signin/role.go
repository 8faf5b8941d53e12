package signin

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// needsClaim tells whether a role is given by anything that the provider says.
func (r *Roles) needsClaim() bool {
	for _, list := range r.Of {
		if slices.ContainsFunc(list, func(v string) bool { return v != anybody }) {
			return true
		}
	}
	return false
}

// of is the highest role that the claims give, and empty for none.
func (r *Roles) of(c *filter.Claims) access.Role {
	have := r.values(c)
	for _, role := range slices.Backward(access.Roles) {
		for _, want := range r.Of[role] {
			if want == anybody || slices.Contains(have, want) {
				return role
			}
		}
	}
	return ""
}

// values are what the claim has. An address that the provider has not seen to be the
// person's own gives nothing: anybody could have given it (OpenID Connect Core 1.0 §5.7).
func (r *Roles) values(c *filter.Claims) (out []string) {
	if slices.Equal(r.path, []string{"email"}) {
		if v, _ := c.Lookup([]string{"email_verified"}); v != true {
			return nil
		}
	}
	v, _ := c.Lookup(r.path)
	switch v := v.(type) {
	case string:
		out = []string{v}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// shown are a few values, for somebody who wonders why they give no role.
func (r *Roles) shown(c *filter.Claims) string {
	const most = 8
	list := r.values(c)
	if len(list) == 0 {
		return "nothing"
	}
	more := ""
	if len(list) > most {
		more = fmt.Sprintf(" and %d more", len(list)-most)
		list = list[:most]
	}
	for i := range list {
		list[i] = printable(list[i], 60)
	}
	return strings.Join(list, ", ") + more
}

// nameOf is how people know somebody: what they call themselves, which proves nothing.
func nameOf(c *filter.Claims) string {
	for _, claim := range []string{"preferred_username", "email", "name"} {
		v, _ := c.Lookup([]string{claim})
		if s, _ := v.(string); strings.TrimSpace(s) != "" {
			return printable(s, 100)
		}
	}
	return printable(c.Subject, 100)
}

// printable keeps what others have written from looking like something else in logs and
// lists: no control characters, nothing that turns the direction of text, no parentheses,
// in which names are followed by what is certain.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '(' || r == ')' || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
