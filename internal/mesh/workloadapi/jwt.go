package workloadapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// FetchJWTSVID gives tokens of who calls, or of one of its identities.
func (s *Server) FetchJWTSVID(ctx context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if len(r.GetAudience()) == 0 || slices.Contains(r.GetAudience(), "") {
		return nil, status.Error(codes.InvalidArgument, "audience must be specified")
	}
	if s.opt.SignJWT == nil {
		return nil, status.Error(codes.Unimplemented, "there are no JWT-SVIDs here")
	}
	ids, err := s.identities(ctx)
	if err != nil {
		return nil, err
	}
	if want := r.GetSpiffeId(); want != "" {
		ids = slices.DeleteFunc(slices.Clone(ids), func(id identity.ID) bool { return id.String() != want })
	}
	if len(ids) == 0 {
		return nil, errNobody
	}
	out := &workload.JWTSVIDResponse{}
	for _, id := range ids {
		token, err := s.tokens.get(id, r.GetAudience(), func() (string, time.Time, error) { return s.opt.SignJWT(ctx, id, r.GetAudience()) })
		if err != nil {
			s.opt.Log.Warn("a JWT-SVID cannot be had", "id", id.String(), "error", err)
			return nil, status.Error(codes.Unavailable, "the JWT-SVID cannot be had now: "+err.Error())
		}
		out.Svids = append(out.Svids, &workload.JWTSVID{SpiffeId: id.String(), Svid: token})
	}
	return out, nil
}

// FetchJWTBundles sends the keys of tokens of all trust domains that are trusted, and
// again when they change.
func (s *Server) FetchJWTBundles(_ *workload.JWTBundlesRequest, st grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	var last *workload.JWTBundlesResponse
	return s.follow(st.Context(), func([]identity.ID) error {
		next := &workload.JWTBundlesResponse{Bundles: map[string][]byte{}}
		for _, b := range s.opt.Keyring.Bundles() {
			text, err := keySet(b)
			if err != nil {
				return status.Error(codes.Internal, "a trust bundle cannot be written")
			}
			next.Bundles[b.TrustDomain().IDString()] = text
		}
		if last != nil && proto.Equal(last, next) {
			return nil
		}
		last = next
		return st.Send(next)
	})
}

// keySet is the JWK Set of a bundle's keys of tokens.
func keySet(b *identity.Bundle) ([]byte, error) {
	keys, set := b.JWTKeys(), jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, kid := range slices.Sorted(maps.Keys(keys)) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: keys[kid], KeyID: kid, Use: "jwt-svid"})
	}
	return json.Marshal(set)
}

// ValidateJWTSVID tells whose a token is that is for an audience.
func (s *Server) ValidateJWTSVID(ctx context.Context, r *workload.ValidateJWTSVIDRequest) (*workload.ValidateJWTSVIDResponse, error) {
	if r.GetAudience() == "" || r.GetSvid() == "" {
		return nil, status.Error(codes.InvalidArgument, "audience and svid must be specified")
	}
	if _, err := s.identities(ctx); err != nil {
		return nil, err
	}
	got, err := jwtsvid.ParseAndValidate(r.GetSvid(), bundles{s.opt.Keyring}, []string{r.GetAudience()})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if s.opt.Keyring.Denied(got.ID.String(), "") {
		return nil, status.Errorf(codes.InvalidArgument, "%s is on the deny list", got.ID)
	}
	claims, err := structpb.NewStruct(plainNumbers(got.Claims))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the claims of the token cannot be passed on")
	}
	return &workload.ValidateJWTSVIDResponse{SpiffeId: got.ID.String(), Claims: claims}, nil
}

// plainNumbers makes what a JSON reader gives into what structpb takes.
func plainNumbers(claims map[string]any) map[string]any {
	text, err := json.Marshal(claims)
	if err != nil {
		return nil
	}
	var out map[string]any
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}

// bundles are those of the keyring as go-spiffe asks for them.
type bundles struct{ k *identity.Keyring }

// GetJWTBundleForTrustDomain implements jwtbundle.Source.
func (b bundles) GetJWTBundleForTrustDomain(td identity.TrustDomain) (*jwtbundle.Bundle, error) {
	found := b.k.Bundle(td)
	if found == nil {
		return nil, status.Errorf(codes.NotFound, "trust domain %s is not trusted here", td)
	}
	return jwtbundle.FromJWTAuthorities(td, found.JWTKeys()), nil
}

// maxTokens bounds the tokens that are remembered.
const maxTokens = 256

// cache remembers tokens until the half of their lives is over, so that programs that ask
// for each request do not wait for the control plane.
type cache struct {
	now func() time.Time
	mu  *sync.Mutex
	m   map[string]cached // guarded by mu
}

type cached struct {
	token string
	until time.Time
}

func newCache(now func() time.Time) cache {
	return cache{now: now, mu: &sync.Mutex{}, m: map[string]cached{}}
}

func (c *cache) get(id identity.ID, audiences []string, sign func() (string, time.Time, error)) (string, error) {
	key := id.String() + "\x00" + strings.Join(audiences, "\x00")
	now := c.now()
	c.mu.Lock()
	found := c.m[key]
	c.mu.Unlock()
	if now.Before(found.until) {
		return found.token, nil
	}
	token, ends, err := sign()
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxTokens {
		clear(c.m)
	}
	c.m[key] = cached{token, now.Add(ends.Sub(now) / 2)}
	return token, nil
}
