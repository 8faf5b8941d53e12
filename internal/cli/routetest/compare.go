package routetest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// Mismatch is one expectation that was not met.
type Mismatch struct {
	// Field of expect, as in "route" or "requestHeaders.X-Env".
	Field string `json:"field"`
	Want  string `json:"want"`
	Got   string `json:"got"`
	// Position of the expectation, "file:line:column".
	Position string `json:"position,omitempty"`
}

// Compare returns every expectation that the decision does not meet.
func Compare(e *Expect, d *dryrun.Decision) []Mismatch {
	c := comparison{d: d}
	c.reply(e)
	c.chosen(e)
	c.upstream(e)
	c.headers(e)
	if e.Timeout != nil {
		got := d.Policy.Timeouts.Request
		if want, err := time.ParseDuration(*e.Timeout); err != nil || want != got {
			c.add("timeout", *e.Timeout, got.String())
		}
	}
	if e.Retries != nil {
		got := 0
		if d.Policy.Retry != nil {
			got = d.Policy.Retry.Attempts
		}
		if *e.Retries != got {
			c.add("retries", strconv.Itoa(*e.Retries), strconv.Itoa(got))
		}
	}
	return c.list
}

type comparison struct {
	d    *dryrun.Decision
	list []Mismatch
}

const nothing = "(none)"

func (c *comparison) add(field, want, got string) {
	if want == "" {
		want = nothing
	}
	if got == "" {
		got = nothing
	}
	c.list = append(c.list, Mismatch{Field: field, Want: want, Got: got})
}

func (c *comparison) text(field string, want *string, got string) {
	if want != nil && *want != got {
		c.add(field, *want, got)
	}
}

func (c *comparison) reply(e *Expect) {
	local := c.d.Local
	if local == nil {
		local = &dryrun.Local{}
	}
	if e.Status != nil && *e.Status != local.Status {
		got := "forwarded to " + names(c.d.Backends)
		if c.d.Local != nil {
			got = describe(c.d.Local)
		}
		c.add("status", strconv.Itoa(*e.Status), got)
	}
	c.text("reason", e.Reason, local.Reason)
	c.text("body", e.Body, local.Body)
	location, _ := lookup(local.Headers, "Location")
	c.text("redirect", e.Redirect, location)
}

func describe(l *dryrun.Local) string {
	s := strconv.Itoa(l.Status)
	if l.Reason != "" {
		s += " " + l.Reason
	}
	return s
}

func (c *comparison) chosen(e *Expect) {
	if e.Section != nil {
		if got := placeName(c.d.Section); !named(got, *e.Section) {
			c.add("section", *e.Section, got)
		}
	}
	if e.Route != nil {
		if got := placeName(c.d.Route); !named(got, *e.Route) {
			c.add("route", *e.Route, c.fallback(got))
		}
	}
	if e.Rule != nil {
		got := placeName(c.d.Rule)
		if c.d.Rule == nil || *e.Rule != got && *e.Rule != strconv.Itoa(c.d.RuleIndex) {
			c.add("rule", *e.Rule, c.fallback(got))
		}
	}
	if e.Backends != nil {
		c.backends(e.Backends)
	}
	if e.Mirrors != nil {
		var got []string
		for _, m := range c.d.Mirrors {
			got = append(got, m.Name)
		}
		if !sameNames(e.Mirrors, got) {
			c.add("mirrors", strings.Join(e.Mirrors, ", "), strings.Join(got, ", "))
		}
	}
}

// fallback says what became of a request that no rule took.
func (c *comparison) fallback(got string) string {
	if got == "" && c.d.Local != nil {
		return nothing + ", the reply is " + describe(c.d.Local)
	}
	return got
}

func (c *comparison) backends(want Shares) {
	live := slices.DeleteFunc(slices.Clone(c.d.Backends), func(b dryrun.Backend) bool { return b.Weight == 0 })
	ok := len(live) == len(want)
	for _, w := range want {
		ok = ok && slices.ContainsFunc(live, func(b dryrun.Backend) bool {
			return (named(b.Name, w.Name) || b.Cluster == w.Name) && (w.Percent < 0 || math.Abs(w.Percent-b.Percent) < 0.05)
		})
	}
	if ok {
		return
	}
	var text []string
	for _, w := range want {
		s := w.Name
		if w.Percent >= 0 {
			s += fmt.Sprintf(" %g%%", w.Percent)
		}
		text = append(text, s)
	}
	slices.Sort(text)
	got := names(c.d.Backends)
	if c.d.Local != nil {
		got = c.fallback("")
	}
	c.add("backends", strings.Join(text, ", "), got)
}

func names(backends []dryrun.Backend) string {
	var s []string
	for _, b := range backends {
		if b.Weight > 0 {
			s = append(s, fmt.Sprintf("%s %g%%", Short(b.Name), math.Round(b.Percent*10)/10))
		}
	}
	return strings.Join(s, ", ")
}

func (c *comparison) upstream(e *Expect) {
	for _, f := range []struct {
		field string
		want  *string
		get   func(u *dryrun.Upstream) string
	}{
		{"host", e.Host, func(u *dryrun.Upstream) string { return u.Host }},
		{"path", e.Path, func(u *dryrun.Upstream) string { return u.Path }},
		{"query", e.Query, func(u *dryrun.Upstream) string { return u.Query }},
	} {
		if f.want == nil {
			continue
		}
		c.each(f.field, *f.want, func(b *dryrun.Backend) string { return f.get(b.Upstream) })
	}
}

// each compares what every backend gets; one difference is enough to tell.
func (c *comparison) each(field, want string, get func(b *dryrun.Backend) string) {
	seen := false
	for i := range c.d.Backends {
		b := &c.d.Backends[i]
		if b.Weight == 0 || b.Upstream == nil {
			continue
		}
		seen = true
		if got := get(b); got != want {
			if len(c.d.Backends) > 1 {
				got += " (to " + Short(b.Name) + ")"
			}
			c.add(field, want, got)
			return
		}
	}
	if !seen {
		c.add(field, want, "not forwarded")
	}
}

const absent = "(absent)"

func (c *comparison) headers(e *Expect) {
	for _, name := range sortedKeys(e.RequestHeaders) {
		c.each("requestHeaders."+name, wanted(e.RequestHeaders[name]), func(b *dryrun.Backend) string { return valueOf(b.Upstream.Headers, name) })
	}
	for _, name := range sortedKeys(e.ResponseHeaders) {
		field, want := "responseHeaders."+name, wanted(e.ResponseHeaders[name])
		if c.d.Local != nil {
			if got := valueOf(c.d.Local.Headers, name); got != want {
				c.add(field, want, got)
			}
			continue
		}
		c.each(field, want, func(b *dryrun.Backend) string { return valueOf(b.ResponseHeaders, name) })
	}
}

func wanted(v *string) string {
	if v == nil {
		return absent
	}
	return *v
}

func valueOf(headers []ir.Header, name string) string {
	v, ok := lookup(headers, name)
	if !ok {
		return absent
	}
	return v
}

// lookup joins the values of a header as RFC 9110 §5.3 allows.
func lookup(headers []ir.Header, name string) (string, bool) {
	var values []string
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return strings.Join(values, ", "), values != nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func placeName(p *dryrun.Place) string {
	if p == nil {
		return ""
	}
	return p.Name
}

// named tells whether full ("HTTPRoute/default/catalog") is meant by a name
// that may leave out parts at its beginning.
func named(full, name string) bool {
	return name != "" && (full == name || strings.HasSuffix(full, "/"+name))
}

func sameNames(want, got []string) bool {
	if len(want) != len(got) {
		return false
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return named(g, w) }) {
			return false
		}
	}
	return true
}

// Short leaves out the kind, and the namespace when it is "default".
func Short(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 3 {
		return name
	}
	if parts[1] == "default" {
		return strings.Join(parts[2:], "/")
	}
	return strings.Join(parts[1:], "/")
}
