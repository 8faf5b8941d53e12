// Package suggest makes AuthorizationPolicies that allow what was seen and nothing else,
// each with the evidence that its rules rest on. It knows evidence and policies, and asks
// nobody. The command line imports it.
package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/mesh/evidence"
)

// Options say what is wanted.
type Options struct {
	// Enforce writes policies that hold at once; otherwise they are dry.
	Enforce bool
}

const (
	// little is how many requests, and over how long, are little evidence.
	little      = 20
	littleWhile = 24 * time.Hour
	// foldFrom is from how many paths on that differ in one segment that is left open.
	foldFrom = 16
)

// Policy is one that is suggested for a Service.
type Policy struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Policy is nil where nothing was seen that could be allowed.
	Policy *v1alpha1.AuthorizationPolicy `json:"policy,omitempty"`
	// Evidence is what each rule rests on, in their order.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Notes are about what no rule allows, and what was left open.
	Notes []string `json:"notes,omitempty"`
}

// Evidence is what a rule rests on.
type Evidence struct {
	Rule string `json:"rule"`
	// Count is how many requests or connections, First and Last when they came, and
	// Addresses about how many addresses of workloads they came from.
	Count     uint64    `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Addresses int       `json:"addresses"`
	// Connections: it counts those, and not requests.
	Connections bool `json:"connections,omitempty"`
	// Little: there is not much of it.
	Little bool `json:"little,omitempty"`
	// Notes say what was folded or left open in the rule.
	Notes []string `json:"notes,omitempty"`
}

// Policies are suggested for each Service that flows lead to, in the order of their names.
func Policies(flows []evidence.Flow, o Options) []Policy {
	type service struct{ namespace, name string }
	of := map[service][]evidence.Flow{}
	for _, f := range flows {
		k := service{f.Namespace, f.Service}
		of[k] = append(of[k], f)
	}
	keys := slices.SortedFunc(maps.Keys(of), func(a, b service) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	var out []Policy
	for _, k := range keys {
		w := &work{out: Policy{Namespace: k.namespace, Service: k.name}, names: map[string]int{}}
		w.suggest(of[k], o)
		out = append(out, w.out)
	}
	return out
}

// work is on one Service.
type work struct {
	out   Policy
	rules []v1alpha1.AuthorizationRule
	names map[string]int
}

// caller is a source at a port, with a protocol.
type caller struct {
	source   string
	port     uint16
	protocol string
}

func (w *work) suggest(flows []evidence.Flow, o Options) {
	by := map[caller][]evidence.Flow{}
	for _, f := range flows {
		switch {
		case f.Verdict == evidence.Denied:
			w.note("%s of %s to %s %s refused by %s, the last at %s: no rule is for that", counted(f.Count, f.Protocol), whom(&f), where(&f), wereText(f.Count), refuser(&f), stamp(f.Last))
		case f.Source == "" && f.Overflow:
			w.note("%s to %s could not be told apart: the proxy has seen more kinds of traffic than are kept, and the rules may lack some", counted(f.Count, f.Protocol), where(&f))
		case f.Source == "":
			w.note("%s %s %s to port %d came without the mesh's TLS, the last at %s: the policy would refuse that, until those clients are in the mesh", counted(f.Count, f.Protocol), f.Method, f.Path, f.Port, stamp(f.Last))
		default:
			if f.Verdict == evidence.WouldDeny {
				w.note("%s of %s to %s would be refused by %s, which is dry: the rules here allow that", counted(f.Count, f.Protocol), whom(&f), where(&f), refuser(&f))
			}
			k := caller{f.Source, f.Port, f.Protocol}
			by[k] = append(by[k], f)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(by), func(a, b caller) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.port, b.port), cmp.Compare(a.protocol, b.protocol))
	}) {
		switch k.protocol {
		case evidence.HTTP:
			w.requests(k, by[k])
		case evidence.GRPC:
			w.calls(k, by[k])
		default:
			w.rule(k, v1alpha1.AuthorizationConditions{}, by[k], nil)
		}
	}
	slices.Sort(w.out.Notes)
	w.out.Notes = slices.Compact(w.out.Notes)
	if len(w.rules) == 0 {
		return
	}
	p := &v1alpha1.AuthorizationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupName + "/v1alpha1", Kind: v1alpha1.KindAuthorizationPolicy},
		ObjectMeta: metav1.ObjectMeta{Name: "suggested-" + w.out.Service, Namespace: w.out.Namespace},
		Spec: v1alpha1.AuthorizationPolicySpec{
			TargetRefs: []gatewayv1.LocalPolicyTargetReferenceWithSectionName{{
				LocalPolicyTargetReference: gatewayv1.LocalPolicyTargetReference{Kind: "Service", Name: gatewayv1.ObjectName(w.out.Service)},
			}},
			Action: v1alpha1.AuthorizationAllow, Rules: w.rules,
		},
	}
	if !o.Enforce {
		dry := true
		p.Spec.DryRun = &dry
	}
	w.out.Policy = p
}

func (w *work) note(format string, args ...any) {
	w.out.Notes = append(w.out.Notes, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// rule adds one for a caller, with what is asked beside who it is and of which port.
func (w *work) rule(k caller, c v1alpha1.AuthorizationConditions, flows []evidence.Flow, notes []string) {
	e := Evidence{Connections: k.protocol == evidence.TCP, Notes: notes}
	for _, f := range flows {
		if e.Count == 0 || f.First.Before(e.First) {
			e.First = f.First
		}
		if f.Last.After(e.Last) {
			e.Last = f.Last
		}
		e.Count += f.Count
		e.Addresses = max(e.Addresses, f.Addresses)
	}
	e.Little = e.Count < little || e.Last.Sub(e.First) < littleWhile
	c.Identities, c.Ports = []string{k.source}, []int32{int32(k.port)}
	e.Rule = w.name(k.source)
	w.rules = append(w.rules, v1alpha1.AuthorizationRule{Name: e.Rule, AuthorizationConditions: c})
	w.out.Evidence = append(w.out.Evidence, e)
}

// name is one for a rule about a source.
func (w *work) name(source string) string {
	name := "client"
	if _, path, ok := strings.Cut(strings.TrimPrefix(source, "spiffe://"), "/ns/"); ok {
		namespace, service, _ := strings.Cut(path, "/sa/")
		name = namespace + "-" + service
		if namespace == w.out.Namespace {
			name = service
		}
	}
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	name = strings.Trim(name[:min(len(name), 56)], "-")
	if name == "" {
		name = "client"
	}
	for {
		w.names[name]++
		n := w.names[name]
		if n == 1 {
			return name
		}
		if next := fmt.Sprintf("%s-%d", name, n); w.names[next] == 0 {
			w.names[next]++
			return next
		}
	}
}

func whom(f *evidence.Flow) string {
	if f.Source == "" {
		return "nobody known"
	}
	return f.Source
}

// where is the port, which what stands for too much may lack.
func where(f *evidence.Flow) string {
	if f.Port == 0 {
		return "several ports"
	}
	return fmt.Sprintf("port %d", f.Port)
}

// refuser is the policy, which what stands for too much may lack.
func refuser(f *evidence.Flow) string { return cmp.Or(f.Policy, "a policy that was not told apart") }

func counted(n uint64, protocol string) string {
	what := "request"
	if protocol == evidence.TCP {
		what = "connection"
	}
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func wereText(n uint64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
