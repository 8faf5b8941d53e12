package question

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Relay asks the proxies of another control plane, at the end of a connection, as Hub.Ask
// asks the own ones. The replica is who is meant: another one refuses, as may happen where
// an address was handed on.
func Relay(ctx context.Context, conn grpc.ClientConnInterface, replica string, q Ask) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := meshpb.NewObservationClient(conn).Relay(ctx, &meshpb.Relaying{Kind: q.Kind, Query: q.Query, Replica: replica, Proxies: q.Only})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p := &Part{Proxy: Proxy{Name: short(m.GetProxy(), maxName), Identity: short(m.GetIdentity(), maxName)}, Items: m.GetItems(), Lost: m.GetLost()}
		if m.GetFinished() != nil {
			p.Problem = problemOf(m.GetFinished())
		}
		if err := q.Take(p); err != nil {
			return err
		}
	}
}

// Relay implements meshpb.ObservationServer.
func (h *Hub) Relay(q *meshpb.Relaying, stream grpc.ServerStreamingServer[meshpb.Relayed]) error {
	ctx := stream.Context()
	identity, err := h.opt.Identity(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	switch {
	case !h.opt.Control(identity):
		return status.Error(codes.PermissionDenied, "only control planes ask others to ask")
	case q.GetReplica() != h.opt.Replica:
		return status.Error(codes.FailedPrecondition, "another control plane answers at this address")
	case len(q.GetProxies()) > maxOnly:
		return status.Errorf(codes.InvalidArgument, "a question names %d proxies at most", maxOnly)
	}
	if own := h.opt.Own[q.GetKind()]; own != nil {
		return relayError(own.Answer(ctx, q.GetQuery(), func(items ...[]byte) error { return stream.Send(&meshpb.Relayed{Items: items}) }))
	}
	ask := Ask{Kind: q.GetKind(), Query: q.GetQuery(), Only: q.GetProxies(), Follow: q.GetKind() == KindTap, Take: func(p *Part) error {
		m := &meshpb.Relayed{Proxy: p.Name, Identity: p.Identity, Items: p.Items, Lost: p.Lost}
		if p.Problem != "" {
			m.Finished = &meshpb.Finished{Reason: meshpb.FinishedReason_FINISHED_REASON_FAILED, Why: p.Problem}
		}
		return stream.Send(m)
	}}
	if h.opt.Local != nil {
		return relayError(h.opt.Local(ctx, ask))
	}
	_, err = h.Ask(ctx, ask)
	return relayError(err)
}

func relayError(err error) error {
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return status.Error(codes.InvalidArgument, refused.Why)
	case errors.Is(err, ErrTooMany):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return err
}
