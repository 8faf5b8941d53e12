// Package identity is who workloads are, and how they prove it: SPIFFE IDs, the SVIDs
// that a process has, the trust bundles by which it verifies those of others, and the
// list of those that are denied (SPIFFE-ID, X509-SVID and Trust Domain and Bundle, all
// of https://github.com/spiffe/spiffe/tree/main/standards).
//
// A Keyring has all of it and is asked at each handshake, so that what is renewed needs
// no new listener and closes no connection. It starts no goroutine: Renewer.Run and
// Saver.Run are their caller's. The package may be imported by everything that is of the
// mesh, by the data plane too, and imports nothing of Gridway.
package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// DefaultTrustDomain is that of a mesh which nobody has given another.
const DefaultTrustDomain = "cluster.local"

type (
	// ID is a SPIFFE ID; its zero value is none.
	ID = spiffeid.ID
	// TrustDomain is a set of identities with one authority.
	TrustDomain = spiffeid.TrustDomain
)

const (
	// maxTrustDomain and maxID are in bytes (SPIFFE-ID §2.1 and §2.3).
	maxTrustDomain = 255
	maxID          = 2048
	// maxLabel is the length of a namespace (RFC 1123), maxName that of a service or node,
	// which may have dots, as service accounts of Kubernetes may.
	maxLabel = 63
	maxName  = 253
)

// Role is what somebody is in the mesh by the path of his SPIFFE ID.
type Role string

// What an identity may be.
const (
	// RoleWorkload is a service, an edge's too.
	RoleWorkload Role = "workload"
	// RoleControl is a control plane.
	RoleControl Role = "control"
	// RoleNode is a proxy of all workloads of a host.
	RoleNode Role = "node"
	// RoleOther is an identity that no authority of Gridway's gives, as other trust
	// domains may have them.
	RoleOther Role = "other"
)

// Name is what a SPIFFE ID says. Namespace and Service are those of a workload, Node is
// that of a node proxy.
type Name struct {
	Role               Role
	Namespace, Service string
	Node               string
}

// ParseTrustDomain reads the name of a trust domain, such as prod.example.com: lower-case
// letters, digits, dots, hyphens and underscores, at most 255.
func ParseTrustDomain(name string) (TrustDomain, error) {
	if strings.Contains(name, "/") {
		return TrustDomain{}, fmt.Errorf("trust domain %.80q: give the name alone, such as prod.example.com", name)
	}
	td, err := spiffeid.TrustDomainFromString(name)
	switch {
	case name == "":
		return TrustDomain{}, errors.New("the trust domain is missing: give a name such as prod.example.com")
	case err != nil:
		return TrustDomain{}, fmt.Errorf("trust domain %.80q: may have lower-case letters, digits, dots, hyphens and underscores only, such as prod.example.com", name)
	case len(name) > maxTrustDomain:
		return TrustDomain{}, fmt.Errorf("trust domain %.20q…: has %d characters, at most %d are allowed", name, len(name), maxTrustDomain)
	}
	return td, nil
}

// Parse reads a SPIFFE ID of any trust domain, which must have a path.
func Parse(text string) (ID, error) {
	id, err := spiffeid.FromString(text)
	switch {
	case err != nil:
		return ID{}, fmt.Errorf("SPIFFE ID %.120q: %w", text, err)
	case len(text) > maxID:
		return ID{}, fmt.Errorf("SPIFFE ID %.40q…: has %d bytes, at most %d are allowed", text, len(text), maxID)
	case len(id.TrustDomain().Name()) > maxTrustDomain:
		return ID{}, fmt.Errorf("SPIFFE ID %.40q…: the trust domain has more than %d characters", text, maxTrustDomain)
	case id.Path() == "":
		return ID{}, fmt.Errorf("SPIFFE ID %.120q: is of a trust domain and of nobody in it; it needs a path, such as /ns/default/sa/reviews", text)
	}
	return id, nil
}

// Workload is the identity of a service: spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE.
// It is the zero ID for names that CheckWorkload refuses.
func Workload(td TrustDomain, namespace, service string) ID {
	if CheckWorkload(namespace, service) != nil {
		return ID{}
	}
	return of(td, "/ns/"+namespace+"/sa/"+service)
}

// Control is the identity of the control planes of a trust domain, all of which are one.
func Control(td TrustDomain) ID { return of(td, "/gridway/control") }

// Node is the identity of the proxy of a host, or the zero ID for a name that CheckNode
// refuses.
func Node(td TrustDomain, name string) ID {
	if CheckNode(name) != nil {
		return ID{}
	}
	return of(td, "/gridway/node/"+name)
}

func of(td TrustDomain, path string) ID {
	id, err := spiffeid.FromPath(td, path)
	if err != nil || td.IsZero() {
		return ID{}
	}
	return id
}

// CheckWorkload tells what is wrong with the names of a workload: a namespace is a DNS
// label, a service one or several with dots between (RFC 1123, lower case).
func CheckWorkload(namespace, service string) error {
	if !validLabel(namespace) {
		return fmt.Errorf("namespace %.80q: must have 1 to %d lower-case letters, digits and hyphens, and begin and end with a letter or digit", namespace, maxLabel)
	}
	return checkName("service", service)
}

// CheckNode tells what is wrong with the name of a node.
func CheckNode(name string) error { return checkName("node", name) }

func checkName(what, name string) error {
	valid := len(name) <= maxName
	for label := range strings.SplitSeq(name, ".") {
		valid = valid && validLabel(label)
	}
	if !valid {
		return fmt.Errorf("%s %.80q: must have 1 to %d lower-case letters, digits, hyphens and dots; between dots are 1 to %d that begin and end with a letter or digit", what, name, maxName, maxLabel)
	}
	return nil
}

func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// NameOf reads what an ID says. Of an ID of Gridway's, all of it holds that CheckWorkload
// or CheckNode ask for; any other is RoleOther.
func NameOf(id ID) Name {
	path := id.Path()
	if path == "/gridway/control" {
		return Name{Role: RoleControl}
	}
	if node, ok := strings.CutPrefix(path, "/gridway/node/"); ok && CheckNode(node) == nil {
		return Name{Role: RoleNode, Node: node}
	}
	if rest, ok := strings.CutPrefix(path, "/ns/"); ok {
		namespace, service, found := strings.Cut(rest, "/sa/")
		if found && CheckWorkload(namespace, service) == nil {
			return Name{Role: RoleWorkload, Namespace: namespace, Service: service}
		}
	}
	return Name{Role: RoleOther}
}
