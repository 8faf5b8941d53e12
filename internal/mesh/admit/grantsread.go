package admit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
)

const (
	// maxSVIDGrants bounds the grants of a file, maxGrantsFile its bytes, and maxGrantErrors
	// what is said of it.
	maxSVIDGrants  = 1000
	maxGrantsFile  = 1 << 20
	maxGrantErrors = 20
)

// SVIDGrant lets machines join by an SVID that they have already.
type SVIDGrant struct {
	// ID is the SPIFFE ID of that SVID, of this trust domain or of one that is trusted; or
	// the beginning of several, with * behind it.
	ID string
	// Role, Namespaces, Services and Nodes are those of jointoken.Grants. Role is workload,
	// and Namespaces are "default", where they are left out.
	Role       identity.Role
	Namespaces []string
	Services   []string
	Nodes      []string
}

// ParseSVIDGrants reads a list of grants in YAML. All that is wrong is in the error, each
// with name:line:column.
func ParseSVIDGrants(name string, text []byte) ([]SVIDGrant, error) {
	r := &grantReader{file: name}
	if len(text) > maxGrantsFile {
		return nil, fmt.Errorf("%s: has more than %d bytes", name, maxGrantsFile)
	}
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(name, err)
	}
	var more yaml.Node
	if err := d.Decode(&more); err == nil {
		r.fail(&more, "a second document: write one list of grants")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(name, err)
	}
	list := r.list(doc.Content[0])
	return list, errors.Join(r.errs...)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError gives an error of the YAML library the form of ours. It knows no columns.
func syntaxError(name string, err error) error {
	line, text := "1", err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if m[1] != "" {
			line = m[1]
		}
	}
	return fmt.Errorf("%s:%s:1: is no YAML: %s", name, line, text)
}

// grantReader reads one file, and notes what is wrong with it.
type grantReader struct {
	file string
	errs []error
}

func (r *grantReader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.errs) < maxGrantErrors {
		r.errs = append(r.errs, fmt.Errorf("%s:%d:%d: %s", r.file, n.Line, n.Column, fmt.Sprintf(format, args...)))
	}
}

// of is what a node stands for.
func of(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (r *grantReader) list(n *yaml.Node) (out []SVIDGrant) {
	n = of(n)
	switch {
	case n.Tag == "!!null":
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "must be a list of grants, each with id, as in - {id: spiffe://west.example/host/*, services: [cart]}")
		return nil
	case len(n.Content) > maxSVIDGrants:
		r.fail(n, "there are %d grants, and %d are the most", len(n.Content), maxSVIDGrants)
		return nil
	}
	for _, item := range n.Content {
		out = append(out, r.grant(of(item)))
	}
	return out
}

func (r *grantReader) grant(n *yaml.Node) (g SVIDGrant) {
	role, before := "", len(r.errs)
	fields := map[string]func(*yaml.Node){
		"id": r.text("id", &g.ID), "role": r.text("role", &role),
		"namespaces": r.texts("namespaces", &g.Namespaces), "services": r.texts("services", &g.Services), "nodes": r.texts("nodes", &g.Nodes),
	}
	known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	if n.Kind != yaml.MappingNode {
		r.fail(n, "a grant must have fields: %s", known)
		return g
	}
	at := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case fields[key.Value] == nil:
			r.fail(key, "a grant has no field %.60q; it may have %s", key.Value, known)
		case at[key.Value] != nil:
			r.fail(key, "%s is there twice", key.Value)
		default:
			fields[key.Value](of(n.Content[i+1]))
			at[key.Value] = n.Content[i+1]
		}
	}
	if len(r.errs) > before {
		return g
	}
	g.Role = identity.Role(role)
	if err := g.complete(); err != nil {
		where := n
		if id := at["id"]; errors.Is(err, errGrantID) && id != nil {
			where = id
		}
		r.fail(where, "%v", err)
	}
	return g
}

func (r *grantReader) text(what string, to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
			r.fail(n, "%s must be a text", what)
			return
		}
		*to = n.Value
	}
}

func (r *grantReader) texts(what string, to *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			r.fail(n, "%s must be a list of names, as in [cart, \"web*\"]", what)
			return
		}
		if len(n.Content) > jointoken.MaxPatterns {
			r.fail(n, "%s has %d names, and %d are the most", what, len(n.Content), jointoken.MaxPatterns)
			return
		}
		for _, item := range n.Content {
			var name string
			r.text("a name of "+what, &name)(of(item))
			*to = append(*to, name)
		}
	}
}

// errGrantID: what is wrong is the id.
var errGrantID = errors.New("is no SPIFFE ID with a path, and none with * at its end, as in spiffe://west.example/host/*")

// complete fills in what was left out, and tells what is wrong.
func (g *SVIDGrant) complete() error {
	text, several := strings.CutSuffix(g.ID, "*")
	if several {
		text += "a" // whatever follows
	}
	if id, err := identity.Parse(text); err != nil || id.Path() == "" {
		return fmt.Errorf("id %.200q %w", g.ID, errGrantID)
	}
	if g.Role == "" {
		g.Role = identity.RoleWorkload
	}
	if (g.Role == identity.RoleWorkload || len(g.Services) > 0) && len(g.Namespaces) == 0 {
		g.Namespaces = []string{"default"}
	}
	grants := g.grants()
	return grants.Check()
}

func (g *SVIDGrant) grants() jointoken.Grants {
	return jointoken.Grants{Role: g.Role, Namespaces: g.Namespaces, Services: g.Services, Nodes: g.Nodes}
}

func (g *SVIDGrant) of(id string) bool {
	if begin, several := strings.CutSuffix(g.ID, "*"); several {
		return strings.HasPrefix(id, begin)
	}
	return g.ID == id
}
