package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// maxSVIDGrants bounds the grants of a file, and maxGrantsFile its bytes.
	maxSVIDGrants = 1000
	maxGrantsFile = 1 << 20
)

// SVIDGrant lets machines join by an SVID that they have already.
type SVIDGrant struct {
	// ID is the SPIFFE ID of that SVID, of this trust domain or of one that is trusted; or
	// the beginning of several, with * behind it.
	ID string `yaml:"id"`
	// Role, Namespaces, Services and Nodes are those of jointoken.Grants. Role is workload,
	// and Namespaces are "default", where they are left out.
	Role       identity.Role `yaml:"role"`
	Namespaces []string      `yaml:"namespaces"`
	Services   []string      `yaml:"services"`
	Nodes      []string      `yaml:"nodes"`
}

// ReadSVIDGrants reads the grants of a file.
func ReadSVIDGrants(path string) ([]SVIDGrant, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxGrantsFile+1))
	if err == nil && len(text) > maxGrantsFile {
		err = fmt.Errorf("has more than %d bytes", maxGrantsFile)
	}
	var list []SVIDGrant
	if err == nil {
		list, err = ParseSVIDGrants(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// ParseSVIDGrants reads a list of grants in YAML.
func ParseSVIDGrants(text []byte) ([]SVIDGrant, error) {
	var list []SVIDGrant
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) > maxSVIDGrants {
		return nil, fmt.Errorf("there are %d grants, and %d are the most", len(list), maxSVIDGrants)
	}
	for i := range list {
		if err := list[i].complete(); err != nil {
			return nil, fmt.Errorf("grant %d: %w", i+1, err)
		}
	}
	return list, nil
}

// complete fills in what was left out, and tells what is wrong.
func (g *SVIDGrant) complete() error {
	text, several := strings.CutSuffix(g.ID, "*")
	if several {
		text += "a" // whatever follows
	}
	if id, err := identity.Parse(text); err != nil || id.Path() == "" {
		return fmt.Errorf("id %.200q is no SPIFFE ID with a path, and none with * at its end, as in spiffe://west.example/host/*", g.ID)
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

func (g *SVIDGrant) of(id identity.ID) bool {
	if begin, several := strings.CutSuffix(g.ID, "*"); several {
		return strings.HasPrefix(id.String(), begin)
	}
	return g.ID == id.String()
}

// bySVID lets in who shows an SVID on this very connection: as itself if it is of our trust
// domain, and otherwise as what a grant says.
func (s *Server) bySVID(ctx context.Context, r *meshpb.EnrollRequest) (*meshpb.SVIDResponse, error) {
	who, err := PeerID(ctx, s.opt.Authority.Keyring())
	if err != nil {
		return nil, refusal(err, codes.Unauthenticated)
	}
	id, err := s.wanted(r.GetIdentity())
	if err != nil {
		return nil, err
	}
	if identity.NameOf(who).Role == identity.RoleControl {
		return nil, status.Errorf(codes.PermissionDenied, "%s is a control plane, which joins as nothing else", who)
	}
	via := "SVID of " + who.String()
	if who == id {
		return s.issue(ctx, id, r.GetCsr(), via, true)
	}
	for i := range s.opt.SVIDs {
		g := s.opt.SVIDs[i].grants()
		if !s.opt.SVIDs[i].of(who) || !g.Allow(identity.NameOf(id)) {
			continue
		}
		if g.Role == identity.RoleNode {
			if s.opt.Nodes == nil {
				return nil, status.Error(codes.Unimplemented, "this control plane has no node proxies")
			}
			if err := s.opt.Nodes.enter(ctx, id, g); err != nil {
				return nil, s.unavailable("a join cannot be noted", err)
			}
		}
		return s.issue(ctx, id, r.GetCsr(), via, true)
	}
	return nil, status.Errorf(codes.PermissionDenied, "%s may not join as %s: an SVID of this trust domain joins as itself, and as others by a grant in the file of --svid-joins", who, id)
}

// enter keeps what a node may have that has joined without a token.
func (n *Nodes) enter(ctx context.Context, node identity.ID, g jointoken.Grants) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	err = n.db.Write(ctx, func(tx *statedb.Tx) error {
		return tx.PutMeshNode(ctx, &statedb.MeshNode{Node: node.String(), Grants: string(text), Joined: time.Now()})
	})
	if err == nil {
		n.joined(node, g)
	}
	return err
}
