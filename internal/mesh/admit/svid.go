package admit

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

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
	via := bySVIDOf + who.String()
	if who == id {
		// As itself it has what it has: by whose SVID it joined before stays known.
		if via, err = s.stillGranted(ctx, id, via); err != nil {
			return nil, err
		}
		return s.issue(ctx, id, r.GetCsr(), via, true)
	}
	g, granted := s.opt.SVIDs.find(who.String(), identity.NameOf(id))
	if !granted {
		return nil, status.Error(codes.PermissionDenied, s.opt.SVIDs.none(who, id))
	}
	if g.Role == identity.RoleNode {
		if s.opt.Nodes == nil {
			return nil, status.Error(codes.Unimplemented, "this control plane has no node proxies")
		}
		if err := s.opt.Nodes.enter(ctx, id, who, g); err != nil {
			return nil, s.unavailable("a join cannot be noted", err)
		}
	}
	return s.issue(ctx, id, r.GetCsr(), via, true)
}

// enter keeps what a node may have that has joined without a token.
func (n *Nodes) enter(ctx context.Context, node, by identity.ID, grants jointoken.Grants) error {
	g := nodeGrants{Grants: grants, SVID: by.String()}
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
