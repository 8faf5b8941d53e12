package jointoken

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// MaxPatterns bounds the names of a grant.
const MaxPatterns = 64

// Grants is what may be asked for with a token.
type Grants struct {
	// Role is workload or node. An edge is a workload of its own name.
	Role identity.Role `json:"role"`
	// Namespaces and Services are those of workloads: names, or beginnings of names with *
	// behind them; * alone is any. Of a node they are the workloads that it may have SVIDs
	// of, of which there may be none.
	Namespaces []string `json:"namespaces,omitempty"`
	Services   []string `json:"services,omitempty"`
	// Nodes are the names of nodes, likewise.
	Nodes []string `json:"nodes,omitempty"`
}

// Check tells what is wrong with a grant.
func (g *Grants) Check() error {
	switch g.Role {
	case identity.RoleWorkload:
		if len(g.Nodes) > 0 {
			return fmt.Errorf("a token for workloads grants no nodes")
		}
		return g.checkWorkloads()
	case identity.RoleNode:
		if len(g.Namespaces)+len(g.Services) > 0 {
			if err := g.checkWorkloads(); err != nil {
				return err
			}
		}
		return check("node", g.Nodes, identity.CheckNode)
	}
	return fmt.Errorf("role %.20q: must be workload or node", g.Role)
}

func (g *Grants) checkWorkloads() error {
	if err := check("namespace", g.Namespaces, func(s string) error { return identity.CheckWorkload(s, "a") }); err != nil {
		return err
	}
	return check("service", g.Services, func(s string) error { return identity.CheckWorkload("a", s) })
}

func check(what string, patterns []string, name func(string) error) error {
	if len(patterns) == 0 || len(patterns) > MaxPatterns {
		return fmt.Errorf("a token needs 1 to %d %s names; * is any", MaxPatterns, what)
	}
	for _, p := range patterns {
		text, any := strings.CutSuffix(p, "*")
		if any {
			text += "a" // whatever follows
		}
		if err := name(text); err != nil {
			return fmt.Errorf("%s %.80q: is no name, and none with * at its end: %w", what, p, err)
		}
	}
	return nil
}

// Allow tells whether an identity may be asked for.
func (g *Grants) Allow(n identity.Name) bool {
	if n.Role != g.Role {
		return false
	}
	switch n.Role {
	case identity.RoleWorkload:
		return match(g.Namespaces, n.Namespace) && match(g.Services, n.Service)
	case identity.RoleNode:
		return match(g.Nodes, n.Node)
	}
	return false
}

// AllowWorkload tells whether a node may have SVIDs of a workload.
func (g *Grants) AllowWorkload(n identity.Name) bool {
	return g.Role == identity.RoleNode && n.Role == identity.RoleWorkload && match(g.Namespaces, n.Namespace) && match(g.Services, n.Service)
}

func match(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if begin, any := strings.CutSuffix(p, "*"); any {
			return strings.HasPrefix(name, begin)
		}
		return p == name
	})
}
