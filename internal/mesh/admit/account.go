package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

const (
	// keysFresh is for how long a key set is used before it is read again; keysAgain is
	// the least between two reads because of a key that is not known.
	keysFresh = 5 * time.Minute
	keysAgain = 10 * time.Second
	keysWait  = 10 * time.Second
	// skew is by how much clocks may differ.
	skew = time.Minute
)

// ServiceAccounts verifies tokens of Kubernetes service accounts, as pods get them by
// projection (TokenRequest), without asking the cluster's API.
type ServiceAccounts struct {
	// Issuer is "iss", exactly; Audience is one that must be in "aud".
	Issuer, Audience string
	// KeysFile or KeysURL has the issuer's JWK Set. A file is read again as it changes.
	KeysFile, KeysURL string
	// Client asks for KeysURL; nil is http.DefaultClient.
	Client *http.Client
	// Now is the clock; nil is the system's.
	Now func() time.Time

	mu    sync.Mutex
	keys  *jwt.Set  // guarded by mu; the last that could be read
	read  time.Time // guarded by mu: when it was
	tried time.Time // guarded by mu
}

// Check tells what is wrong with the settings.
func (s *ServiceAccounts) Check() error {
	switch {
	case s.Issuer == "" || s.Audience == "":
		return errors.New("joining by service accounts needs an issuer and an audience")
	case (s.KeysFile == "") == (s.KeysURL == ""):
		return errors.New("joining by service accounts needs the issuer's keys: a file, or a URL")
	}
	return nil
}

// Account is whose a token is.
type Account struct {
	Namespace, Name string
	// Pod is empty for tokens that are bound to none.
	Pod string
}

// Verify reads a token.
func (s *ServiceAccounts) Verify(ctx context.Context, text string) (Account, error) {
	t, err := jwt.Parse([]byte(text))
	if err != nil {
		return Account{}, err
	}
	allowed := jwt.Of(jwt.RS256, jwt.ES256, jwt.ES384, jwt.EdDSA)
	keys, err := s.set(ctx, false)
	if err != nil {
		return Account{}, err
	}
	if _, err = keys.Verify(t, allowed); errors.Is(err, jwt.ErrUnknownKey) { // the issuer has a new one
		if keys, err = s.set(ctx, true); err != nil {
			return Account{}, err
		}
		_, err = keys.Verify(t, allowed)
	}
	if err != nil {
		return Account{}, err
	}
	return s.claims(t)
}

func (s *ServiceAccounts) claims(t *jwt.Token) (Account, error) {
	claims, err := t.Claims()
	if err != nil {
		return Account{}, err
	}
	now := time.Now()
	if s.Now != nil {
		now = s.Now()
	}
	moment := func(name string) (time.Time, bool) {
		n, ok := claims[name].(json.Number)
		if !ok {
			return time.Time{}, false
		}
		seconds, err := n.Int64()
		return time.Unix(seconds, 0), err == nil
	}
	if claims["iss"] != s.Issuer {
		return Account{}, errors.New("it is of another issuer")
	}
	audience, _ := claims["aud"].([]any)
	if claims["aud"] != s.Audience && !slices.Contains(audience, any(s.Audience)) {
		return Account{}, errors.New("it is for another audience")
	}
	if ends, ok := moment("exp"); !ok || !now.Before(ends.Add(skew)) {
		return Account{}, errors.New("it has ended, or never ends")
	}
	if begins, ok := moment("nbf"); ok && now.Add(skew).Before(begins) {
		return Account{}, errors.New("it does not hold yet")
	}
	in, _ := claims["kubernetes.io"].(map[string]any)
	account, _ := in["serviceaccount"].(map[string]any)
	pod, _ := in["pod"].(map[string]any)
	var a Account
	a.Namespace, _ = in["namespace"].(string)
	a.Name, _ = account["name"].(string)
	a.Pod, _ = pod["name"].(string)
	if claims["sub"] != "system:serviceaccount:"+a.Namespace+":"+a.Name {
		return Account{}, errors.New("it is not that of a service account")
	}
	return a, identity.CheckWorkload(a.Namespace, a.Name)
}

// set is the issuer's keys; the last good ones, if new ones cannot be had.
func (s *ServiceAccounts) set(ctx context.Context, newer bool) (*jwt.Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys != nil && (!newer && time.Since(s.read) < keysFresh || time.Since(s.tried) < keysAgain) {
		return s.keys, nil
	}
	s.tried = time.Now()
	text, err := s.fetch(ctx)
	if err == nil {
		var keys *jwt.Set
		if keys, _, err = jwt.ParseSet(text); err == nil {
			s.keys, s.read = keys, time.Now()
		}
	}
	if s.keys == nil {
		return nil, fmt.Errorf("the issuer's keys cannot be had: %w", err)
	}
	return s.keys, nil
}

func (s *ServiceAccounts) fetch(ctx context.Context) ([]byte, error) {
	if s.KeysFile != "" {
		return os.ReadFile(s.KeysFile)
	}
	ctx, cancel := context.WithTimeout(ctx, keysWait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.KeysURL, nil)
	if err != nil {
		return nil, err
	}
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", s.KeysURL, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, jwt.MaxSet+1))
}

// byAccount lets a pod in: the names of its service account are those of its identity.
func (s *Server) byAccount(ctx context.Context, r *meshpb.EnrollRequest, token string) (*meshpb.SVIDResponse, error) {
	if s.opt.Accounts == nil {
		return nil, status.Error(codes.Unimplemented, "this control plane lets nobody in by service accounts")
	}
	a, err := s.opt.Accounts.Verify(ctx, token)
	if err != nil {
		s.guess.failed(addressOf(ctx))
		return nil, status.Error(codes.Unauthenticated, "the token of the service account is refused: "+err.Error())
	}
	want := r.GetIdentity()
	if want.GetNode() != "" || want.GetNamespace() != a.Namespace || want.GetService() != a.Name {
		return nil, status.Errorf(codes.PermissionDenied, "the service account %s in %s may join as itself alone", a.Name, a.Namespace)
	}
	id := identity.Workload(s.opt.Authority.TrustDomain(), a.Namespace, a.Name)
	return s.issue(ctx, id, r.GetCsr(), "service account of pod "+a.Pod, true)
}
