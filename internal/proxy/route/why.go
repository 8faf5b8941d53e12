package route

import (
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func hostText(hostname string) string {
	if hostname == "" {
		return "(any)"
	}
	return `"` + hostname + `"`
}

// conditionText says which condition failed. It names what was asked for and
// what the request has of it, except for the values of headers and parameters,
// which may be secrets.
func conditionText(c *conditions, f failure, i int, r *httpmsg.Request) (Outcome, string) {
	switch f {
	case failureMethod:
		return LostMethod, fmt.Sprintf("method %q is not %q", r.Method, c.method)
	case failureHeader:
		h := &c.headers[i]
		if _, count, _ := h.find(&r.Header); count == 0 && !h.host {
			return LostHeader, fmt.Sprintf("there is no header %q", h.name)
		}
		return LostHeader, fmt.Sprintf("header %q %s", h.name, valueText(string(h.name), h.pattern, h.value))
	default:
		q := &c.query[i]
		if _, ok := queryValue(r.Query, q.name); !ok {
			return LostQuery, fmt.Sprintf("there is no query parameter %q", q.name)
		}
		return LostQuery, fmt.Sprintf("query parameter %q %s", q.name, valueText(q.name, q.pattern, q.value))
	}
}

// valueText leaves out what may be a credential.
func valueText(name string, p *pattern, value string) string {
	switch {
	case ir.Credential(name, value):
		return "has another value"
	case p != nil:
		return fmt.Sprintf("does not match the regular expression %q", value)
	}
	return fmt.Sprintf("is not %q", value)
}

// precedenceText says why the winner goes before a loser that matches as well.
func precedenceText(winner, loser *Candidate) string {
	by := fmt.Sprintf("%s goes first: ", label(winner))
	if winner.Hostname != loser.Hostname {
		return by + fmt.Sprintf("its hostname %s is more specific than %s", hostText(winner.Hostname), hostText(loser.Hostname))
	}
	if text := matchText(winner, loser); text != "" {
		return by + text
	}
	w, l := winner.Route, loser.Route
	switch {
	case w != l && !w.Created.Equal(l.Created):
		return by + fmt.Sprintf("its route is older (%s, not %s)", w.Created.Format(time.RFC3339), l.Created.Format(time.RFC3339))
	case w != l:
		return by + fmt.Sprintf("its route %s/%s is before %s/%s in alphabetical order",
			w.Ref.Namespace, w.Ref.Name, l.Ref.Namespace, l.Ref.Name)
	case winner.Rule != loser.Rule:
		return by + "its rule is earlier in the route"
	}
	return by + "it is an earlier match of the same rule"
}

// label names a candidate as its author does: "reviews/canary", or
// "reviews/rules[1]" for a rule without a name, and which of several matches.
func label(c *Candidate) string {
	s := c.Route.Ref.Name + "/" + c.Rule.Label()
	if ns := c.Route.Ref.Namespace; ns != "" && ns != "default" {
		s = ns + "/" + s
	}
	if len(c.Rule.Matches) > 1 {
		s += fmt.Sprintf(" matches[%d]", c.Match)
	}
	return s
}

// matchText compares what is asked for; it is empty when that is equal in precedence.
func matchText(winner, loser *Candidate) string {
	c := compiler{patterns: make(patterns)}
	w, err1 := c.candidate(&winner.Rule.Matches[winner.Match])
	l, err2 := c.candidate(&loser.Rule.Matches[loser.Match])
	if err1 != nil || err2 != nil {
		return "" // Build has refused such a rule
	}
	wp, lp := winner.Rule.Matches[winner.Match].Path, loser.Rule.Matches[loser.Match].Path
	switch {
	case w.class != l.class:
		return fmt.Sprintf("its path match is of type %s, not %s", wp.Type, lp.Type)
	case w.length != l.length && w.class == classRegex && winner.Rule.Matches[winner.Match].GRPC != nil:
		return "it names a longer service, or method"
	case w.length != l.length:
		return fmt.Sprintf("its path %q is longer than %q", wp.Value, lp.Value)
	case w.method != l.method:
		return "it names a method"
	case w.headers != l.headers:
		return fmt.Sprintf("it has more header matches (%d, not %d)", w.headers, l.headers)
	case w.query != l.query:
		return fmt.Sprintf("it has more query parameter matches (%d, not %d)", w.query, l.query)
	}
	return ""
}
