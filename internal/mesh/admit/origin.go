package admit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// bySVIDOf is in what an SVID was issued for (ca.Request.Via) before the SPIFFE ID of
	// the SVID by which its owner joined, which is the end of the text.
	bySVIDOf = "SVID of "
	// maxOrigins bounds the SVIDs of which it is remembered how their owners joined.
	maxOrigins = 65536
	// originTime bounds a look at the state store.
	originTime = 2 * time.Second
)

// originOf reads of what an SVID was issued for by whose SVID its owner joined; empty is by
// something else.
func originOf(via string) string {
	if i := strings.LastIndex(via, bySVIDOf); i >= 0 {
		return via[i+len(bySVIDOf):]
	}
	return ""
}

// origins remember how the owners of SVIDs joined that this process has issued, so that
// renewing one seldom needs the state store.
type origins struct {
	mu sync.Mutex
	by map[string]string // guarded by mu; SPIFFE IDs by serial number
}

func (o *origins) put(serial, via string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == nil || len(o.by) >= maxOrigins {
		o.by = map[string]string{}
	}
	o.by[serial] = originOf(via)
}

func (o *origins) get(serial string) (origin string, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	origin, known = o.by[serial]
	return origin, known
}

// origin returns by whose SVID the owner of the SVID joined that is shown on a connection;
// empty is by something else, or that nobody has written it down.
func (s *Server) origin(ctx context.Context) (string, error) {
	if s.opt.SVIDs == nil || s.opt.Issued == nil {
		return "", nil
	}
	state, err := connection(ctx)
	if err != nil || len(state.PeerCertificates) == 0 {
		return "", err
	}
	serial := identity.Serial(state.PeerCertificates[0].SerialNumber)
	if origin, known := s.origins.get(serial); known {
		return origin, nil
	}
	ctx, cancel := context.WithTimeout(ctx, originTime)
	defer cancel()
	via, err := s.opt.Issued(ctx, serial)
	if errors.Is(err, statedb.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", s.unavailable("it cannot be told how the owner of an SVID joined", err)
	}
	s.origins.put(serial, via)
	return originOf(via), nil
}

// stillGranted refuses who joined by an SVID as somebody that the grants do not let it be
// any more. It returns the text for what is issued now.
func (s *Server) stillGranted(ctx context.Context, id identity.ID, what string) (via string, err error) {
	origin, err := s.origin(ctx)
	if err != nil || origin == "" || origin == id.String() {
		return what, err
	}
	if _, granted := s.opt.SVIDs.find(origin, identity.NameOf(id)); !granted {
		return "", status.Errorf(codes.PermissionDenied, "%s joined by the SVID of %s, and no grant in the file of --svid-joins lets it any more", id, origin)
	}
	return what + ", joined by " + bySVIDOf + origin, nil
}
