package workloadapi

import (
	"crypto/x509"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// FetchX509SVID sends the SVIDs of who calls, with their keys, and what they verify others
// by; and again when one is renewed or a bundle changes.
func (s *Server) FetchX509SVID(_ *workload.X509SVIDRequest, st grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	var last *workload.X509SVIDResponse
	return s.follow(st.Context(), func(ids []identity.ID) error {
		next := &workload.X509SVIDResponse{FederatedBundles: map[string][]byte{}}
		own := map[identity.TrustDomain]bool{}
		for _, id := range ids {
			svid, bundle := s.opt.Keyring.SVID(id), s.opt.Keyring.Bundle(id.TrustDomain())
			if svid == nil || bundle == nil {
				continue
			}
			key, err := x509.MarshalPKCS8PrivateKey(svid.Key())
			if err != nil {
				return status.Error(codes.Internal, "the key of an SVID cannot be given out")
			}
			own[id.TrustDomain()] = true
			next.Svids = append(next.Svids, &workload.X509SVID{SpiffeId: id.String(), X509Svid: svid.Chain(), X509SvidKey: key, Bundle: roots(bundle)})
		}
		if len(next.Svids) == 0 {
			return status.Error(codes.Unavailable, "the SVID is not there yet")
		}
		for _, b := range s.opt.Keyring.Bundles() {
			if !own[b.TrustDomain()] {
				next.FederatedBundles[b.TrustDomain().IDString()] = roots(b)
			}
		}
		if last != nil && proto.Equal(last, next) {
			return nil
		}
		last = next
		return st.Send(next)
	})
}

// roots are the certificates of a bundle in DER, behind one another.
func roots(b *identity.Bundle) (der []byte) {
	for _, c := range b.Roots() {
		der = append(der, c.Raw...)
	}
	return der
}

// FetchX509Bundles sends the roots of all trust domains that are trusted.
func (s *Server) FetchX509Bundles(_ *workload.X509BundlesRequest, st grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	var last *workload.X509BundlesResponse
	return s.follow(st.Context(), func([]identity.ID) error {
		next := &workload.X509BundlesResponse{Bundles: map[string][]byte{}}
		for _, b := range s.opt.Keyring.Bundles() {
			next.Bundles[b.TrustDomain().IDString()] = roots(b)
		}
		if last != nil && proto.Equal(last, next) {
			return nil
		}
		last = next
		return st.Send(next)
	})
}
