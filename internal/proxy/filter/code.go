package filter

import "github.com/gridway/gridway/internal/wire/grpc"

// Code is the code of gRPC for what the reply says.
func (l *LocalReply) Code() grpc.Code {
	switch l.Reason {
	case BackendInvalid: // the Gateway API says so
		return grpc.Unavailable
	case UpstreamTimeout, RequestTimeout:
		return grpc.DeadlineExceeded
	case BodyTooLarge, HeaderTooLarge, DecompressionLimit, ResponseTooLarge, RateLimited, QuotaExceeded:
		return grpc.ResourceExhausted
	case InternalError:
		return grpc.Internal
	}
	return grpc.OfHTTP(l.Status)
}
