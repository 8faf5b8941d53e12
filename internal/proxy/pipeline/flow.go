package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/wire/grpc"
)

// flow tells of a request to a workload here.
func (x *Exchange) flow(d time.Duration) {
	s := flow.Seen{
		Source: x.PeerIdentity, Namespace: x.Section.Ref.Namespace, Service: x.Section.Ref.Name, Port: x.Section.ServicePort,
		Protocol: flow.HTTP, Method: x.Req.Method, Path: x.path, Verdict: flow.Allowed, From: flow.From(x.Client), At: x.Start,
		Failed: x.status >= 500 || x.status == 0, Duration: d,
	}
	if x.call.on {
		s.Protocol = flow.GRPC
		s.Failed = s.Failed || serverFault(x.call.code)
	}
	switch {
	case x.Policy != "" && (x.Local.Reason == filter.AccessDenied || x.Local.Reason == filter.Unauthenticated || x.Local.Reason == filter.AuthorizationUnavailable):
		s.Verdict, s.Policy = flow.Denied, x.Policy
	default:
		for i := range x.Notes {
			if x.Notes[i].Kind == filter.NoteWouldDeny {
				s.Verdict, s.Policy = flow.WouldDeny, x.Notes[i].Policy
				break
			}
		}
	}
	x.p.Flows.Record(&s)
}

// serverFault tells the codes that are the server's fault, as 5xx are.
func serverFault(c grpc.Code) bool {
	switch c {
	case grpc.Unknown, grpc.DeadlineExceeded, grpc.Unimplemented, grpc.Internal, grpc.Unavailable, grpc.DataLoss:
		return true
	}
	return false
}
