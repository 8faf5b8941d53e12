package peering

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/view"
)

// gather is the least time between two offers on a stream: what changes meanwhile goes
// together.
const gather = 200 * time.Millisecond

// Catalog has what peers may use; view.Views is one.
type Catalog interface {
	// Exported is what a trust domain may use now, and whether it may use anything.
	Exported(identity.TrustDomain) (view.Exported, bool)
	// Changed is closed with the next change of it.
	Changed() <-chan struct{}
}

// ServerOptions are for NewServer.
type ServerOptions struct {
	Catalog Catalog
	// Caller is who calls, as TLS has verified it.
	Caller func(context.Context) (identity.ID, error)
	Log    *slog.Logger // nil is nobody
}

// Server is the answering side.
type Server struct {
	meshpb.UnimplementedPeeringServer
	opt ServerOptions
}

// NewServer makes one, to be registered with a grpc.Server.
func NewServer(o ServerOptions) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{opt: o}
}

// Watch sends a control plane what its mesh may use, until one of both ends.
func (s *Server) Watch(r *meshpb.WatchRequest, stream grpc.ServerStreamingServer[meshpb.Offer]) error {
	ctx := stream.Context()
	id, err := s.opt.Caller(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if identity.NameOf(id).Role != identity.RoleControl {
		return status.Errorf(codes.PermissionDenied, "%s is no control plane", id)
	}
	var last *meshpb.Offer
	for {
		changed := s.opt.Catalog.Changed()
		e, ok := s.opt.Catalog.Exported(id.TrustDomain())
		if !ok {
			return status.Errorf(codes.PermissionDenied, "no MeshPeer here exports anything to the trust domain %s", id.TrustDomain())
		}
		if next := offerOf(e); last == nil || !proto.Equal(last, next) {
			if last == nil {
				s.opt.Log.Info("a mesh uses services of this one", "control", id.String(), "process", r.GetControl(), "services", len(next.GetServices()), "edges", len(next.GetEdges()))
			}
			if err := stream.Send(next); err != nil {
				return err
			}
			last = next
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(gather):
		}
	}
}

func offerOf(e view.Exported) *meshpb.Offer {
	out := &meshpb.Offer{}
	for _, a := range e.Edges[:min(len(e.Edges), maxEdges)] {
		out.Edges = append(out.Edges, a.String())
	}
	for _, s := range e.Services[:min(len(e.Services), maxServices)] {
		x := &meshpb.OfferedService{Namespace: s.Namespace, Name: s.Name, Identity: s.Identity, Weight: s.Weight}
		for _, p := range s.Ports[:min(len(s.Ports), maxPorts)] {
			x.Ports = append(x.Ports, &meshpb.WorkloadPort{Name: p.Name, Number: uint32(p.Number), Protocol: p.Protocol})
		}
		out.Services = append(out.Services, x)
	}
	return out
}
