package snapshot

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Ends are the parties of what comes to a section, in the service graph. A zero one is
// that there is nothing to tell of.
type Ends struct {
	// Source and Server are the two ends of what comes in. A zero Source is who has
	// proved an identity.
	Source, Server signal.Who
	// Client is who sends what goes out from here, and Service who that is for if no
	// backend was chosen.
	Client, Service signal.Who
}

// ends are those of a listener's sections.
type ends struct {
	all Ends
	// by is nil where all sections have the same.
	by map[*ir.Section]Ends
}

// Ends are the parties of what comes to one of the listener's sections, which may be nil.
func (l *Listener) Ends(section *ir.Section) Ends {
	if l.ends.by == nil {
		return l.ends.all
	}
	if e, ok := l.ends.by[section]; ok {
		return e
	}
	return l.ends.all
}

// endsOf are those of all sections of a listener.
func endsOf(o *signal.Observer, l *ir.Listener, sections []*ir.Section) (out ends) {
	if o == nil || len(sections) == 0 {
		return out
	}
	out.all = EndsOf(o, l, sections[0])
	for _, s := range sections[1:] {
		e := EndsOf(o, l, s)
		if e != out.all && out.by == nil {
			out.by = map[*ir.Section]Ends{}
			for _, before := range sections {
				if before == s {
					break
				}
				out.by[before] = out.all
			}
		}
		if out.by != nil {
			out.by[s] = e
		}
	}
	return out
}

// EndsOf are the parties of what comes to a section.
func EndsOf(o *signal.Observer, l *ir.Listener, s *ir.Section) (e Ends) {
	switch {
	case s.Inbound():
		e.Server = service(s.Ref)
	case l.Outbound() || s.ServicePort != 0:
		if l.Inbound {
			e.Source, e.Server = signal.Nobody, service(s.Ref) // what is refused for want of an identity
			break
		}
		e.Client = ClientOf(o, l)
		if s.ServicePort != 0 {
			e.Service = service(s.Ref)
		}
	default:
		e.Source, e.Server = signal.TheInternet, o.Self
		if e.Server == (signal.Who{}) {
			e.Server = signal.Of(gateway(s))
		}
		e.Client = e.Server
	}
	return e
}

// ClientOf is who sends to an outbound listener.
func ClientOf(o *signal.Observer, l *ir.Listener) signal.Who {
	if namespace, name, ok := strings.Cut(l.Workload, "/"); ok {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: namespace, Name: name})
	}
	if o.Self == (signal.Who{}) {
		return signal.Nobody
	}
	return o.Self
}

func service(r ir.Ref) signal.Who {
	return signal.Of(signal.Party{Kind: signal.Service, Namespace: r.Namespace, Name: r.Name})
}

// gateway is that of a section, "KIND/NAMESPACE/NAME/SECTION".
func gateway(s *ir.Section) signal.Party {
	p := signal.Party{Kind: signal.Gateway, Namespace: s.Ref.Namespace, Name: s.Ref.Name}
	if parts := strings.SplitN(s.Name, "/", 4); len(parts) >= 3 {
		p.Namespace, p.Name = parts[1], parts[2]
	}
	return p
}

// destination is what a backend is in the service graph.
func destination(r ir.Ref) signal.Who {
	switch r.Kind {
	case "Service":
		return service(r)
	case "":
		return signal.Who{}
	}
	return signal.Of(signal.Party{Kind: signal.Backend, Namespace: r.Namespace, Name: r.Name})
}
