package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/routetest"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// short leaves out the kind, and the namespace "default".
func short(name string) string { return routetest.Short(name) }

// filterTexts describes filters, one line each.
func filterTexts(f ir.Filters) []string {
	var s []string
	if m := f.RequestHeaders; m != nil {
		s = append(s, "request headers: "+headerMods(m))
	}
	if m := f.ResponseHeaders; m != nil {
		s = append(s, "response headers: "+headerMods(m))
	}
	if r := f.Redirect; r != nil {
		s = append(s, fmt.Sprintf("redirect with %d%s", r.Status, redirectParts(r)))
	}
	if r := f.Rewrite; r != nil {
		var parts []string
		if r.Hostname != "" {
			parts = append(parts, "host to "+r.Hostname)
		}
		if r.Path != nil {
			parts = append(parts, pathModifier(r.Path))
		}
		s = append(s, "rewrite "+strings.Join(parts, ", "))
	}
	for _, m := range f.Mirrors {
		s = append(s, fmt.Sprintf("mirror %d of %d to %s", m.Numerator, m.Denominator, short(m.Cluster)))
	}
	for _, e := range f.ExternalAuth {
		s = append(s, "external authorization: "+externalText(e))
	}
	if f.TokenIssuer != "" {
		s = append(s, "access tokens by TokenIssuer "+f.TokenIssuer)
	}
	if c := f.CORS; c != nil {
		s = append(s, "CORS for "+strings.Join(c.AllowOrigins, ", "))
	}
	return s
}

func headerMods(m *ir.HeaderMods) string {
	var s []string
	for _, h := range m.Set {
		s = append(s, "set "+h.Name+"="+h.Value)
	}
	for _, h := range m.Add {
		s = append(s, "add "+h.Name+"="+h.Value)
	}
	for _, n := range m.Remove {
		s = append(s, "remove "+n)
	}
	return strings.Join(s, ", ")
}

func pathModifier(p *ir.PathModifier) string {
	if p.Type == ir.Prefix {
		return fmt.Sprintf("path prefix to %q", p.Value)
	}
	return fmt.Sprintf("path to %q", p.Value)
}

func redirectParts(r *ir.Redirect) string {
	var s []string
	if r.Scheme != "" {
		s = append(s, "scheme "+r.Scheme)
	}
	if r.Hostname != "" {
		s = append(s, "host "+r.Hostname)
	}
	if r.Port != 0 {
		s = append(s, fmt.Sprintf("port %d", r.Port))
	}
	if r.Path != nil {
		s = append(s, pathModifier(r.Path))
	}
	if len(s) == 0 {
		return ""
	}
	return " to " + strings.Join(s, ", ")
}

// policyTexts describes what is in force for an exchange, one line each.
func policyTexts(p ir.RoutePolicy) []string {
	s := shieldTexts(p.Shield)
	if a := p.Authentication; a != nil {
		s = append(s, authenticationText(a))
	}
	if line := timeoutsText(p.Timeouts); line != "" {
		s = append(s, "timeouts "+line)
	}
	if p.Retry != nil && p.Retry.Attempts > 0 {
		s = append(s, retryText(p.Retry))
	}
	if h := p.Hedge; h != nil {
		s = append(s, fmt.Sprintf("hedging: up to %d more tries, each after %s", h.MaxExtra, h.Delay))
	}
	if x := p.Session; x != nil {
		kind := "cookie"
		if x.Header {
			kind = "header"
		}
		s = append(s, fmt.Sprintf("session kept by %s %s", kind, x.Name))
	}
	if f := p.Fault; f != nil {
		s = append(s, faultText(f))
	}
	if c := p.Compression; c != nil && len(c.Algorithms) > 0 {
		s = append(s, fmt.Sprintf("compression %s from %d bytes", strings.Join(c.Algorithms, ", "), c.MinBytes))
	}
	if b := p.Bridge; b != nil {
		var from []string
		if b.GRPCWeb {
			from = append(from, "gRPC-Web")
		}
		if b.Connect {
			from = append(from, "Connect")
		}
		s = append(s, fmt.Sprintf("bridge from %s to gRPC, holding messages up to %d bytes", strings.Join(from, " and "), b.MaxMessageBytes))
	}
	if t := p.Transcoding; t != nil {
		s = append(s, transcoding(t))
	}
	if b := p.Buffer; b != nil {
		s = append(s, fmt.Sprintf("buffering up to %d bytes of requests, %d of responses", b.RequestBytes, b.ResponseBytes))
	}
	if a := p.Admission; a != nil {
		s = append(s, fmt.Sprintf("admission: %d to %d concurrent requests, %d may wait %s", a.MinConcurrency, a.MaxConcurrency, a.MaxQueue, a.QueueTimeout))
	}
	if p.MaxBodyBytes > 0 {
		s = append(s, fmt.Sprintf("request bodies up to %d bytes", p.MaxBodyBytes))
	}
	return s
}

func authenticationText(a *ir.Authentication) string {
	switch {
	case a.Broken:
		return "authentication: nobody, since " + a.Policy + " has errors"
	case len(a.AnyOf) == 0:
		return "authentication: not asked for, by " + a.Policy
	}
	var methods []string
	for i := range a.AnyOf {
		methods = append(methods, methodText(&a.AnyOf[i]))
	}
	text := "authentication by " + strings.Join(methods, ", or ")
	if a.Optional {
		text += ", or without a credential"
	}
	return text
}

func methodText(m *ir.AuthenticationMethod) string {
	text, kind := m.Name, "apiKey"
	var from []string
	if m.Basic != nil {
		kind, from = "basic", []string{"header Authorization after Basic"}
	}
	var places []ir.CredentialSource
	switch {
	case m.APIKey != nil:
		places = m.APIKey.From
	case m.JWT != nil:
		kind, places = "jwt", m.JWT.From
	case m.OIDC != nil:
		kind, from = "oidc", []string{"login at " + m.OIDC.Issuer, "path " + m.OIDC.LoginPath, "path " + m.OIDC.CallbackPath, "path " + m.OIDC.LogoutPath}
	case m.HMAC != nil:
		kind, from = "hmac", signatureTexts(m.HMAC)
	case m.Introspection != nil:
		kind, places = "oauth2Introspection", m.Introspection.From
	}
	if m.ClientCertificate != nil {
		kind, from = "clientCertificate", certificateTexts(m.ClientCertificate)
	}
	for _, s := range places {
		from = append(from, s.String())
	}
	if e := m.External; e != nil {
		kind, from = "external", []string{externalText(e)}
	}
	if in := m.Introspection; in != nil {
		if from = append(from, "that "+strings.TrimPrefix(in.Backend, "default/")+" knows"); in.Problem != "" {
			from = append(from, in.Problem+", so that nobody gets through")
		}
	}
	if m.JWT != nil {
		for i := range m.JWT.Issuers {
			from = append(from, "of issuer "+m.JWT.Issuers[i].Issuer)
		}
	}
	if text != kind {
		text += ": " + kind
	}
	return text + " (" + strings.Join(from, ", ") + ")"
}

func signatureTexts(h *ir.HMACAuth) []string {
	list := []string{"signatures over " + strings.Join(h.Required, " ")}
	if h.Label != "" {
		list[0] = "the signature " + h.Label + " over " + strings.Join(h.Required, " ")
	}
	if h.Tag != "" {
		list = append(list, "with tag "+h.Tag)
	}
	if list = append(list, "of "+h.MaxAge.String()+" at most"); h.Remembered > 0 {
		list = append(list, "each once")
	}
	return list
}

// externalText is "Service/default/opa says, over gRPC".
func externalText(e *ir.ExternalAuth) string {
	text := short(e.Backend) + " says"
	if e.GRPC {
		text += ", over gRPC"
	}
	switch {
	case e.Problem != "":
		text += "; nobody gets through: " + e.Problem
	case e.FailOpen:
		text += "; everybody gets through while it cannot"
	}
	return text
}

// rateLimitText says what a limit means for the request:
// "api/per-client: 100 per 1s, by ClientIP 203.0.113.7".
func rateLimitText(l *dryrun.RateLimit) string {
	text := strings.TrimPrefix(l.Policy, "default/") + "/" + l.Name + ": " + l.Limit
	switch {
	case !l.Applies:
		return text + "; not for this request: " + l.Note
	case l.Key != "":
		text += ", by " + l.Key
	}
	if l.Cost != nil {
		text += fmt.Sprintf(", of which it takes %d", *l.Cost)
	}
	if l.Note != "" {
		text += "; " + l.Note
	}
	return text
}

// callerText says who calls: "default/acme by apiKey, credential 2026".
func callerText(c *dryrun.Caller) string {
	text := "by " + c.Method
	if c.Consumer != "" {
		text = "Consumer " + strings.TrimPrefix(c.Consumer, "default/") + " " + text
	}
	if c.Credential != "" {
		text += ", credential " + c.Credential
	}
	if c.Subject != "" {
		text = c.Subject + ", " + text
	}
	if c.Issuer != "" {
		text += " of " + c.Issuer
	}
	if len(c.Scopes) > 0 {
		text += ", scopes " + strings.Join(c.Scopes, " ")
	}
	if len(c.Groups) > 0 {
		text += ", in " + strings.Join(c.Groups, ", ")
	}
	if c.Plan != "" {
		text += ", plan " + c.Plan
	}
	return text
}

func timeoutsText(t ir.Timeouts) string {
	var s []string
	for _, p := range []struct {
		name string
		d    time.Duration
	}{{"request", t.Request}, {"each try", t.PerTry}, {"idle", t.Idle}, {"stream", t.MaxStream}} {
		if p.d > 0 {
			s = append(s, p.name+" "+p.d.String())
		}
	}
	return strings.Join(s, ", ")
}

func retryText(r *ir.Retry) string {
	var on []string
	if r.ConnectFailure {
		on = append(on, "connect failure")
	}
	if r.Reset {
		on = append(on, "reset")
	}
	if r.Timeout {
		on = append(on, "timeout of a try")
	}
	on = append(on, statusRanges(r.Statuses)...)
	s := fmt.Sprintf("up to %d retries on %s", r.Attempts, strings.Join(on, ", "))
	if r.Attempts == 1 {
		s = "one retry on " + strings.Join(on, ", ")
	}
	if len(r.Methods) > 0 {
		return s + " of " + strings.Join(r.Methods, ", ")
	}
	return s + " of idempotent methods"
}

// statusRanges is "500-599, 429" for a list of statuses.
func statusRanges(statuses []int) []string {
	list := slices.Sorted(slices.Values(statuses))
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if j > i+1 {
			out = append(out, fmt.Sprintf("%d-%d", list[i], list[j]))
		} else {
			for _, s := range list[i : j+1] {
				out = append(out, fmt.Sprint(s))
			}
		}
		i = j + 1
	}
	return out
}

func faultText(f *ir.Fault) string {
	var s []string
	if f.DelayPercent > 0 {
		s = append(s, fmt.Sprintf("%g%% delayed by %s", float64(f.DelayPercent)/100, f.Delay))
	}
	if f.AbortPercent > 0 {
		s = append(s, fmt.Sprintf("%g%% answered %d", float64(f.AbortPercent)/100, f.AbortStatus))
	}
	return "faults: " + strings.Join(s, ", ")
}

// clusterNames shortens the names of clusters: the hash that tells apart
// clusters of one backend with different settings is left out where there is
// but one.
func clusterNames(names []string) map[string]string {
	base := func(n string) string {
		b, _, _ := strings.Cut(n, "~")
		return b
	}
	n := map[string]int{}
	for _, name := range names {
		n[base(name)]++
	}
	out := make(map[string]string, len(names))
	for _, name := range names {
		out[name] = short(name)
		if n[base(name)] == 1 {
			out[name] = short(base(name))
		}
	}
	return out
}

func transcoding(t *ir.Transcoding) string {
	from := t.Schema
	switch {
	case t.Reflection != nil:
		from = fmt.Sprintf("the endpoints' own, asked for every %s", t.Reflection.Refresh)
	case from == "":
		from = "none that can be used"
	}
	s := "transcoding of JSON to gRPC, descriptors: " + from
	if len(t.Services) > 0 {
		s += ", services " + strings.Join(t.Services, ", ")
	}
	return fmt.Sprintf("%s, messages up to %d bytes", s, t.MaxMessageBytes)
}
