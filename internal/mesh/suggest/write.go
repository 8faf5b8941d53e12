package suggest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
)

// Write writes policies as YAML, with what they rest on as comments.
func Write(w io.Writer, list []Policy, since time.Duration, now time.Time) error {
	out := &writer{w: w}
	for i := range list {
		if i > 0 && list[i-1].Policy != nil {
			out.line("---")
		}
		out.policy(&list[i], since, now)
	}
	return out.err
}

type writer struct {
	w   io.Writer
	err error
}

func (w *writer) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format+"\n", args...)
	}
}

func (w *writer) policy(p *Policy, since time.Duration, now time.Time) {
	w.line("# %s/%s: what its workloads' proxies have seen from %s to %s.", p.Namespace, p.Service, stamp(now.Add(-since)), stamp(now))
	for _, n := range p.Notes {
		w.line("# - %s", n)
	}
	if p.Policy == nil {
		w.line("# Nothing was seen that a policy could allow.")
		return
	}
	o := p.Policy
	w.line("apiVersion: %s", o.APIVersion)
	w.line("kind: %s", o.Kind)
	w.line("metadata: {name: %s, namespace: %s}", text(o.Name), text(o.Namespace))
	w.line("spec:")
	w.line("  targetRefs: [{group: %q, kind: Service, name: %s}]", "", text(p.Service))
	w.line("  action: %s", o.Spec.Action)
	if o.Spec.DryRun != nil && *o.Spec.DryRun {
		w.line("  # Refuses nothing yet: take this out once would_deny stays away from the access log.")
		w.line("  dryRun: true")
	}
	w.line("  rules:")
	for i := range o.Spec.Rules {
		w.rule(&o.Spec.Rules[i], &p.Evidence[i])
	}
}

func (w *writer) rule(r *v1alpha1.AuthorizationRule, e *Evidence) {
	what := "request"
	if e.Connections {
		what = "connection"
	}
	if e.Count != 1 {
		what += "s"
	}
	from := "1 address"
	if e.Addresses > 1 {
		from = fmt.Sprintf("about %d addresses", e.Addresses)
	}
	w.line("  # %d %s from %s in %s: the first at %s, the last at %s", e.Count, what, from, span(e.Last.Sub(e.First)), stamp(e.First), stamp(e.Last))
	if e.Little {
		w.line("  # This is little evidence: what comes seldom may be missing.")
	}
	for _, n := range e.Notes {
		w.line("  # %s", n)
	}
	w.line("  - name: %s", r.Name)
	w.line("    identities: %s", texts(r.Identities))
	w.line("    ports: [%d]", r.Ports[0])
	if len(r.Methods) > 0 {
		w.line("    methods: %s", texts(r.Methods))
	}
	if len(r.Paths) > 0 {
		w.line("    paths:")
		for _, p := range r.Paths {
			w.line("    - {type: %s, value: %s}", *p.Type, text(*p.Value))
		}
	}
	if len(r.GRPCMethods) > 0 {
		w.line("    grpcMethods:")
		for _, m := range r.GRPCMethods {
			w.line("    - {service: %s, method: %s}", text(*m.Service), text(*m.Method))
		}
	}
}

// text is a string of YAML, as JSON writes it.
func text(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string
	return strings.TrimSpace(b.String())
}

func texts(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// span is a time that people read.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
