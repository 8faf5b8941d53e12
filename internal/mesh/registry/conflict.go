package registry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// Codes of what does not go together.
const (
	// codeNumbers is that workloads have a port at several numbers, of which callers use
	// the one that was first.
	codeNumbers = "PortNumbersDiffer"
	// codeConflict is that workloads say different things of a port.
	codeConflict = "PortConflict"
	// codeUnreached is that callers have no way to a port of a workload.
	codeUnreached = "PortUnreached"
)

const sayTheSame = "have all workloads of the service say the same, or write the Service in the control plane's files"

// numbersShown bounds the numbers that a message lists.
const numbersShown = 3

// conflict gathers what workloads say otherwise of one port of their Service. Whose name
// is there is the first of them.
type conflict struct {
	numbers              map[uint16]bool
	name, whoNames       string
	protocol, whoSpeaks  string
	namesOther, speaksTo bool
}

// conflicts are what workloads of a Service say of its ports that does not go together.
// How many say so is not told: it would be news with each workload that comes.
func conflicts(k serviceKey, s *service) (out []store.Problem) {
	plain := make([]distrib.Port, len(s.ports))
	for i := range s.ports {
		plain[i] = s.ports[i].Port
	}
	found := make([]conflict, len(s.ports))
	var unreached []store.Problem
	for _, i := range s.instances {
		if i.Peer != nil || slices.Equal(i.Ports, plain) {
			continue
		}
		reached := map[*distrib.Port]bool{}
		for n := range s.ports {
			if p := leadsTo(&i.Workload, s.ports, &s.ports[n]); p != nil {
				reached[p] = true
				found[n].add(i, p, &s.ports[n])
			}
		}
		for n := range i.Ports {
			if p := &i.Ports[n]; !reached[p] && len(unreached) == 0 {
				unreached = append(unreached, problem(k, store.Warning, codeUnreached,
					fmt.Sprintf("callers cannot reach port %d of the workload of %s: it is none of the ports of the service, which are %s", p.Number, i.Proxy, portList(plain)),
					"give the port the name that it has at other workloads (--port NAME:NUMBER), or write the Service in the control plane's files"))
			}
		}
	}
	for n := range found {
		out = append(out, found[n].problems(k, &s.ports[n])...)
	}
	return append(out, unreached...)
}

func (f *conflict) add(i *Instance, p *distrib.Port, c *chosen) {
	if p.Number != c.Number {
		if f.numbers == nil {
			f.numbers = map[uint16]bool{}
		}
		f.numbers[p.Number] = true
	}
	if p.Name != c.Name && p.Number == c.Number && !f.namesOther {
		f.namesOther, f.name, f.whoNames = true, p.Name, i.Proxy
	}
	if p.Protocol != c.Protocol && !f.speaksTo {
		f.speaksTo, f.protocol, f.whoSpeaks = true, p.Protocol, i.Proxy
	}
}

func (f *conflict) problems(k serviceKey, c *chosen) (out []store.Problem) {
	if f.speaksTo {
		out = append(out, problem(k, store.Warning, codeConflict,
			fmt.Sprintf("port %d is taken to speak %s, as was said first, and the workload of %s says %s", c.Number, or(c.Protocol, "what is found out"), f.whoSpeaks, or(f.protocol, "nothing")), sayTheSame))
	}
	if f.namesOther {
		out = append(out, problem(k, store.Warning, codeConflict,
			fmt.Sprintf("port %d is called %s, as was said first, and the workload of %s calls it %s", c.Number, or(c.Name, "nothing"), f.whoNames, or(f.name, "nothing")), sayTheSame))
	}
	if len(f.numbers) > 0 {
		out = append(out, problem(k, store.Note, codeNumbers,
			fmt.Sprintf("callers use port %d, which some workloads have at another number (%s)", c.Number, numberList(f.numbers)),
			"if callers are to use another port, write the Service in the control plane's files"))
	}
	return out
}

func problem(k serviceKey, severity store.Severity, code, message, remedy string) store.Problem {
	return store.Problem{
		Severity: severity, Code: code, Object: store.Key{Kind: "Service", Namespace: k.namespace, Name: k.name}, Field: "spec.ports",
		Message: message, Remedy: remedy,
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return strconv.Quote(text)
}

func numberList(set map[uint16]bool) string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(set)) {
		if len(out) == numbersShown {
			out = append(out, "and others")
			break
		}
		out = append(out, strconv.Itoa(int(n)))
	}
	return strings.Join(out, ", ")
}

func portList(list []distrib.Port) string {
	var out []string
	for i, p := range list {
		if i == numbersShown {
			out = append(out, "and others")
			break
		}
		text := strconv.Itoa(int(p.Number))
		if p.Name != "" {
			text = p.Name + ":" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
