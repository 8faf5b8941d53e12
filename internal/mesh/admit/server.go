package admit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

// Authority signs; ca.Authority is one.
type Authority interface {
	TrustDomain() identity.TrustDomain
	Bundle() *identity.Bundle
	Keyring() *identity.Keyring
	Sign(ca.Request) ([]*x509.Certificate, error)
	SignJWT(id identity.ID, audiences []string) (token string, ends time.Time, err error)
}

// Options of a Server.
type Options struct {
	Authority Authority
	// Tokens, unless they are nil, let machines in by token.
	Tokens *Tokens
	// Nodes, unless they are nil, say which workloads node proxies may have.
	Nodes *Nodes
	// Accounts, unless they are nil, let pods in by their service accounts.
	Accounts *ServiceAccounts
	// SVIDs say as what machines may join by SVIDs that they have already, and may go on to
	// be. As itself anybody may who has one of this trust domain. They may be nil.
	SVIDs *SVIDGrants
	// Issued returns what an SVID was issued for, by its serial number, and
	// statedb.ErrNotFound if nobody knows; nil is nobody.
	Issued func(ctx context.Context, serial string) (via string, err error)
	// Note, unless it is nil, is told of each identity that joined and by what, for the
	// audit log. An error refuses the join.
	Note func(ctx context.Context, id identity.ID, via, peer string) error
	Log  *slog.Logger // nil is nobody
}

// Server is a control plane's end. It is registered at a grpc.Server with ServerTLS.
type Server struct {
	meshpb.UnimplementedJoinServer
	opt    Options
	guess  *guesses
	counts *counts
	// process is known to this process alone: nonces come from it, and proofs of tokens
	// that nobody has.
	process [32]byte
	origins origins

	noteMu sync.Mutex
	// noted are nodes with workloads that were in the audit log.
	noted map[[2]string]bool // guarded by noteMu
}

// NewServer makes one.
func NewServer(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: o, guess: newGuesses(), counts: newCounts(), noted: map[[2]string]bool{}}
	_, _ = rand.Read(s.process[:]) // which never fails
	return s
}

// derive makes bytes that nobody else can, and that are the same for the same parts.
func (s *Server) derive(what string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, s.process[:])
	_, _ = m.Write([]byte(what))
	for _, p := range parts {
		sum := sha256.Sum256(p)
		_, _ = m.Write(sum[:])
	}
	return m.Sum(nil)
}

// errRefused is the one answer to all that is wrong with a token before it was proven:
// who guesses learns nothing.
var errRefused = status.Error(codes.Unauthenticated, "the join token is not known here, has ended or has been used; or somebody is between the two ends. gridway identity token create makes a new one")

// transcript is what both ends have seen so far.
func (s *Server) transcript(ctx context.Context, tokenID string, nonce []byte) (*jointoken.Transcript, error) {
	state, err := connection(ctx)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if !jointoken.ValidID(tokenID) || len(nonce) != jointoken.NonceSize {
		return nil, status.Errorf(codes.InvalidArgument, "a challenge has the ID of a token and a nonce of %d bytes", jointoken.NonceSize)
	}
	binding, err := jointoken.Binding(state)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	a := s.opt.Authority
	return &jointoken.Transcript{
		TokenID: tokenID, ClientNonce: nonce, ServerNonce: s.derive("nonce", binding, []byte(tokenID), nonce),
		TrustDomain: a.TrustDomain().Name(), Bundle: a.Bundle().JSON(), Exporter: binding,
	}, nil
}

// token finds a token, or makes one that has the same form and that nobody has.
func (s *Server) token(ctx context.Context, id string) (t *held, known bool, err error) {
	if s.opt.Tokens != nil {
		if t, err = s.opt.Tokens.find(ctx, id); err == nil {
			return t, true, nil
		}
		if !errors.Is(err, statedb.ErrNotFound) {
			s.opt.Log.Warn("a join token cannot be read", "token", id, "error", err)
			return nil, false, status.Error(codes.Unavailable, "the state store cannot be read now")
		}
	}
	letters := make([]byte, 0, 32)
	for _, b := range s.derive("token", []byte(id)) {
		letters = append(letters, 'a'+b%26)
	}
	made, err := jointoken.FromParts(id, string(letters))
	return &held{Token: made}, false, err
}

// Challenge proves to a proxy that this is its control plane.
func (s *Server) Challenge(ctx context.Context, r *meshpb.ChallengeRequest) (*meshpb.ChallengeResponse, error) {
	if from := addressOf(ctx); !s.guess.allow(from) || !s.guess.challenge(from) {
		return nil, errTooMany
	}
	x, err := s.transcript(ctx, r.GetTokenId(), r.GetNonce())
	if err != nil {
		return nil, err
	}
	t, _, err := s.token(ctx, x.TokenID)
	if err != nil {
		return nil, err
	}
	return &meshpb.ChallengeResponse{Nonce: x.ServerNonce, TrustDomain: x.TrustDomain, Bundle: x.Bundle, Proof: t.AuthorityProof(x)}, nil
}

// Enroll gives a first SVID.
func (s *Server) Enroll(ctx context.Context, r *meshpb.EnrollRequest) (_ *meshpb.SVIDResponse, err error) {
	defer func() { s.counts.joined(viaOf(r), err) }()
	if !s.guess.allow(addressOf(ctx)) {
		return nil, errTooMany
	}
	switch e := r.GetEvidence().(type) {
	case *meshpb.EnrollRequest_Token:
		return s.byToken(ctx, r, e.Token)
	case *meshpb.EnrollRequest_Kubernetes:
		return s.byAccount(ctx, r, e.Kubernetes)
	case *meshpb.EnrollRequest_Svid:
		return s.bySVID(ctx, r)
	}
	return nil, status.Error(codes.InvalidArgument, "a join needs a join token, the token of a service account or an SVID")
}

func (s *Server) byToken(ctx context.Context, r *meshpb.EnrollRequest, e *meshpb.TokenEvidence) (*meshpb.SVIDResponse, error) {
	x, err := s.transcript(ctx, e.GetTokenId(), e.GetNonce())
	if err != nil {
		return nil, err
	}
	t, known, err := s.token(ctx, x.TokenID)
	if err != nil {
		return nil, err
	}
	want := r.GetIdentity()
	proof := t.ProxyProof(x, jointoken.Request(want.GetNamespace(), want.GetService(), want.GetNode(), r.GetCsr()))
	if !jointoken.Equal(proof, e.GetProof()) || !known {
		s.guess.failed(addressOf(ctx))
		return nil, errRefused
	}
	s.guess.proven(addressOf(ctx))
	id, err := s.wanted(want)
	if err != nil {
		return nil, err
	}
	if !t.grants.Allow(identity.NameOf(id)) {
		return nil, status.Errorf(codes.PermissionDenied, "the join token %s is not for %s", t.ID(), id)
	}
	key, err := keyOf(r.GetCsr(), id)
	if err != nil {
		return nil, err
	}
	ok, err := s.opt.Tokens.use(ctx, t, key, id)
	if err != nil {
		return nil, s.unavailable("a join token cannot be used", err)
	}
	if !ok {
		return nil, errRefused
	}
	if t.grants.Role == identity.RoleNode && s.opt.Nodes != nil {
		s.opt.Nodes.joined(id, nodeGrants{Grants: t.grants})
	}
	return s.issue(ctx, id, r.GetCsr(), "token "+t.ID(), true)
}

// wanted reads the identity that is asked for.
func (s *Server) wanted(i *meshpb.Identity) (identity.ID, error) {
	td := s.opt.Authority.TrustDomain()
	if i.GetNode() != "" {
		if i.GetNamespace() != "" || i.GetService() != "" {
			return identity.ID{}, status.Error(codes.InvalidArgument, "an identity is a node's or a workload's, not both")
		}
		if err := identity.CheckNode(i.GetNode()); err != nil {
			return identity.ID{}, status.Error(codes.InvalidArgument, err.Error())
		}
		return identity.Node(td, i.GetNode()), nil
	}
	if err := identity.CheckWorkload(i.GetNamespace(), i.GetService()); err != nil {
		return identity.ID{}, status.Error(codes.InvalidArgument, err.Error())
	}
	return identity.Workload(td, i.GetNamespace(), i.GetService()), nil
}

// keyOf is the digest of the key of a signing request that is in order.
func keyOf(csr []byte, id identity.ID) (string, error) {
	if _, err := ca.CheckRequest(csr, id); err != nil {
		return "", status.Error(codes.InvalidArgument, "certificate signing request: "+err.Error())
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return "", status.Error(codes.InvalidArgument, err.Error())
	}
	sum := sha256.Sum256(r.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// Renew gives the next SVID to who shows one.
func (s *Server) Renew(ctx context.Context, r *meshpb.RenewRequest) (_ *meshpb.SVIDResponse, err error) {
	defer func() { s.counts.asked("renewal", err) }()
	id, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	via, err := s.stillGranted(ctx, id, "renewal")
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, id, r.GetCsr(), via, false)
}

// SignJWT gives a JWT-SVID to who shows an SVID.
func (s *Server) SignJWT(ctx context.Context, r *meshpb.SignJWTRequest) (_ *meshpb.SignJWTResponse, err error) {
	defer func() { s.counts.asked("jwt", err) }()
	id, err := s.caller(ctx)
	if r.GetIdentity() != nil && err == nil {
		id, _, err = s.delegated(ctx, r.GetIdentity())
	}
	if err != nil {
		return nil, err
	}
	token, ends, err := s.opt.Authority.SignJWT(id, r.GetAudience())
	if err != nil {
		return nil, refusal(err, codes.InvalidArgument)
	}
	return &meshpb.SignJWTResponse{Token: token, Expires: ends.Unix()}, nil
}

// caller is who shows an SVID of our own trust domain.
func (s *Server) caller(ctx context.Context) (identity.ID, error) {
	id, err := PeerID(ctx, s.opt.Authority.Keyring())
	if err != nil {
		return id, refusal(err, codes.Unauthenticated)
	}
	if td := s.opt.Authority.TrustDomain(); id.TrustDomain() != td || identity.NameOf(id).Role == identity.RoleControl {
		return id, status.Errorf(codes.PermissionDenied, "%s is renewed elsewhere", id)
	}
	return id, nil
}

func (s *Server) issue(ctx context.Context, id identity.ID, csr []byte, via string, joined bool) (*meshpb.SVIDResponse, error) {
	from := addressOf(ctx)
	chain, err := s.opt.Authority.Sign(ca.Request{ID: id, CSR: csr, Via: via, Peer: from})
	if err != nil {
		return nil, refusal(err, codes.Unavailable)
	}
	if joined {
		s.opt.Log.Info("joined the mesh", "id", id.String(), "via", via, "peer", from)
		if s.opt.Note != nil {
			if err := s.opt.Note(ctx, id, via, from); err != nil {
				return nil, s.unavailable("a join cannot be noted", err)
			}
		}
	}
	s.origins.put(identity.Serial(chain[0].SerialNumber), via)
	out := &meshpb.SVIDResponse{}
	for _, c := range chain {
		out.Chain = append(out.Chain, c.Raw)
	}
	own := s.opt.Authority.Bundle()
	out.Bundles = append(out.Bundles, &meshpb.Bundle{TrustDomain: own.TrustDomain().Name(), Bundle: own.JSON()})
	for _, b := range s.opt.Authority.Keyring().Bundles() {
		if b.TrustDomain() != own.TrustDomain() {
			out.Bundles = append(out.Bundles, &meshpb.Bundle{TrustDomain: b.TrustDomain().Name(), Bundle: b.JSON()})
		}
	}
	return out, nil
}

func (s *Server) unavailable(what string, err error) error {
	s.opt.Log.Warn(what, "error", err)
	return status.Error(codes.Unavailable, what+" now: the state store cannot be reached")
}

// refusal gives an error the code of its kind.
func refusal(err error, otherwise codes.Code) error {
	var denied *identity.DeniedError
	var request *ca.RequestError
	switch {
	case errors.As(err, &denied):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.As(err, &request):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, ca.ErrNoRoot):
		return status.Error(codes.Unavailable, err.Error())
	}
	return status.Error(otherwise, err.Error())
}

// addressOf is the address without the port that a call came from.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}
