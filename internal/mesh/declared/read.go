package declared

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/mesh/identity"
)

const (
	// MaxFile bounds a file in bytes, maxDocuments its documents.
	MaxFile      = 1 << 20
	maxDocuments = 1000
	maxPorts     = 64
	maxLabels    = 64
	// maxText bounds texts in bytes.
	maxText                  = 253
	minInterval, maxInterval = 100 * time.Millisecond, time.Hour
)

// Read reads the declarations of a file, a YAML document each. All that is wrong is in the
// error, with lines and columns.
func Read(name string, text []byte) ([]*Workload, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s: has %d bytes, and %d are the most", name, len(text), MaxFile)
	}
	var out []*Workload
	r := &reader{file: name}
	for in := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := in.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s:%s", name, strings.TrimPrefix(strings.Replace(err.Error(), "yaml: line ", "", 1), "yaml:")))
			break
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		if len(out) == maxDocuments {
			r.fail(doc.Content[0], "more than %d workloads in one file", maxDocuments)
			break
		}
		out = append(out, r.workload(doc.Content[0]))
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return out, nil
}

// reader reads one file, and notes what is wrong with it.
type reader struct {
	file string
	errs []error
}

// maxErrors bounds what is said of one file.
const maxErrors = 20

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, fmt.Errorf("%s:%d:%d: %s", r.file, n.Line, n.Column, fmt.Sprintf(format, args...)))
	}
}

// fields reads a mapping whose fields are these and no others.
func (r *reader) fields(what string, n *yaml.Node, fields map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must have fields: %s", what, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := fields[key.Value]
		switch {
		case read == nil:
			r.fail(key, "%s has no field %.60q; it may have %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		case seen[key.Value]:
			r.fail(key, "%s is there twice", key.Value)
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

// text reads a scalar.
func (r *reader) text(what string, to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
			r.fail(n, "%s must be a text", what)
		case n.Value == "" || len(n.Value) > maxText || strings.ContainsFunc(n.Value, func(c rune) bool { return c < ' ' || c == 0x7f }):
			r.fail(n, "%s must have 1 to %d bytes, without control characters", what, maxText)
		default:
			*to = n.Value
		}
	}
}

// number reads an integer of a range.
func (r *reader) number(what string, most uint64, to func(uint64)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		x, err := strconv.ParseUint(n.Value, 10, 64)
		if n.Kind != yaml.ScalarNode || err != nil || x == 0 || x > most {
			r.fail(n, "%s %.60q: must be a number from 1 to %d", what, n.Value, most)
			return
		}
		to(x)
	}
}

func (r *reader) duration(what string, to *time.Duration) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d, err := time.ParseDuration(n.Value)
		if err != nil || d < minInterval || d > maxInterval {
			r.fail(n, "%s %.60q: must be a time from %s to %s, such as 2s", what, n.Value, minInterval, maxInterval)
			return
		}
		*to = d
	}
}

func (r *reader) workload(n *yaml.Node) *Workload {
	w := &Workload{Namespace: "default", Weight: 1, Address: netip.MustParseAddr("127.0.0.1"), Where: fmt.Sprintf("%s:%d:%d", r.file, n.Line, n.Column)}
	var health, except *yaml.Node
	before := len(r.errs)
	r.fields("a workload", n, map[string]func(*yaml.Node){
		"namespace": r.text("namespace", &w.Namespace),
		"service":   r.text("service", &w.Service),
		"name":      r.text("name", &w.Name),
		"version":   r.text("version", &w.Version),
		"zone":      r.text("zone", &w.Zone),
		"address":   func(n *yaml.Node) { w.Address = r.address(n) },
		"ports":     func(n *yaml.Node) { w.Ports = r.ports(n) },
		"processes": func(n *yaml.Node) { w.Processes = r.processes(n) },
		"health":    func(n *yaml.Node) { health = n },
		"except":    func(n *yaml.Node) { except = n },
		"labels":    func(n *yaml.Node) { w.Labels = r.labels(n) },
		"weight":    r.number("weight", 65535, func(x uint64) { w.Weight = uint32(x) }),
	})
	if len(r.errs) > before {
		return w
	}
	switch {
	case w.Service == "":
		r.fail(n, "service is missing: the name of the service that the workload is of")
	case w.Processes == (Processes{}):
		r.fail(n, "processes is missing: say which they are, by unit, cgroup or user")
	}
	if err := identity.CheckWorkload(w.Namespace, w.Service); err != nil && w.Service != "" {
		r.fail(n, "%v", err)
	}
	if w.Name != "" {
		if err := identity.CheckNode(w.Name); err != nil {
			r.fail(n, "name: %v", err)
		}
	}
	if len(w.Ports) > 0 {
		w.Health = Health{Port: w.Ports[0].Number, Interval: defaultInterval, Timeout: defaultTimeout}
	}
	if health != nil {
		r.health(w, health)
	}
	if except != nil {
		r.except(w, except)
	}
	return w
}

func (r *reader) address(n *yaml.Node) netip.Addr {
	a, err := netip.ParseAddr(n.Value)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		r.fail(n, "address %.60q: must be the IP address at which it listens on this host, such as 127.0.0.1", n.Value)
	}
	return a
}

func (r *reader) ports(n *yaml.Node) (out []Port) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxPorts {
		r.fail(n, "ports must be a list of %d at most", maxPorts)
		return nil
	}
	for _, item := range n.Content {
		var p Port
		r.fields("a port", item, map[string]func(*yaml.Node){
			"name": r.text("name", &p.Name), "protocol": r.text("protocol", &p.Protocol), "appProtocol": r.text("appProtocol", &p.Protocol),
			"number": r.number("number", 65535, func(x uint64) { p.Number = uint16(x) }),
		})
		switch {
		case p.Number == 0:
			r.fail(item, "a port needs its number")
		case slices.ContainsFunc(out, func(q Port) bool { return q.Number == p.Number || p.Name != "" && q.Name == p.Name }):
			r.fail(item, "two ports have the same number or name")
		}
		out = append(out, p)
	}
	return out
}

func (r *reader) processes(n *yaml.Node) (p Processes) {
	r.fields("processes", n, map[string]func(*yaml.Node){
		"unit": r.text("unit", &p.Unit), "cgroup": r.text("cgroup", &p.Cgroup), "user": r.text("user", &p.User),
	})
	given := 0
	for _, s := range []string{p.Unit, p.Cgroup, p.User} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		r.fail(n, "processes must be said by one of unit, cgroup and user")
		return p
	}
	if p.Unit != "" && (strings.Contains(p.Unit, "/") || path.Ext(p.Unit) == "") {
		r.fail(n, "unit %.60q: must be the whole name of a unit of systemd, such as cart.service", p.Unit)
	}
	if p.Cgroup != "" {
		if p.Cgroup = absolute(p.Cgroup); p.Cgroup == "/" || path.Clean(p.Cgroup) != p.Cgroup {
			r.fail(n, "cgroup %.60q: must be a path below the root of cgroups, such as /system.slice/cart.service", p.Cgroup)
		}
	}
	if p.User == "root" || p.User == "0" {
		r.fail(n, "user root: the node proxy's own connections and those of the system are root's; name a unit or a cgroup")
	}
	return p
}

func (r *reader) labels(n *yaml.Node) map[string]string {
	out := map[string]string{}
	if n.Kind != yaml.MappingNode || len(n.Content) > 2*maxLabels {
		r.fail(n, "labels must be %d names with texts at most", maxLabels)
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		var name, value string
		r.text("a label's name", &name)(n.Content[i])
		r.text("label "+name, &value)(n.Content[i+1])
		out[name] = value
	}
	return out
}

// health reads which port is looked at, and how.
func (r *reader) health(w *Workload, n *yaml.Node) {
	h := Health{Interval: defaultInterval, Timeout: defaultTimeout}
	ways := 0
	port := func(n *yaml.Node) { h.Port = r.portOf(w, n) }
	r.fields("health", n, map[string]func(*yaml.Node){
		"tcp": func(n *yaml.Node) {
			ways++
			r.fields("tcp", n, map[string]func(*yaml.Node){"port": port})
		},
		"http": func(n *yaml.Node) {
			ways++
			h.Path = "/"
			r.fields("http", n, map[string]func(*yaml.Node){"port": port, "path": r.text("path", &h.Path)})
			if !strings.HasPrefix(h.Path, "/") || strings.Contains(h.Path, " ") {
				r.fail(n, "path %.60q: must begin with / and have no spaces", h.Path)
			}
		},
		"interval": r.duration("interval", &h.Interval),
		"timeout":  r.duration("timeout", &h.Timeout),
	})
	switch {
	case ways > 1:
		r.fail(n, "health is looked at by one of tcp and http")
	case h.Port == 0 && len(w.Ports) == 0:
		r.fail(n, "health needs a port: the workload has none")
	case h.Port == 0:
		h.Port = w.Ports[0].Number
	}
	w.Health = h
}

// portOf is a port by its number or, of those that the workload has, its name.
func (r *reader) portOf(w *Workload, n *yaml.Node) uint16 {
	if x, err := strconv.ParseUint(n.Value, 10, 16); err == nil && x > 0 {
		return uint16(x)
	}
	for _, p := range w.Ports {
		if p.Name != "" && p.Name == n.Value {
			return p.Number
		}
	}
	r.fail(n, "port %.60q: must be a number from 1 to 65535, or the name of one of the workload's ports", n.Value)
	return 0
}
