package admit

import (
	"maps"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// counts are what a Server was asked for, and what came of it.
type counts struct {
	mu            sync.Mutex
	joins, issued map[[2]string]uint64 // guarded by mu
}

func newCounts() *counts {
	return &counts{joins: map[[2]string]uint64{}, issued: map[[2]string]uint64{}}
}

// joined notes a join by what it was to be proven with.
func (c *counts) joined(via string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joins[[2]string{via, result(err, "joined")}]++
	c.issued[[2]string{"join", result(err, "issued")}]++
}

// asked notes that an SVID was asked for, and why.
func (c *counts) asked(why string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued[[2]string{why, result(err, "issued")}]++
}

// result tells what the caller did wrong (refused) from what we did (failed).
func result(err error, good string) string {
	if err == nil {
		return good
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DeadlineExceeded, codes.Canceled:
		return "failed"
	}
	return "refused"
}

// viaOf is what a join is to be proven with.
func viaOf(r *meshpb.EnrollRequest) string {
	switch r.GetEvidence().(type) {
	case *meshpb.EnrollRequest_Token:
		return "token"
	case *meshpb.EnrollRequest_Kubernetes:
		return "account"
	case *meshpb.EnrollRequest_Svid:
		return "svid"
	}
	return "nothing"
}

// Joins counts joins since the beginning, by what they were to be proven with (token,
// account, svid, nothing) and result: joined, refused, or failed because something of ours did.
func (s *Server) Joins() map[[2]string]uint64 {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	return maps.Clone(s.counts.joins)
}

// Issued counts SVIDs that were asked for since the beginning, by why (join, renewal, jwt)
// and result: issued, refused or failed.
func (s *Server) Issued() map[[2]string]uint64 {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	return maps.Clone(s.counts.issued)
}
