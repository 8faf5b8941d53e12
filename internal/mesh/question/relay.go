package question

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Relay asks the proxies of another control plane, at the end of a connection, as Hub.Ask
// asks the own ones. Wanted is asked here, of what comes back.
func Relay(ctx context.Context, conn grpc.ClientConnInterface, q Ask) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := meshpb.NewObservationClient(conn).Relay(ctx, &meshpb.Question{Kind: q.Kind, Query: q.Query})
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
		if p.Name != "" && q.Wanted != nil && !q.Wanted(p.Proxy) {
			continue
		}
		if m.GetFinished() != nil {
			p.Problem = problemOf(m.GetFinished())
		}
		if err := q.Take(p); err != nil {
			return err
		}
	}
}
