package authentication

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Outcome is what a method says of an imagined request.
type Outcome string

const (
	// Accepted: the credential is good, and the request is its owner's.
	Accepted Outcome = "accepted"
	// Assumed: a server would be asked, and is taken to let the request through.
	Assumed Outcome = "assumed"
	// Absent: the request has no credential for the method.
	Absent Outcome = "absent"
	// Refused: the credential is not good.
	Refused Outcome = "refused"
	// Undecided: nobody can tell from here.
	Undecided Outcome = "undecided"
	// Untried: a method before it has accepted the request.
	Untried Outcome = "untried"
)

// Finding is what a method makes of an imagined request. It is for operators: it
// says of a credential what no client is told, and repeats none.
type Finding struct {
	// Method is its name, Kind what it is: "jwt", "apiKey" and so on.
	Method  string  `json:"method"`
	Kind    string  `json:"kind"`
	Outcome Outcome `json:"outcome"`
	// Fault is the code of what is wrong, as access log and metrics have it.
	Fault string `json:"fault,omitempty"`
	// Detail is for people.
	Detail string `json:"detail,omitempty"`
}

// describer says more of what it has found.
type describer interface {
	describe(x *filter.Exchange, f filter.Fault) string
}

// Policy is the configuration that it was made of.
func (a *Authentication) Policy() *ir.Authentication { return a.policy }

// Explain says what each method makes of an imagined request, which it changes: the
// exchange is good for nothing else afterwards.
func (a *Authentication) Explain(x *filter.Exchange) []Finding {
	if a.policy.Broken {
		return nil
	}
	imagined := false
	x.Call = func(*callout.Call) error {
		imagined = true
		return callout.ErrImagined
	}
	var out []Finding
	done := false
	for i, m := range a.methods {
		cfg := &a.policy.AnyOf[i]
		f := Finding{Method: cfg.Name, Kind: cfg.Kind(), Outcome: Untried}
		if done {
			out = append(out, f)
			continue
		}
		imagined = false
		x.Found(filter.FaultNone)
		r := m.authenticate(x)
		fault := x.TakeFault()
		f.Outcome, f.Fault, f.Detail = outcome(r, imagined), fault.String(), x.Local.Detail
		if d, ok := m.(describer); ok && r != accepted && f.Detail == "" {
			f.Detail = d.describe(x, fault)
		}
		withdraw(x)
		done = r == accepted
		out = append(out, f)
	}
	return out
}

func outcome(r result, imagined bool) Outcome {
	switch r {
	case accepted:
		if imagined {
			return Assumed
		}
		return Accepted
	case absent:
		return Absent
	case refused, answered:
		return Refused
	}
	return Undecided
}

// String names the places for people.
func (ss sources) String() string {
	names := make([]string, len(ss))
	for i := range ss {
		s := &ss[i]
		switch {
		case s.header != nil && s.prefix != "":
			names[i] = fmt.Sprintf("header %s after %q", s.header, strings.TrimSpace(s.prefix))
		case s.header != nil:
			names[i] = "header " + string(s.header)
		case s.query != "":
			names[i] = "query parameter " + s.query
		default:
			names[i] = "cookie " + s.cookie
		}
	}
	return strings.Join(names, ", ")
}

// describe is for what may be wrong with any credential in a place.
func (ss sources) describe(what string, f filter.Fault) string {
	switch f {
	case filter.FaultNone:
		return "looked for in " + ss.String()
	case filter.FaultAmbiguous:
		return "one place holds several: two readers might take different ones"
	case filter.FaultMalformed:
		return "it is no " + what
	}
	return ""
}

// period says when a credential is accepted.
func period(from, until, now time.Time) string {
	if now.Before(from) {
		return "is accepted from " + stamp(from, now) + " on"
	}
	return "was accepted until " + stamp(until, now)
}

// stamp is a time and how far it is from now.
func stamp(at, now time.Time) string {
	text := at.UTC().Format(time.RFC3339)
	switch d := now.Sub(at).Round(time.Second); {
	case d > 0:
		return text + ", " + d.String() + " before the request"
	case d < 0:
		return text + ", " + (-d).String() + " after the request"
	}
	return text
}

// owner names a credential for people.
func owner(c *ir.Consumer, k *ir.ConsumerCredential) string {
	return fmt.Sprintf("credential %s of Consumer %s", k.Name, c)
}

// whose says which Consumers count for the policy.
func whose(p *ir.Authentication) string {
	if p.EveryNamespace {
		return "no Consumer"
	}
	return "no Consumer of namespace " + p.Namespace
}

// quoted lists names for people.
func quoted(list []string) string {
	const most = 10
	var b strings.Builder
	for i, s := range list {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(list)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.100q", s)
	}
	return b.String()
}
